#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agentd/follow_priv.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"

#define ACK_TIMEOUT_MS 10000

/* Without the span: a report that changes is sent at once. */
static void describe_clock(struct ch_buf *buf)
{
	int64_t lead_ms = ch_api_lead_ms();

	if (lead_ms >= CH_API_LEAD_WRONG_MS || lead_ms <= -CH_API_LEAD_WRONG_MS)
		ch_buf_addf(buf,
			"The clock of this edge's host and the store's are over five minutes "
			"apart: set both by NTP. ");
}

/* While a first generation is filled there is no certificate in any case, and a refusal may be
 * one of very few. */
static void describe_all_refused(const struct ch_follow *f, struct ch_buf *buf)
{
	uint64_t certs = 1;

	if (!ch_replica_writer_is_rebuilding(f->writer) &&
		ch_replica_writer_live_certs(f->writer, &certs))
		return;
	if (ch_refused_is_all(&f->refused, certs))
		ch_buf_add_str(buf, CH_EDGE_CRITICAL
			"this edge takes none of the certificates that it is sent: new names "
			"are not served here, and renewals do not arrive. Has its file of "
			"`signers` the public half of each issuer's signing key? ");
}

/* What the store's operators should know of this edge; "" when all is well.  What is critical
 * comes first: the store looks there. */
static void describe(const struct ch_follow *f, char *ret_text, size_t text_b)
{
	CH_AUTO_BUF struct ch_buf buf;

	ch_buf_init(&buf, 8192);
	describe_all_refused(f, &buf);
	if (ch_brake_is_on(&f->brake))
		ch_buf_addf(&buf,
			"Removing %" PRIu64 " of %" PRIu64
			" live names is over the limit: refused until somebody runs `certherd "
			"agent "
			"--confirm-removal` on this edge. ",
			f->brake.removing, f->brake.live);
	if (ch_follow_is_circling(f))
		ch_buf_addf(&buf,
			"The store has made this edge begin again %u times: it is asked less "
			"often. ",
			f->restarts);
	describe_clock(&buf);
	if (f->trouble[0])
		ch_buf_addf(&buf, "%s. ", f->trouble);
	ch_nginx_look_describe(&f->nginx, &buf);
	ch_refused_describe(&f->refused, &buf);
	while (buf.len && buf.data[buf.len - 1] == ' ')
		buf.data[--buf.len] = 0;
	snprintf(ret_text, text_b, "%s", ch_buf_str(&buf));
}

static int send_ack(struct ch_follow *f, const struct ch_cursor *cursor, uint64_t names,
	const char *error, struct ch_err *err)
{
	char epoch[2 * CH_EPOCH_B + 1];
	struct ch_api_call call = {
		.method = "PUT", .path = "/v1/edges/self", .timeout_ms = ACK_TIMEOUT_MS};
	int rc;

	ch_hex_encode(cursor->epoch, CH_EPOCH_B, epoch);
	call.body = json_pack("{s:s, s:I, s:I, s:s, s:s?}", "epoch", epoch, "seq",
		(json_int_t)cursor->seq, "names", (json_int_t)names, "software",
		"certherd/" CH_VERSION, "error", *error ? error : NULL);
	if (!call.body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_api_call(f->api, &call, err);
	json_decref(call.body);
	json_decref(call.answer);
	return rc;
}

/* What the edge serves.  While a new generation is built that is still the old one, of which
 * the store's present sequence numbers say nothing: it has acknowledged nothing. */
static int position(struct ch_follow *f, struct ch_cursor *ret_cursor, uint64_t *ret_names)
{
	int rc = ch_replica_writer_live_count(f->writer, ret_names);

	if (rc)
		return rc;
	if (!ch_replica_writer_is_rebuilding(f->writer)) {
		rc = ch_replica_writer_cursor(f->writer, ret_cursor);
		return rc ? rc : ret_cursor->valid ? CH_OK : CH_ENOTFOUND;
	}
	if (!f->epoch_known)
		return CH_ENOTFOUND;
	*ret_cursor = (struct ch_cursor){.valid = true};
	memcpy(ret_cursor->epoch, f->epoch, CH_EPOCH_B);
	return CH_OK;
}

static bool is_due(const struct ch_follow *f, const struct ch_cursor *cursor, const char *error,
	int64_t now)
{
	return !f->ack_sent || now - f->ack_ms >= CH_HEARTBEAT_MS || now < f->ack_ms ||
	       cursor->seq != f->ack_seq ||
	       memcmp(cursor->epoch, f->ack_epoch, CH_EPOCH_B) != 0 ||
	       strcmp(error, f->ack_error) != 0;
}

void ch_follow_ack(struct ch_follow *f)
{
	char error[sizeof(f->ack_error)];
	struct ch_cursor cursor;
	struct ch_err err;
	uint64_t names;
	int rc;

	if (!f->writer || position(f, &cursor, &names))
		return;
	ch_nginx_look(&f->nginx);
	describe(f, error, sizeof(error));
	atomic_store(&f->figures.seq, cursor.seq);
	atomic_store(&f->figures.names, names);
	atomic_store(&f->figures.troubled, *error != 0);
	atomic_store(&f->figures.braked, ch_brake_is_on(&f->brake));
	if (!is_due(f, &cursor, error, ch_mono_ms()))
		return;
	rc = send_ack(f, &cursor, names, error, &err);
	if (rc) {
		if (rc != CH_ECANCELED)
			ch_log_warn("not acknowledged: %s", err.detail);
		return;
	}
	if (strcmp(error, f->ack_error) != 0 && *error)
		ch_log_warn("reported to the store: %s", error);
	f->ack_sent = true;
	f->ack_ms = ch_mono_ms();
	f->ack_seq = cursor.seq;
	memcpy(f->ack_epoch, cursor.epoch, CH_EPOCH_B);
	memcpy(f->ack_error, error, sizeof(error));
}
