/* The store's answers to edges and people: problem documents, and checksums and lists of
 * records as `certherd verify` reads them.  Parts of an input are answers, one after the other.
 */
#include <string.h>

#include "agentd/compare_priv.h"
#include "answer.h"
#include "base/clock.h"

#define ANSWERS_MAX 4

static void check_error(const struct ch_err *err)
{
	CH_FUZZ_CHECK(err->rc < 0 && err->problem[0] && err->detail[0]);
	CH_FUZZ_CHECK(err->retry_at_ms == 0 ||
		      (err->retry_at_ms >= ch_fuzz_now_ms &&
			      err->retry_at_ms <= ch_fuzz_now_ms + CH_DAY_MS));
	/* Cut where it had to be, but never inside a character. */
	CH_FUZZ_CHECK(ch_fuzz_is_utf8(err->detail) && ch_fuzz_is_utf8(err->problem));
}

static void check_answer(const struct ch_compare_answer *answer,
	const struct ch_compare_range *range, const struct ch_compare *compare, bool list)
{
	const char *last = "";

	CH_FUZZ_CHECK(strlen(compare->pool) < sizeof(compare->pool));
	CH_FUZZ_CHECK(compare->head == answer->head);
	/* It leads on, or the comparison would go round in circles. */
	CH_FUZZ_CHECK(!answer->last[0] || strcmp(answer->last, range->after) > 0);
	CH_FUZZ_CHECK(!list == !answer->items && answer->n_items <= CH_COMPARE_LIST);
	for (size_t i = 0; i < answer->n_items; i++) {
		const struct ch_compare_item *item = &answer->items[i];

		CH_FUZZ_CHECK(strlen(item->name) < CH_RECORD_KEY_B);
		CH_FUZZ_CHECK(strcmp(item->name, last) > 0);
		last = item->name;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_compare_range range = {.after = "b.example.com", .until = "x.example.com"};
	struct ch_api_options options = {.n_urls = 0};
	struct ch_compare compare = {.wait_ms = 0};
	struct ch_fuzz_parts parts;
	struct ch_fuzz_http http;
	struct ch_err err = {0};

	ch_fuzz_stop_clock();
	ch_fuzz_parts_init(&parts, data, size);
	ch_fuzz_http_init(&http, &parts);
	CH_FUZZ_CHECK(ch_api_options_add_url(&options, "https://a.test") == CH_OK);
	CH_FUZZ_CHECK(ch_api_options_add_url(&options, "https://b.test/") == CH_OK);
	CH_FUZZ_CHECK(ch_api_new_over(&options, &http.http, &compare.api, &err) == CH_OK);
	for (int i = 0; i < ANSWERS_MAX && http.parts.at; i++) {
		struct ch_compare_answer answer = {.json = NULL};
		bool list = i % 2 == 1;

		if (ch_compare_ask(&compare, &range, list, &answer, &err))
			check_error(&err);
		else
			check_answer(&answer, &range, &compare, list);
		ch_compare_answer_done(&answer);
	}
	ch_api_free(compare.api);
	return 0;
}
