/* Options of a command line: one table per command, which also prints its help. */
#ifndef CH_BASE_OPTS_H
#define CH_BASE_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

struct ch_opt {
	const char *name;   /* "tenant": given as --tenant TEXT or --tenant=TEXT */
	const char *arg;    /* what the help calls the value, e.g. "TEXT": names which there are
			     * (base/opts_words.h); NULL: a switch */
	const char *help;   /* one sentence; NULL: hidden, for tests and tools */
	bool *ret_set;	    /* for a switch */
	const char **ret_s; /* for a value: borrowed from argv; the last one counts */
};

/* Every command of this program has it; NULL: $CERTHERD_CONFIG, else CH_CONFIG_DEFAULT. */
#define CH_CONFIG_DEFAULT "/etc/certherd/certherd.conf"
#define CH_OPT_CONFIG(to)                                                                      \
	{                                                                                      \
		"config", "FILE",                                                              \
			"configuration (default: $CERTHERD_CONFIG, else " CH_CONFIG_DEFAULT    \
			")",                                                                   \
			NULL, to                                                               \
	}

struct ch_opts {
	const char *command; /* "domain add" */
	const char *usage;   /* what follows the command: "NAME... [options]" */
	const char *help;    /* what it does: one or more lines, no newline at the end */
	const struct ch_opt *list;
	size_t n;
	size_t args_min; /* arguments that are not options */
	size_t args_max;
};

/* argv[0] is the command itself.  --help=OPTION prints the values that can be told, one a line,
 * for completion, and --help= those of the first argument.  Options may come after arguments;
 * `--` ends them.  The arguments are moved to argv[1 …] and counted.  CH_ECANCELED: --help was
 * given and printed (exit 0); CH_EINVAL: what is wrong was printed on stderr (exit 2). */
CH_MUST int ch_opts_parse(
	const struct ch_opts *opts, int argc, char **argv, size_t *ret_n_args);
/* What --help prints. */
void ch_opts_print_help(const struct ch_opts *opts, FILE *out);
/* The path of the configuration: given, or the environment's, or the default. */
const char *ch_opts_config(const char *given);

/* The word of the list that text is most likely a misspelling of, or NULL. */
const char *ch_opts_suggest(const char *text, const char *const *words, size_t n);

#endif
