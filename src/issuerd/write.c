#include "issuerd/write.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "net/api.h"

void ch_reason_set(struct ch_reason *reason, const char *code, enum ch_actor actor,
	const char *detail_fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, detail_fmt);
	vsnprintf(text, sizeof(text), detail_fmt, args);
	va_end(args);
	snprintf(reason->code, sizeof(reason->code), "%s", code);
	ch_acme_text(text, reason->detail, sizeof(reason->detail));
	reason->actor = actor;
}

void ch_reason_from_err(struct ch_reason *reason, const struct ch_err *err)
{
	ch_reason_set(reason, err->problem[0] ? err->problem : "internal", err->actor, "%s",
		err->detail);
}

void ch_write_init(struct ch_write *w)
{
	memset(w, 0, sizeof(*w));
}

void ch_write_done(struct ch_write *w)
{
	free(w->csr);
	free(w->sealed);
	json_decref(w->publish);
	json_decref(w->challenges);
	ch_write_init(w);
}

static int put(json_t *doc, const char *key, json_t *value)
{
	return json_object_set_new(doc, key, value) ? CH_ENOMEM : CH_OK;
}

static int put_time(json_t *doc, const char *key, int64_t at_ms)
{
	char text[CH_TIME_STR_B];

	return put(doc, key, json_string(ch_time_str(at_ms, text)));
}

json_t *ch_write_bytes(const uint8_t *bytes, size_t len)
{
	CH_AUTO_FREE char *text = malloc(CH_B64U_TEXT_B(len));

	if (!text)
		return NULL;
	ch_b64u_encode(bytes, len, text);
	return json_string(text);
}

json_t *ch_write_reason(const struct ch_reason *reason)
{
	json_t *doc = json_pack("{ssssss}", "code", reason->code, "detail", reason->detail,
		"actor", ch_actor_str(reason->actor));

	/* A detail that is not UTF-8 is better lost than the whole write. */
	if (!doc)
		doc = json_pack("{ssssss}", "code", "internal", "detail",
			"The explanation is not readable.", "actor",
			ch_actor_str(reason->actor));
	return doc;
}

static int put_verdicts(json_t *doc, const struct ch_write *w, const struct ch_work *work)
{
	json_t *list = json_array();
	int rc = put(doc, "names", list);

	for (size_t i = 0; rc == CH_OK && i < work->n_names; i++) {
		const struct ch_verdict *v = &w->verdicts[i];
		enum ch_name_state state = v->paused  ? CH_NAME_PAUSED
					   : v->moved ? CH_NAME_MOVED
						      : CH_NAME_FAILED;
		json_t *one = json_pack("{sssbss}", "name", work->names[i], "failed", v->failed,
			"state", ch_name_state_str(state));

		if (json_array_append_new(list, one))
			return CH_ENOMEM;
		if (v->check)
			rc = put(one, "check", json_true());
		if (rc == CH_OK && v->away)
			rc = put(one, "away", json_true());
		if (rc == CH_OK)
			rc = put_time(one, "next_at", ch_api_store_ms(v->next_at_ms));
		if (rc == CH_OK)
			rc = put(one, "reason", ch_write_reason(&v->reason));
	}
	return rc;
}

static int put_limited(json_t *doc, const struct ch_write *w)
{
	json_t *limited =
		json_pack("{ssss}", "account", w->limited_account, "limit", w->limited);
	int rc = put(doc, "limited", limited);

	return rc ? rc : put_time(limited, "until", w->limited_until_ms);
}

static int put_answerers(json_t *doc, const struct ch_write *w, const struct ch_work *work)
{
	json_t *list = json_array();
	char hex[2 * sizeof(w->answer_under) + 1];
	int rc = put(doc, "answer_under", list);

	snprintf(hex, sizeof(hex), "%016" PRIx64, w->answer_under);
	for (size_t i = 0; rc == CH_OK && i < work->n_names; i++)
		if (json_array_append_new(list,
			    json_pack("{ssss}", "name", work->names[i], "account_hint", hex)))
			rc = CH_ENOMEM;
	return rc;
}

static int put_patch(json_t *doc, const struct ch_write *w, const struct ch_work *work)
{
	int rc = CH_OK;

	if (w->has_state)
		rc = put(doc, "state", json_string(ch_order_state_str(w->state)));
	if (rc == CH_OK && w->go_on)
		rc = put(doc, "keep_lease", json_true());
	if (rc == CH_OK && w->next_at_ms)
		rc = put_time(doc, "next_at", ch_api_store_ms(w->next_at_ms));
	if (rc == CH_OK && w->has_notes)
		rc = put(doc, "acme", ch_notes_json(&w->notes));
	if (rc == CH_OK && w->csr)
		rc = put(doc, "csr", ch_write_bytes(w->csr, w->csr_len));
	if (rc == CH_OK && w->sealed)
		rc = put(doc, "sealed", ch_write_bytes(w->sealed, w->sealed_len));
	if (rc == CH_OK && w->has_attempts)
		rc = put(doc, "attempts", json_integer((json_int_t)w->attempts));
	if (rc == CH_OK && w->has_reason)
		rc = put(doc, "reason", ch_write_reason(&w->reason));
	if (rc == CH_OK && w->limited)
		rc = put_limited(doc, w);
	if (rc == CH_OK && w->answer_under)
		rc = put_answerers(doc, w, work);
	if (rc == CH_OK && w->challenges)
		rc = put(doc, "challenges", json_incref(w->challenges));
	if (rc == CH_OK && w->has_state && w->state == CH_ORDER_FAILED)
		rc = put_verdicts(doc, w, work);
	return rc;
}

json_t *ch_write_json(const struct ch_write *w, const struct ch_work *work)
{
	json_auto_t *doc = w->publish ? json_copy(w->publish) : json_object();

	if (!doc || put(doc, "fence", json_integer((json_int_t)work->fence)))
		return NULL;
	if (!w->publish && put_patch(doc, w, work))
		return NULL;
	return json_incref(doc);
}

void ch_write_apply(struct ch_write *w, struct ch_work *work)
{
	if (w->has_state)
		work->state = w->state;
	if (w->has_notes)
		work->notes = w->notes;
	if (w->has_attempts)
		work->attempts = w->attempts;
	for (size_t i = 0; w->answer_under && i < work->n_names; i++)
		work->answer_under[i] = w->answer_under;
	if (w->csr) {
		free(work->csr);
		free(work->sealed);
		work->csr = TAKE_PTR(w->csr);
		work->csr_len = w->csr_len;
		work->sealed = TAKE_PTR(w->sealed);
		work->sealed_len = w->sealed_len;
		work->made_here = true;
	}
	work->fresh = true;
	work->ahead = false;
}
