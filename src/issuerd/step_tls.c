#include "issuerd/step_tls.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/record.h"

/* If nobody takes it away, because no store is left, say. */
#define TOKEN_LIVES_MS CH_DAY_MS
/* What is answered now is validated within so long, or not at all. */
#define TOKEN_LEAST_MS (3 * CH_HOUR_MS)

static bool are_given(const struct ch_notes *notes, const struct ch_step_token *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(notes->tokens[items[i].name], items[i].token) != 0)
			return false;
	return n == 0 || notes->tokens_until_ms - ch_now_ms() >= TOKEN_LEAST_MS;
}

/* NULL when it cannot be made. */
static json_t *make_record(
	const struct ch_step *step, const struct ch_step_token *item, int64_t until_ms)
{
	const char *name = step->work->names[item->name];
	struct ch_record record = {
		.kind = CH_RECORD_CHALLENGE,
		.account_hint = step->ca->account_hint,
		.name = name,
		.name_len = strlen(name),
		.token = {item->token, strlen(item->token)},
		.token_until_s = until_ms / CH_SECOND_MS,
	};
	CH_AUTO_BUF struct ch_buf bytes;

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	if (ch_record_sign(&record, step->issuer->signer, &bytes))
		return NULL;
	return ch_write_bytes(bytes.data, bytes.len);
}

bool ch_step_tls_is_ready(struct ch_step *step, const struct ch_step_token *items, size_t n)
{
	struct ch_notes notes = ch_step_notes_for_next(step);
	json_auto_t *list = json_array();

	if (are_given(&step->work->notes, items, n))
		return true;
	notes.tokens_until_ms = ch_now_ms() + TOKEN_LIVES_MS;
	memset(notes.tokens, 0, sizeof(notes.tokens));
	for (size_t i = 0; i < n; i++) {
		json_t *record = make_record(step, &items[i], notes.tokens_until_ms);

		if (!record || json_array_append_new(list, record)) {
			ch_log_warn("the record of a tls-alpn-01 token cannot be made");
			ch_step_poll(step, ch_now_ms() + CH_SECOND_MS, NULL);
			return false;
		}
		strcpy(notes.tokens[items[i].name], items[i].token);
	}
	step->out->challenges = json_incref(list);
	step->out->has_state = true;
	step->out->state = CH_ORDER_ORDERED;
	step->out->has_notes = true;
	step->out->notes = notes;
	/* The store's answer says how far the edges are. */
	step->out->go_on = true;
	return false;
}
