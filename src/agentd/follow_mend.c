/* When what is on the disk, or what the store says, makes it necessary to begin again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agentd/follow_priv.h"
#include "base/clock.h"
#include "base/log.h"

#define LOOK_EVERY_MS CH_SECOND_MS
#define RESTART_LEAST_MS (2 * CH_SECOND_MS)
#define RESTART_MOST_MS (5 * CH_MINUTE_MS)
#define RESTART_CALM_MS (15 * CH_MINUTE_MS) /* after so long it is a new story */
#define RESTART_TOLD 3

/* Whether pages or records of what is live were found damaged since they were last read. */
static bool is_damaged(struct ch_follow *f, struct ch_err *err)
{
	int rc = ch_replica_writer_walk(f->writer, f->check_ms, err);

	if (rc && rc != CH_ECORRUPT)
		ch_log_warn("replica: %s", err->detail);
	return rc == CH_ECORRUPT;
}

bool ch_follow_is_lost(struct ch_follow *f)
{
	struct ch_err err = {0};
	int64_t now = ch_mono_ms();

	if (f->fetching)
		return false;
	if (!f->writer || f->lost || (f->look_ms && now - f->look_ms < LOOK_EVERY_MS))
		return f->writer && f->lost;
	f->look_ms = now;
	f->lost = ch_replica_writer_look(f->writer, &err) != CH_OK;
	if (!f->lost && err.rc)
		ch_log_error("replica: %s: written again", err.detail);
	if (!f->lost)
		f->lost = is_damaged(f, &err);
	if (f->lost)
		snprintf(f->trouble, sizeof(f->trouble), "Replica: %.450s", err.detail);
	return f->lost;
}

/* The same trouble is told once, however often it is tried again. */
static void fail(struct ch_follow *f, const char *detail)
{
	char trouble[CH_TROUBLE_B];

	snprintf(trouble, sizeof(trouble), "Replica: %.450s", detail);
	ch_log(strcmp(trouble, f->trouble) == 0 && f->failures ? CH_LOG_DEBUG : CH_LOG_ERROR,
		"replica: %s; nginx serves on what it has open, and this is tried again",
		detail);
	memcpy(f->trouble, trouble, sizeof(trouble));
}

void ch_follow_reopen(struct ch_follow *f, const char *why)
{
	struct ch_err err = {0};
	int rc;

	ch_follow_close(f);
	f->lost = false;
	rc = ch_replica_writer_open(&f->replica, &f->writer, &err);
	if (rc) {
		fail(f, err.detail);
		return;
	}
	if (!why)
		why = err.rc ? err.detail : "the replica can be opened now";
	ch_log_error("%s: %s", why,
		ch_replica_writer_is_rebuilding(f->writer)
			? "the replica is fetched anew, into a new generation; nginx serves on "
			  "what it has open until that is whole"
			: "opened again, and it is whole");
}

void ch_follow_note_restart(struct ch_follow *f)
{
	int64_t now = ch_mono_ms();
	char text[CH_TIME_STR_B];

	if (now - f->restart_ms > RESTART_CALM_MS)
		f->restarts = 0;
	f->restart_wait_ms = f->restarts == 0  ? 0
			     : f->restarts < 9 ? RESTART_LEAST_MS << (f->restarts - 1)
					       : RESTART_MOST_MS;
	if (f->restart_wait_ms > RESTART_MOST_MS)
		f->restart_wait_ms = RESTART_MOST_MS;
	f->restart_ms = now;
	f->restarts++;
	if (f->restart_wait_ms)
		ch_log_warn("for the %uth time: the store is asked again in %s", f->restarts,
			ch_duration_str(f->restart_wait_ms, text));
}

bool ch_follow_is_resting(const struct ch_follow *f)
{
	return f->restarts && ch_mono_ms() - f->restart_ms < f->restart_wait_ms;
}

bool ch_follow_is_circling(const struct ch_follow *f)
{
	return f->restarts >= RESTART_TOLD && ch_mono_ms() - f->restart_ms < RESTART_CALM_MS;
}
