#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/opts.h"
#include "cli/client.h"

#define VERBS_MAX 16

static void print_help(
	const char *command, const char *help, const struct ch_verb *verbs, size_t n, FILE *out)
{
	size_t width = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(verbs[i].name) + strlen(verbs[i].usage);

		width = len > width ? len : width;
	}
	fprintf(out, "Usage: certherd %s COMMAND [options]\n\n%s\n\nCommands:\n", command,
		help);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "  %s %s%*s  %s\n", verbs[i].name, verbs[i].usage,
			(int)(width - strlen(verbs[i].name) - strlen(verbs[i].usage)), "",
			verbs[i].summary);
	fprintf(out, "\nMore: certherd %s COMMAND --help\n", command);
}

int ch_verbs_main(const char *command, const char *help, const struct ch_verb *verbs, size_t n,
	int argc, char **argv)
{
	const char *words[VERBS_MAX];
	const char *meant;

	if (argc < 2) {
		print_help(command, help, verbs, n, stderr);
		return CH_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(command, help, verbs, n, stdout);
		return CH_EXIT_OK;
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	for (size_t i = 0; i < n && i < VERBS_MAX; i++)
		words[i] = verbs[i].name;
	meant = ch_opts_suggest(argv[1], words, n < VERBS_MAX ? n : VERBS_MAX);
	fprintf(stderr, "certherd %s: there is no command \"%s\"", command, argv[1]);
	if (meant)
		fprintf(stderr, ": did you mean \"%s\"?", meant);
	fprintf(stderr, "\nAll of them: certherd %s --help\n", command);
	return CH_EXIT_USAGE;
}
