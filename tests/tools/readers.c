/* Who stands in the table of readers of a replica's live generation: readers REPLICA prints the
 * process of each place that is taken and the transaction that it reads, or -, one a line.  Looks only: what the dead have left behind
 * stays. */
#include <stdio.h>

#include "edge/generation.h"

static int print_process(const char *line, void *arg)
{
	char txn[32];
	long pid;

	(void)arg;
	/* The first line is a heading. */
	if (sscanf(line, "%ld %*s %31s", &pid, txn) == 2)
		printf("%ld %s\n", pid, txn);
	return 0;
}

int main(int argc, char **argv)
{
	struct ch_generation_open how = {.writer = false};
	struct ch_generation gen;
	struct ch_err err = {.rc = CH_OK};
	char name[CH_GENERATION_NAME_B];
	int status = 0;

	if (argc != 2) {
		fputs("usage: readers REPLICA\n", stderr);
		return 2;
	}
	if (ch_generation_read_pointer(argv[1], CH_REPLICA_CURRENT, name, &err) ||
		ch_generation_check(argv[1], name, &err) ||
		ch_generation_open(argv[1], name, &how, &gen, &err)) {
		fprintf(stderr, "readers: %s\n", err.detail);
		return 1;
	}
	if (mdb_reader_list(gen.env, print_process, NULL) < 0)
		status = 1;
	ch_generation_close(&gen);
	return status;
}
