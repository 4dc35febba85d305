/* The values that options take, where they can be told: which there are, or some of them. */
#ifndef CH_BASE_OPTS_WORDS_H
#define CH_BASE_OPTS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

/* What the help calls a value ("KEYS", as ch_opt.arg or as the first word of a usage) names its
 * kind.  A kind that is not in the table has any value. */
struct ch_opt_kind {
	const char *name;
	const char *const *words; /* NULL ends them */
	bool open;		  /* there are others, so that none is refused */
	/* More words: a list in the configuration; NULL: none. */
	const char *section;
	const char *key;
};

/* Borrowed; for all options of the program. */
void ch_opts_set_kinds(const struct ch_opt_kind *list, size_t n);

/* arg: "KEYS", or several in the place of one: "system|any|FILE", of which what is written
 * small is a value itself. */
bool ch_opts_allow(const char *arg, const char *value);
/* One a line; those of the configuration, if it can be read, last. */
void ch_opts_print_words(const char *arg, const char *config, FILE *out);
/* "a, b or c": all that a closed kind allows. */
void ch_opts_list_words(const char *arg, struct ch_buf *out);

#endif
