/* The headers of a CA's answers: Replay-Nonce, Location, Retry-After, Link and whatever else,
 * after a line with the status. */
#include <string.h>

#include "acme/call.h"
#include "answer.h"
#include "base/clock.h"
#include "base/mem.h"

/* Serves as directory, order and authorization at once. */
static const char body[] =
	"{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\","
	"\"newOrder\":\"https://ca.test/o\",\"status\":\"pending\",\"authorizations\":"
	"[\"https://ca.test/z\"],\"finalize\":\"https://ca.test/f\","
	"\"identifier\":{\"value\":\"shop.test\"}}";

static void check_head(const struct ch_http_resp *resp)
{
	CH_FUZZ_CHECK(resp->n_headers <= CH_HTTP_HEADERS_MAX);
	for (size_t i = 0; i < resp->n_headers; i++) {
		const struct ch_http_header *h = &resp->headers[i];
		size_t len = strlen(h->value);

		CH_FUZZ_CHECK(h->name[0] && strlen(h->name) + len < CH_HTTP_HEADER_MAX_B);
		for (const char *c = h->name; *c; c++)
			CH_FUZZ_CHECK((*c < 'A' || *c > 'Z') && *c != ':' && *c != '\n');
		CH_FUZZ_CHECK(!len || (!strchr(" \t\r\n", h->value[0]) &&
					      !strchr(" \t\r\n", h->value[len - 1])));
	}
}

static void check_retry_after(const char *value)
{
	int64_t at_ms;

	if (value && ch_http_retry_after(value, ch_fuzz_now_ms, &at_ms) == CH_OK)
		CH_FUZZ_CHECK(at_ms >= ch_fuzz_now_ms && at_ms <= ch_fuzz_now_ms + CH_DAY_MS);
}

static void check_answer(enum ch_acme_kind kind, const struct ch_acme_answer *ans, int status)
{
	int64_t most_ms = ans->fate == CH_ACME_OK ? CH_ACME_POLL_MOST_MS : CH_DAY_MS;

	if (ans->fate != CH_ACME_OK)
		ch_fuzz_check_err(&ans->err);
	else
		CH_FUZZ_CHECK(status >= 200 && status <= 299);
	CH_FUZZ_CHECK(
		ans->retry_at_ms == 0 || (ans->retry_at_ms >= ch_fuzz_now_ms + CH_SECOND_MS &&
						 ans->retry_at_ms <= ch_fuzz_now_ms + most_ms));
	if (ans->fate == CH_ACME_OK &&
		(kind == CH_ACME_NEW_ORDER || kind == CH_ACME_NEW_ACCOUNT ||
			kind == CH_ACME_FIND_ACCOUNT))
		CH_FUZZ_CHECK(ch_acme_url_ok(ans->location));
}

/* The answer to a request of this kind, with what becomes of its nonce. */
static void take(enum ch_acme_kind kind, const uint8_t *data, size_t size)
{
	static struct ch_acme_session session;
	static struct ch_acme_answer ans;
	struct ch_acme_request req = {.kind = kind};
	struct ch_acme_nonces nonces;
	struct ch_acme_call call;
	struct ch_http_resp resp;
	char nonce[CH_ACME_NONCE_B];

	session.nonces = &nonces;
	ch_acme_nonces_init(&nonces);
	ch_acme_call_init(&call, &session, &req);
	ch_http_resp_init(&resp);
	ch_acme_answer_init(&ans);
	if (ch_fuzz_answer(&resp, (const char *)data, size, CH_ACME_OBJECT_MAX_B)) {
		int status = resp.status;

		check_head(&resp);
		check_retry_after(ch_http_resp_header(&resp, "retry-after"));
		if (!resp.body.len)
			(void)ch_buf_add_str(&resp.body, body);
		if (ch_acme_call_take(&call, &resp, &ans))
			check_answer(kind, &ans, status);
		else
			CH_FUZZ_CHECK(!call.nonce[0] || ch_acme_nonce_ok(call.nonce));
		while (ch_acme_nonces_take(&nonces, nonce))
			CH_FUZZ_CHECK(ch_acme_nonce_ok(nonce));
	}
	ch_acme_answer_done(&ans);
	ch_http_resp_done(&resp);
	ch_acme_call_done(&call);
	ch_acme_nonces_done(&nonces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum ch_acme_kind kinds[] = {CH_ACME_NEW_NONCE, CH_ACME_NEW_ACCOUNT,
		CH_ACME_NEW_ORDER, CH_ACME_GET_AUTHZ, CH_ACME_ANSWER_CHALLENGE};

	ch_fuzz_stop_clock();
	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++)
		take(kinds[i], data, size);
	return 0;
}
