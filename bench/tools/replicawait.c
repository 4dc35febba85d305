/* Waits until names are live in a replica: replicawait DIR COUNT SECONDS < names
 *
 * Of the names on standard input (one a line, at most COUNT of them), each must have a
 * certificate.  Prints what CLOCK_MONOTONIC said, in seconds, when the last one was found;
 * exits with 1 when that takes longer than SECONDS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/replica.h"

#define LOOK_US 2000

static char (*names)[256];
static size_t n_names;

static void read_names(size_t most)
{
	names = calloc(most, sizeof(*names));
	while (names && n_names < most && fgets(names[n_names], sizeof(*names), stdin)) {
		names[n_names][strcspn(names[n_names], "\n")] = 0;
		n_names++;
	}
}

/* How many of the names from `from` on are live without a gap. */
static size_t look(struct ch_replica_reader *reader, size_t from)
{
	size_t n = 0;

	if (ch_replica_begin(reader))
		return 0;
	while (from + n < n_names) {
		const char *name = names[from + n];
		struct ch_record record;
		const uint8_t *bytes;
		size_t len;

		if (ch_replica_get(reader, name, strlen(name), &record, &bytes, &len) ||
			record.kind != CH_RECORD_CERT)
			break;
		n++;
	}
	ch_replica_end(reader);
	return n;
}

int main(int argc, char **argv)
{
	struct ch_replica_reader *reader;
	struct timespec now;
	int64_t until_ms;
	size_t live = 0;

	if (argc != 4 || ch_replica_reader_new(argv[1], &reader))
		return 2;
	until_ms = ch_mono_ms() + strtol(argv[3], NULL, 10) * CH_SECOND_MS;
	read_names(strtoul(argv[2], NULL, 10));
	while (live < n_names) {
		struct ch_err err;

		if (ch_mono_ms() > until_ms) {
			fprintf(stderr, "replicawait: %zu of %zu are live, not %s\n", live,
				n_names, names[live]);
			return 1;
		}
		if (!ch_replica_reader_is_open(reader) &&
			ch_replica_reader_poll(reader, &err) < 0)
			fprintf(stderr, "replicawait: %s\n", err.detail);
		live += look(reader, live);
		usleep(LOOK_US);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%.6f\n", (double)now.tv_sec + (double)now.tv_nsec / 1e9);
	ch_replica_reader_free(reader);
	return 0;
}
