/* What is said to people of the store's answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_is_compared_with_the_stores)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
