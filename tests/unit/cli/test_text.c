#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "cli/text.h"

/* False: this machine has nothing to make it of. */
static bool make_locale(const char *dir, const char *locale, const char *charset)
{
	char command[256];

	snprintf(command, sizeof(command), "localedef -i %s -f %s %s/%s.%s >%s/log 2>&1",
		locale, charset, dir, locale, charset, dir);
	if (system(command) != 0)
		return false;
	snprintf(command, sizeof(command), "%s.%s", locale, charset);
	setenv("LOCPATH", dir, 1);
	setenv("LC_ALL", command, 1);
	return true;
}

static void remove_dir(const char *dir)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	unsetenv("LOCPATH");
	unsetenv("LC_ALL");
}

/* In Turkish 'I' is no capital 'i': what CAs, the DNS and HTTP write in capitals was another
 * name there. */
static void letters_are_those_of_ascii_in_every_locale(void **state)
{
	static const struct {
		const char *locale;
		const char *charset;
		bool utf8;
	} cases[] = {{"tr_TR", "UTF-8", true}, {"de_DE", "ISO-8859-1", false}};
	char dir[] = "/tmp/certherd-text-XXXXXX";
	size_t made = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!make_locale(dir, cases[i].locale, cases[i].charset))
			continue;
		made++;
		ch_text_init();
		assert_int_equal(ch_text_is_utf8(), cases[i].utf8);
		assert_int_equal(tolower('I'), 'i');
		assert_int_equal(strcasecmp("ISSUE", "issue"), 0);
		assert_false(isalnum(0xe9));
		/* As wide as it is: the columns of tables depend on it. */
		if (cases[i].utf8)
			assert_int_equal(ch_text_width("\xe4\xbe\x8b"), 2);
	}
	remove_dir(dir);
	setlocale(LC_CTYPE, "C");
	if (made == 0)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_are_those_of_ascii_in_every_locale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
