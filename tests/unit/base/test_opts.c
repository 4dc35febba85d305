#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/opts.h"
#include "base/opts_words.h"

static bool www;
static const char *tenant;
static const struct ch_opt list[] = {
	{"www", NULL, "with www", &www, NULL}, {"tenant", "TEXT", "whose", NULL, &tenant}};
static const struct ch_opts opts = {.command = "x",
	.usage = "NAME",
	.help = "Does it.",
	.list = list,
	.n = 2,
	.args_min = 1,
	.args_max = 2};

#define PARSE(n_args, ...)                                                                     \
	({                                                                                     \
		const char *words[] = {"x", __VA_ARGS__, NULL};                                \
		memcpy(argv, words, sizeof(words));                                            \
		www = false;                                                                   \
		tenant = NULL;                                                                 \
		ch_opts_parse(&opts, (int)CH_ARRAY_LEN(words) - 1, argv, n_args);              \
	})

static void options_and_arguments_mix(void **state)
{
	char *argv[10];
	size_t n;

	assert_int_equal(PARSE(&n, "a", "--www", "--tenant", "t1", "b"), CH_OK);
	assert_int_equal(n, 2);
	assert_true(www);
	assert_string_equal(tenant, "t1");
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "b");
	assert_int_equal(PARSE(&n, "--tenant=--www", "-"), CH_OK);
	assert_false(www);
	assert_string_equal(tenant, "--www");
	assert_string_equal(argv[1], "-");
	assert_int_equal(PARSE(&n, "--tenant=", "--", "--www"), CH_OK);
	assert_string_equal(tenant, "");
	assert_string_equal(argv[1], "--www");
	assert_false(www);
}

static void what_is_not_in_the_table_is_refused(void **state)
{
	char *argv[10];
	size_t n;

	assert_int_equal(PARSE(&n, "a", "--wwww"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "a", "--ww"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "a", "-w"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "a", "-www"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "a", "--=x"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "a", "--www=yes"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "a", "--tenant"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "--www"), CH_EINVAL);
	assert_int_equal(PARSE(&n, "a", "b", "c"), CH_EINVAL);
}

static void help_ends_the_parse(void **state)
{
	char *argv[10];
	size_t n;

	assert_int_equal(PARSE(&n, "--help"), CH_ECANCELED);
	assert_int_equal(PARSE(&n, "a", "b", "c", "-h"), CH_ECANCELED);
}

static void a_hidden_option_works_and_is_not_in_the_help(void **state)
{
	bool hidden = false;
	const struct ch_opt mixed[] = {
		{"secret", NULL, NULL, &hidden, NULL}, {"www", NULL, "with www", &www, NULL}};
	const struct ch_opts some = {
		.command = "x", .usage = "", .help = "Does it.", .list = mixed, .n = 2};
	char given[] = "--secret";
	char *argv[] = {given, given, NULL};
	char *help = NULL;
	size_t help_b = 0;
	FILE *out = open_memstream(&help, &help_b);
	size_t n;

	assert_int_equal(ch_opts_parse(&some, 2, argv, &n), CH_OK);
	assert_true(hidden);
	ch_opts_print_help(&some, out);
	fclose(out);
	assert_non_null(strstr(help, "--www"));
	assert_null(strstr(help, "secret"));
	free(help);
}

static void a_misspelling_is_recognized_and_nonsense_is_not(void **state)
{
	static const char *const words[] = {"domain", "status", "probe", "up"};

	assert_string_equal(ch_opts_suggest("domian", words, 4), "domain");
	assert_string_equal(ch_opts_suggest("stats", words, 4), "status");
	assert_string_equal(ch_opts_suggest("pu", words, 4) ? "some" : "none", "none");
	assert_null(ch_opts_suggest("certificate", words, 4));
	assert_null(ch_opts_suggest("", words, 4));
}

static void the_configuration_is_given_or_from_the_environment_or_the_default(void **state)
{
	unsetenv("CERTHERD_CONFIG");
	assert_string_equal(ch_opts_config(NULL), CH_CONFIG_DEFAULT);
	setenv("CERTHERD_CONFIG", "/env", 1);
	assert_string_equal(ch_opts_config(NULL), "/env");
	assert_string_equal(ch_opts_config("/given"), "/given");
	unsetenv("CERTHERD_CONFIG");
}

static const char *const colours[] = {"red", "green", NULL};
static const struct ch_opt_kind kinds[] = {{.name = "COLOUR", .words = colours},
	{.name = "PLACE", .words = colours, .open = true, .section = "s", .key = "places"}};

static void a_closed_kind_has_no_other_values(void **state)
{
	CH_AUTO_BUF struct ch_buf text = {.max_b = 100};

	ch_opts_set_kinds(kinds, CH_ARRAY_LEN(kinds));
	assert_true(ch_opts_allow("COLOUR", "red"));
	assert_false(ch_opts_allow("COLOUR", "re"));
	assert_false(ch_opts_allow("COLOUR", ""));
	assert_false(ch_opts_allow("COLOUR|none", "blue"));
	assert_true(ch_opts_allow("COLOUR|none", "none"));
	assert_true(ch_opts_allow("COLOUR|FILE", "blue"));
	assert_true(ch_opts_allow("PLACE", "anywhere"));
	assert_true(ch_opts_allow("TEXT", ""));
	assert_true(ch_opts_allow("mailto:ADDRESS", "mailto:a@b.example"));
	ch_opts_list_words("COLOUR|none", &text);
	assert_string_equal(ch_buf_str(&text), "red, green or none");
	ch_buf_reset(&text);
	ch_opts_list_words("one|two", &text);
	assert_string_equal(ch_buf_str(&text), "one or two");
	ch_opts_set_kinds(NULL, 0);
	assert_true(ch_opts_allow("COLOUR", "blue"));
}

static void a_value_that_is_none_is_refused_when_it_is_read(void **state)
{
	const char *colour = NULL;
	const struct ch_opt one = {"colour", "COLOUR", "which", NULL, &colour};
	const struct ch_opts some = {
		.command = "x", .usage = "", .help = "", .list = &one, .n = 1};
	char *good[] = {"x", "--colour", "green", NULL};
	char *bad[] = {"x", "--colour=blue", NULL};
	char *words[] = {"x", "--help=colour", "--colour=blue", NULL};
	char *nothing[] = {"x", "--help=nothing", NULL};
	size_t n;

	ch_opts_set_kinds(kinds, CH_ARRAY_LEN(kinds));
	assert_int_equal(ch_opts_parse(&some, 3, good, &n), CH_OK);
	assert_string_equal(colour, "green");
	assert_int_equal(ch_opts_parse(&some, 2, bad, &n), CH_EINVAL);
	assert_string_equal(colour, "green");
	assert_int_equal(ch_opts_parse(&some, 3, words, &n), CH_ECANCELED);
	assert_int_equal(ch_opts_parse(&some, 2, nothing, &n), CH_ECANCELED);
	ch_opts_set_kinds(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_arguments_mix),
		cmocka_unit_test(what_is_not_in_the_table_is_refused),
		cmocka_unit_test(help_ends_the_parse),
		cmocka_unit_test(a_closed_kind_has_no_other_values),
		cmocka_unit_test(a_value_that_is_none_is_refused_when_it_is_read),
		cmocka_unit_test(a_hidden_option_works_and_is_not_in_the_help),
		cmocka_unit_test(a_misspelling_is_recognized_and_nonsense_is_not),
		cmocka_unit_test(
			the_configuration_is_given_or_from_the_environment_or_the_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
