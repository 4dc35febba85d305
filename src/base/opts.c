#include "base/opts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/opts_words.h"

#define WORD_MAX 32

/* Levenshtein distance of two words, cut at WORD_MAX characters. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1];
	size_t la = strnlen(a, WORD_MAX);
	size_t lb = strnlen(b, WORD_MAX);

	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *ch_opts_suggest(const char *text, const char *const *words, size_t n)
{
	size_t least = strlen(text) < 4 ? 2 : 3;
	const char *best = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(text, words[i]);

		if (d < least) {
			least = d;
			best = words[i];
		}
	}
	return best;
}

const char *ch_opts_config(const char *given)
{
	const char *from_env = getenv("CERTHERD_CONFIG");

	if (given)
		return given;
	return from_env && *from_env ? from_env : CH_CONFIG_DEFAULT;
}

static int option_width(const struct ch_opt *opt)
{
	return (int)(strlen(opt->name) + (opt->arg ? strlen(opt->arg) + 1 : 0));
}

void ch_opts_print_help(const struct ch_opts *opts, FILE *out)
{
	int width = (int)strlen("help");

	for (size_t i = 0; i < opts->n; i++)
		if (opts->list[i].help && option_width(&opts->list[i]) > width)
			width = option_width(&opts->list[i]);
	fprintf(out, "Usage: certherd %s %s\n\n%s\n\nOptions:\n", opts->command, opts->usage,
		opts->help);
	for (size_t i = 0; i < opts->n; i++) {
		const struct ch_opt *o = &opts->list[i];

		if (o->help)
			fprintf(out, "  --%s%s%s%*s  %s\n", o->name, o->arg ? " " : "",
				o->arg ? o->arg : "", width - option_width(o), "", o->help);
	}
	fprintf(out, "  --help%*s  this text\n", width - (int)strlen("help"), "");
}

static int complain(const struct ch_opts *opts, const char *fmt, ...) CH_PRINTF(2, 3);
static int complain(const struct ch_opts *opts, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "certherd %s: ", opts->command);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nUsage: certherd %s %s\nMore: certherd %s --help\n", opts->command,
		opts->usage, opts->command);
	return CH_EINVAL;
}

static int unknown_option(const struct ch_opts *opts, const char *given)
{
	const char *words[WORD_MAX];
	size_t n = 0;
	const char *meant;

	for (size_t i = 0; i < opts->n && n < WORD_MAX; i++)
		if (opts->list[i].help)
			words[n++] = opts->list[i].name;
	meant = ch_opts_suggest(given + strspn(given, "-"), words, n);
	if (meant)
		return complain(opts, "unknown option %s: did you mean --%s?", given, meant);
	return complain(opts, "unknown option %s", given);
}

static const struct ch_opt *find(const struct ch_opts *opts, const char *name, size_t len)
{
	for (size_t i = 0; i < opts->n; i++)
		if (strlen(opts->list[i].name) == len &&
			memcmp(opts->list[i].name, name, len) == 0)
			return &opts->list[i];
	return NULL;
}

static int refuse(const struct ch_opts *opts, const struct ch_opt *o, const char *value)
{
	CH_AUTO_BUF struct ch_buf words = {.max_b = 1024};

	ch_opts_list_words(o->arg, &words);
	return complain(
		opts, "--%s must be %s, and not \"%s\"", o->name, ch_buf_str(&words), value);
}

/* Takes the option at argv[*at] and its value. */
static int take(const struct ch_opts *opts, int argc, char **argv, int *at)
{
	const char *given = argv[*at];
	size_t len = strcspn(given, "=");
	const char *value;
	const struct ch_opt *o =
		len > 2 && given[1] == '-' ? find(opts, given + 2, len - 2) : NULL;

	if (!o)
		return unknown_option(opts, given);
	if (!o->arg) {
		if (given[len])
			return complain(opts, "--%s takes no value", o->name);
		*o->ret_set = true;
		return CH_OK;
	}
	if (!given[len] && *at + 1 >= argc)
		return complain(opts, "--%s needs a value: %s", o->name, o->arg);
	value = given[len] ? given + len + 1 : argv[++*at];
	if (!ch_opts_allow(o->arg, value))
		return refuse(opts, o, value);
	*o->ret_s = value;
	return CH_OK;
}

/* --help=OPTION: what the option takes; --help=: what the command does. */
static void print_words(const struct ch_opts *opts, const char *name)
{
	const struct ch_opt *config = find(opts, "config", strlen("config"));
	const struct ch_opt *o = find(opts, name, strlen(name));
	char first[32];

	snprintf(first, sizeof(first), "%.*s", (int)strcspn(opts->usage, " .["), opts->usage);
	if (!*name || (o && o->arg))
		ch_opts_print_words(o ? o->arg : first,
			ch_opts_config(config ? *config->ret_s : NULL), stdout);
}

int ch_opts_parse(const struct ch_opts *opts, int argc, char **argv, size_t *ret_n_args)
{
	int n = 0;
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		int rc;

		if (ended || a[0] != '-' || !a[1]) { /* "-" alone is an argument: stdin */
			argv[++n] = argv[i];
			continue;
		}
		if (strcmp(a, "--") == 0) {
			ended = true;
			continue;
		}
		if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
			ch_opts_print_help(opts, stdout);
			return CH_ECANCELED;
		}
		if (strncmp(a, "--help=", 7) == 0) {
			print_words(opts, a + 7);
			return CH_ECANCELED;
		}
		rc = take(opts, argc, argv, &i);
		if (rc)
			return rc;
	}
	if ((size_t)n < opts->args_min)
		return complain(
			opts, "%.*s is missing", (int)strcspn(opts->usage, " ."), opts->usage);
	if ((size_t)n > opts->args_max)
		return complain(opts, "unexpected argument: %s", argv[opts->args_max + 1]);
	*ret_n_args = (size_t)n;
	return CH_OK;
}
