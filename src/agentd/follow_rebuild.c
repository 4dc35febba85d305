#include <inttypes.h>
#include <string.h>

#include "agentd/follow_priv.h"
#include "base/clock.h"
#include "base/log.h"

#define READERS_EVERY_MS 10000
#define READER_STUCK_MS 60000
/* A reader that hangs for good must not make us copy everything each minute. */
#define STUCK_AGAIN_MS (10 * CH_MINUTE_MS)
/* Ticket keys that nobody uses any more; our clock may be ahead. */
#define TICKETS_KEEP_MS CH_HOUR_MS

int ch_follow_rebuild(struct ch_follow *f, struct ch_err *err)
{
	int rc = ch_replica_writer_new_generation(f->writer, err);

	if (rc)
		return rc;
	f->no_snapshots = false;
	f->released_seq = 0;
	f->released = 0;
	ch_brake_release(&f->brake);
	ch_follow_hand_reset(f);
	return CH_OK;
}

static int publish(struct ch_follow *f, struct ch_err *err)
{
	int rc = ch_replica_writer_publish(f->writer, err);

	if (rc)
		return rc;
	ch_brake_release(&f->brake);
	ch_log_info("a new generation of the replica is live");
	return CH_OK;
}

int ch_follow_try_publish(struct ch_follow *f, struct ch_err *err)
{
	struct ch_cursor cursor;
	uint64_t missing;
	uint64_t live;
	bool confirmed;
	bool handed;
	int rc;

	if (!ch_replica_writer_is_rebuilding(f->writer))
		return CH_OK;
	rc = ch_replica_writer_cursor(f->writer, &cursor);
	if (rc == CH_OK && (!cursor.valid || cursor.seq < cursor.base))
		return CH_OK;
	if (rc == CH_OK) {
		rc = ch_follow_hand_back(f, &handed, err);
		if (rc || !handed)
			return rc;
	}
	confirmed = ch_brake_is_confirmed(&f->brake);
	/* Comparing is work: while the brake is on, now and then is enough. */
	if (rc == CH_OK && !confirmed && ch_brake_is_on(&f->brake) &&
		ch_mono_ms() < f->brake_ask_ms)
		return CH_OK;
	if (rc == CH_OK)
		rc = ch_replica_writer_missing(f->writer, &missing);
	if (rc == CH_OK)
		rc = ch_replica_writer_live_certs(f->writer, &live);
	if (rc)
		return ch_err_set(
			err, rc, "replica", "cannot read the replica: %s", ch_rc_str(rc));
	if (missing && ch_mono_ms() < f->hand_until_ms)
		return CH_OK;
	/* More may have gone since the question was put. */
	if (confirmed && missing <= f->brake.removing) {
		ch_log_info("removal confirmed");
		return publish(f, err);
	}
	if (ch_brake_allows(&f->brake, ch_mono_ms(), missing, live)) {
		rc = publish(f, err);
		/* Else a store that makes us begin again and again could take some each time.
		 */
		if (rc == CH_OK)
			ch_brake_note(&f->brake, ch_mono_ms(), missing);
		return rc;
	}
	if (!ch_brake_is_on(&f->brake))
		ch_log_error("the store's list lacks %" PRIu64 " of %" PRIu64
			     " live names: going on with the old one until somebody runs "
			     "`certherd agent --confirm-removal` on this edge",
			missing, live);
	f->brake_ask_ms = ch_mono_ms() + 30 * CH_SECOND_MS;
	return ch_brake_put_on(&f->brake, missing, live, err);
}

void ch_follow_check_readers(struct ch_follow *f)
{
	int64_t now = ch_mono_ms();
	int64_t stuck_ms;
	struct ch_err err;
	int rc;

	if (f->readers_ms && now - f->readers_ms < READERS_EVERY_MS)
		return;
	f->readers_ms = now;
	rc = ch_replica_expire_tickets(
		f->writer, (ch_now_ms() - TICKETS_KEEP_MS) / CH_SECOND_MS);
	if (rc)
		ch_log_warn("old ticket keys stay in the replica: %s", ch_rc_str(rc));
	rc = ch_replica_check_readers(f->writer, &stuck_ms);
	if (rc) {
		ch_log_warn("readers of the replica cannot be looked at: %s", ch_rc_str(rc));
		return;
	}
	if (stuck_ms < READER_STUCK_MS || ch_replica_writer_is_rebuilding(f->writer) ||
		(f->stuck_ms && now - f->stuck_ms < STUCK_AGAIN_MS))
		return;
	f->stuck_ms = now;
	ch_log_warn("a reader has held an old state of the replica for %jd s: is a worker of "
		    "nginx stopped? A new generation is made, so that the file stops growing",
		(intmax_t)(stuck_ms / CH_SECOND_MS));
	if (ch_follow_rebuild(f, &err))
		ch_log_warn("no new generation: %s", err.detail);
}
