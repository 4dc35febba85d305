/* Commands with a second word: `certherd domain add`. */
#ifndef CH_CLI_VERBS_H
#define CH_CLI_VERBS_H

#include <stddef.h>

struct ch_verb {
	const char *name;
	const char *usage; /* what follows it */
	const char *summary;
	int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

/* Runs the verb in argv[1], or prints the help. */
int ch_verbs_main(const char *command, const char *help, const struct ch_verb *verbs, size_t n,
	int argc, char **argv);

#endif
