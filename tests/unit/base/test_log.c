#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* What stands in the log for the text, without the head of the line. */
static const char *logged(const char *text)
{
	static char line[4096];
	FILE *to = tmpfile();
	int kept = dup(STDERR_FILENO);
	const char *body;

	assert_non_null(to);
	assert_true(kept >= 0 && dup2(fileno(to), STDERR_FILENO) >= 0);
	ch_log_warn("%s", text);
	assert_true(dup2(kept, STDERR_FILENO) >= 0);
	close(kept);
	rewind(to);
	line[fread(line, 1, sizeof(line) - 1, to)] = '\0';
	fclose(to);
	assert_true(strlen(line) > 0 && line[strlen(line) - 1] == '\n');
	line[strlen(line) - 1] = '\0';
	body = strstr(line, "certherd  ");
	assert_non_null(body);
	return body + strlen("certherd  ");
}

/* Strangers' text gets there: what they ask for, what their DNS and CAs say. */
static void what_would_act_on_a_terminal_is_not_written(void **state)
{
	static const struct {
		const char *text;
		const char *stands;
	} cases[] = {
		{"one\ntwo\r\t\x1b[2J\x7f", "one?two???[2J?"},
		{"\x9bK", "?K"}, /* C1: as ESC [ */
		{"\xc2\x9bK", "?K"},
		{"a\xe2\x80\xaez", "a?z"}, /* writes from right to left */
		{"\xff\xc3", "??"},
		{"z\xc3\xbcrich \xe4\xbe\x8b", "z\xc3\xbcrich \xe4\xbe\x8b"},
	};

	(void)state;
	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++)
		assert_string_equal(logged(cases[i].text), cases[i].stands);
}

static void what_is_too_long_is_cut(void **state)
{
	char text[4000];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 2 ? '\xbc' : '\xc3';
	text[sizeof(text) - 1] = '\0';
	for (size_t from = 0; from < 2; from++) {
		const char *body = logged(text + 2 - from);
		size_t len = strlen(body);

		assert_in_range(len, 1900, 2047);
		assert_int_equal(body[0], from ? '?' : '\xc3');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_would_act_on_a_terminal_is_not_written),
		cmocka_unit_test(what_is_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
