/* What is said to people of the store's answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/answer.h"

static void a_version_is_compared_with_the_stores(void **state)
{
	static const struct {
		const char *software;
		const char *store;
		const char *said; /* how it begins; NULL: nothing */
	} cases[] = {{"certherd/0.1.0", "0.1.0", NULL}, {"certherd/0.1.9", "0.1.10", "older"},
		{"certherd/0.1.10", "0.1.9", "newer"}, {"certherd/1.0.0", "0.9.9", "newer"},
		{"certherd/0.9", "1.0", "older"}, {"certherd/1.0", "1.0.1", "older"},
		{"certherd/1.0.0-rc1", "1.0.0", "not"}, {"certherd/x", "1.0.0", "not"},
		{"certherd/", "1.0.0", "not"}, {"certherd/1.0.0", "", NULL},
		{"", "1.0.0", NULL}, {"curl/8.0", "1.0.0", NULL},
		{"certherd/99999999999999999999.1", "1.0.0", "newer"}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		const char *said = ch_answer_beside_store(cases[i].software, cases[i].store);

		if (!cases[i].said != !said ||
			(said && strncmp(said, cases[i].said, strlen(cases[i].said)) != 0))
			fail_msg("%s beside %s: %s", cases[i].software, cases[i].store,
				said ? said : "nothing");
	}
}

static void of_a_name_in_line_the_turn_is_next(void **state)
{
#define WAITS "\"next_at\":\"2027-01-15T08:00:00Z\",\"reason\":{\"code\":\"ca-limit-account\"}"
	static const struct {
		const char *domain;
		bool known;
		const char *next; /* NULL: nothing is planned */
	} cases[] = {
		{"{\"next_at\":\"2027-01-15T08:00:00Z\"}", true, "2027-01-15T08:00:00Z"},
		{"{\"next_at\":null,\"expected\":null}", true, NULL},
		{"{" WAITS ",\"expected\":{\"at\":\"2027-01-01T08:00:00Z\"}}", true,
			"2027-01-01T08:00:00Z"},
		{"{" WAITS ",\"expected\":{\"at\":null}}", false, NULL},
		{"{" WAITS ",\"certificate\":null}", false, NULL},
		{"{" WAITS ",\"certificate\":{}}", true, "2027-01-15T08:00:00Z"},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		json_auto_t *domain = json_loads(cases[i].domain, 0, NULL);
		int64_t wanted_ms = 0;
		int64_t next_ms;

		if (cases[i].next)
			assert_int_equal(ch_time_parse(cases[i].next, &wanted_ms), 0);
		assert_int_equal(ch_answer_next(domain, &next_ms), cases[i].known);
		if (cases[i].known)
			assert_int_equal(next_ms, wanted_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_is_compared_with_the_stores),
		cmocka_unit_test(of_a_name_in_line_the_turn_is_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
