/* A replica's year in virtual time (tests/tools/year.h):
 *
 *   replicayear DIR NAMES LIFETIME-DAYS DAYS BATCH [CHURN-PPM [OUTAGE-PPM]]
 *
 * Prints a line of JSON, with sizes in bytes for each name. */
#include <stdio.h>
#include <stdlib.h>

#include "year.h"

static unsigned number(int argc, char **argv, int at)
{
	return at < argc ? (unsigned)strtoul(argv[at], NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	struct ch_replica_options options = {.reader_gid = -1};
	struct ch_replica_writer *writer;
	struct year_found found;
	struct year_plan plan = {.names = number(argc, argv, 2),
		.lifetime_days = number(argc, argv, 3),
		.days = number(argc, argv, 4),
		.batch = number(argc, argv, 5),
		.churn_ppm = number(argc, argv, 6),
		.outage_ppm = number(argc, argv, 7),
		.seed = 1};
	struct ch_err err = {.rc = CH_OK};
	int rc;

	if (argc < 6 || !plan.names) {
		fprintf(stderr, "see the head of bench/tools/replicayear.c\n");
		return 2;
	}
	options.dir = argv[1];
	rc = ch_replica_writer_open(&options, &writer, &err);
	if (rc == CH_OK)
		rc = year_run(&plan, writer, argv[1], &found);
	if (rc) {
		fprintf(stderr, "replicayear: %s %s\n", ch_rc_str(rc), err.detail);
		return 1;
	}
	ch_replica_writer_free(writer);
	printf("{\"names\": %llu, \"renewed\": %llu, \"batches\": %llu, \"largest_batch\": "
	       "%llu, "
	       "\"fill_b\": %.1f, \"peak_b\": %.1f, \"end_b\": %.1f, \"live_b\": %.1f}\n",
		(unsigned long long)found.names, (unsigned long long)found.renewed,
		(unsigned long long)found.batches, (unsigned long long)found.largest,
		(double)found.fill_b / plan.names, (double)found.peak_b / (double)found.names,
		(double)found.end_b / (double)found.names,
		(double)found.live_b / (double)found.names);
	return 0;
}
