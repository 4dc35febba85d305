/* Directories, orders, authorizations and accounts as a CA sends them: what is accepted keeps
 * the limits of acme/object.h, what is refused says why. */
#include <string.h>

#include "acme/call.h"
#include "answer.h"
#include "net/http_impl.h"

static void check_url(const char *url)
{
	CH_FUZZ_CHECK(ch_acme_url_ok(url) && strlen(url) < CH_ACME_URL_B);
	CH_FUZZ_CHECK(ch_acme_url_same_host(url, url));
	/* There is a host. */
	CH_FUZZ_CHECK(!strchr("/?#:", url[strlen("https://")]));
	CH_FUZZ_CHECK(ch_fuzz_is_plain(url) && ch_fuzz_is_utf8(url));
}

static void check_time(int64_t at_ms)
{
	/* The years 1970 to 9999; 0: none. */
	CH_FUZZ_CHECK(at_ms >= 0 && at_ms < INT64_C(253402300800000));
}

static void check_directory(const json_t *doc)
{
	struct ch_acme_directory *dir = calloc(1, sizeof(*dir));
	struct ch_err err = {0};

	CH_FUZZ_CHECK(dir);
	if (ch_acme_directory_read(doc, dir, &err)) {
		ch_fuzz_check_err(&err);
	} else {
		check_url(dir->new_nonce);
		check_url(dir->new_account);
		check_url(dir->new_order);
		if (dir->renewal_info[0])
			check_url(dir->renewal_info);
	}
	free(dir);
}

static void check_order(const json_t *doc)
{
	struct ch_acme_order order;
	struct ch_err err = {0};

	if (ch_acme_order_read(doc, &order, &err)) {
		ch_fuzz_check_err(&err);
		return;
	}
	CH_FUZZ_CHECK(order.n_authz <= CH_ACME_NAMES_MAX);
	for (size_t i = 0; i < order.n_authz; i++)
		check_url(order.authz[i]);
	if (order.status != CH_ACME_INVALID)
		check_url(order.finalize);
	if (order.status == CH_ACME_VALID)
		check_url(order.certificate);
	check_time(order.expires_ms);
	CH_FUZZ_CHECK(!order.error || json_is_object(order.error));
}

static void check_challenge(const struct ch_acme_challenge *chall, bool has_token)
{
	CH_FUZZ_CHECK(!chall->token == !(chall->url && has_token));
	if (chall->url)
		check_url(chall->url);
	if (chall->token)
		CH_FUZZ_CHECK(ch_acme_token_ok(chall->token) &&
			      strlen(chall->token) < CH_ACME_TOKEN_B);
}

static void check_authz(const json_t *doc)
{
	struct ch_acme_authz authz;
	struct ch_err err = {0};

	if (ch_acme_authz_read(doc, &authz, &err)) {
		ch_fuzz_check_err(&err);
		return;
	}
	CH_FUZZ_CHECK(authz.name && strlen(authz.name) <= 253);
	for (int type = 0; type < CH_ACME_CHALLENGE_COUNT; type++)
		check_challenge(&authz.challenges[type], type != CH_ACME_DNS_PERSIST_01);
	check_time(authz.expires_ms);
	CH_FUZZ_CHECK(!authz.error || json_is_object(authz.error));
}

static void check_window(const json_t *doc)
{
	struct ch_acme_window window;
	struct ch_err err = {0};

	if (ch_acme_window_read(doc, &window, &err)) {
		ch_fuzz_check_err(&err);
		return;
	}
	check_time(window.start_ms);
	check_time(window.end_ms);
	CH_FUZZ_CHECK(window.start_ms < window.end_ms);
	if (window.explanation)
		check_url(window.explanation);
}

/* The same bytes by the way that answers take. */
static void check_answer(enum ch_acme_kind kind, const uint8_t *data, size_t size)
{
	static struct ch_acme_answer ans;
	struct ch_http_resp resp;
	const char location[] = "Location: https://ca.test/order/1";

	ch_http_resp_init(&resp);
	ch_acme_answer_init(&ans);
	if (ch_fuzz_answer_body(&resp, 200, "application/json", data, size) &&
		ch_http_resp_add_line(&resp, location, strlen(location)) == CH_OK) {
		ch_acme_answer_take(kind, &resp, ch_fuzz_now_ms, &ans);
		CH_FUZZ_CHECK(ans.fate == CH_ACME_OK || ans.fate == CH_ACME_LATER);
		CH_FUZZ_CHECK(ans.fate != CH_ACME_OK || ans.doc);
		if (ans.fate != CH_ACME_OK)
			ch_fuzz_check_err(&ans.err);
	}
	ch_acme_answer_done(&ans);
	ch_http_resp_done(&resp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_err err = {0};
	json_t *doc = NULL;

	check_answer(CH_ACME_NEW_ORDER, data, size);
	if (ch_acme_json_load(data, size, &doc, &err)) {
		ch_fuzz_check_err(&err);
		return 0;
	}
	CH_FUZZ_CHECK(json_is_object(doc) && size <= CH_ACME_OBJECT_MAX_B);
	check_directory(doc);
	check_order(doc);
	check_authz(doc);
	check_window(doc);
	check_answer(CH_ACME_DIRECTORY, data, size);
	check_answer(CH_ACME_GET_AUTHZ, data, size);
	check_answer(CH_ACME_RENEWAL_INFO, data, size);
	json_decref(doc);
	return 0;
}
