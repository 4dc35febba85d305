/* Problem documents of CAs, alone and by the way that answers take: each has a fate, a stable
 * code and a sentence, whatever stands in it. */
#include <string.h>

#include "acme/call.h"
#include "answer.h"
#include "base/clock.h"

static void check_problem(const struct ch_err *err, enum ch_acme_fate fate)
{
	ch_fuzz_check_err(err);
	CH_FUZZ_CHECK(err->rc == CH_EPROTO);
	CH_FUZZ_CHECK(fate > CH_ACME_OK && fate <= CH_ACME_REFUSED);
	CH_FUZZ_CHECK(err->actor <= CH_ACTOR_CA);
	/* It is shown to people. */
	CH_FUZZ_CHECK(ch_fuzz_is_plain(err->detail) && ch_fuzz_is_utf8(err->detail));
}

static void check_document(const json_t *doc, enum ch_acme_where where)
{
	const json_t *subs = json_object_get(doc, "subproblems");
	struct ch_err err;
	enum ch_acme_fate fate = ch_acme_problem_read(doc, where, &err);
	bool named = false;

	check_problem(&err, fate);
	CH_FUZZ_CHECK(err.retry_at_ms == 0);
	for (size_t i = 0; i < json_array_size(subs); i++) {
		const json_t *id = json_object_get(json_array_get(subs, i), "identifier");
		const char *name = ch_acme_json_str(id, "value");

		if (!name)
			continue;
		named = true;
		CH_FUZZ_CHECK(ch_acme_problem_for_name(doc, where, name, &fate, &err) == CH_OK);
		check_problem(&err, fate);
	}
	CH_FUZZ_CHECK(!!ch_acme_problem_has_names(doc) == named);
}

static void check_answer(const struct ch_acme_answer *ans)
{
	check_problem(&ans->err, ans->fate);
	CH_FUZZ_CHECK(ans->err.activity[0]);
	CH_FUZZ_CHECK(ans->retry_at_ms == 0 ||
		      (ans->retry_at_ms > ch_fuzz_now_ms &&
			      ans->retry_at_ms <= ch_fuzz_now_ms + CH_DAY_MS));
	/* Nobody hammers a CA that is in trouble, or waits for nothing. */
	if (ans->fate == CH_ACME_LIMITED)
		CH_FUZZ_CHECK(ans->retry_at_ms != 0);
	if (ans->fate == CH_ACME_PAUSED) {
		CH_FUZZ_CHECK(ans->err.actor == CH_ACTOR_PLATFORM);
		CH_FUZZ_CHECK(ch_acme_url_ok(ans->page));
	}
}

static void take(enum ch_acme_kind kind, int status, const uint8_t *data, size_t size)
{
	static struct ch_acme_answer ans;
	struct ch_http_resp resp;

	ch_http_resp_init(&resp);
	ch_acme_answer_init(&ans);
	if (ch_fuzz_answer_body(&resp, status, "application/problem+json", data, size)) {
		ch_acme_answer_take(kind, &resp, ch_fuzz_now_ms, &ans);
		check_answer(&ans);
	}
	ch_acme_answer_done(&ans);
	ch_http_resp_done(&resp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {400, 404, 429, 500, 503};
	struct ch_err err = {0};
	json_t *doc = NULL;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		take(CH_ACME_NEW_ORDER, statuses[i], data, size);
	take(CH_ACME_GET_AUTHZ, 403, data, size);
	if (ch_acme_json_load(data, size, &doc, &err)) {
		ch_fuzz_check_err(&err);
		return 0;
	}
	check_document(doc, CH_ACME_IN_ANSWER);
	check_document(doc, CH_ACME_IN_VALIDATION);
	json_decref(doc);
	return 0;
}
