/* `certherd forecast`: of the store as it stands, or of a scenario (simulate.c). */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/sim_report.h"
#include "cli/table.h"
#include "cli/text.h"

static void add_time(struct ch_table *table, const json_t *of, const char *key)
{
	int64_t at_ms = ch_json_time(of, key);
	char when[64];

	ch_table_add(table, !at_ms		   ? "later"
			    : at_ms <= ch_now_ms() ? "now"
						   : ch_when_str(at_ms, when));
}

static int print_classes(const json_t *list)
{
	static const char *const heads[] = {
		"CLASS", ">WAITING", "FIRST", "HALF", "LAST", "LIMIT"};
	CH_CLEANUP(ch_table_done) struct ch_table table;
	const json_t *class;
	size_t i;

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(list, i, class)
	{
		ch_table_add(&table, ch_json_str(class, "class"));
		ch_table_addf(&table, "%" PRId64, ch_json_int(class, "waiting"));
		add_time(&table, class, "first_at");
		add_time(&table, class, "half_at");
		add_time(&table, class, "done_at");
		ch_table_add(&table, ch_json_str(class, "limit"));
	}
	if (i > 0)
		ch_table_print(&table, stdout);
	else
		puts("No name waits for its turn.");
	return table.rc;
}

static int print_buckets(const json_t *list)
{
	static const char *const heads[] = {"LIMIT", "OF", ">ALLOWED", ">LEFT", ">IN AN HOUR",
		">IN A DAY", ">IN A WEEK", "SHORT UNTIL", "FULL"};
	static const char *const levels[] = {
		"left", "left_in_an_hour", "left_in_a_day", "left_in_a_week"};
	CH_CLEANUP(ch_table_done) struct ch_table table;
	const json_t *bucket;
	size_t i;

	if (!json_array_size(list))
		return CH_OK;
	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(list, i, bucket)
	{
		ch_table_add(&table, ch_json_str(bucket, "limit"));
		ch_table_add(&table, ch_json_str(bucket, "of"));
		ch_table_add(&table, ch_json_str(bucket, "allowed"));
		for (size_t k = 0; k < CH_ARRAY_LEN(levels); k++)
			ch_table_addf(&table, "%" PRId64, ch_json_int(bucket, levels[k]));
		if (ch_json_time(bucket, "short_until"))
			add_time(&table, bucket, "short_until");
		else
			ch_table_add(&table, NULL);
		add_time(&table, bucket, "full_at");
	}
	putchar('\n');
	ch_table_print(&table, stdout);
	return table.rc;
}

static int print_renewals(const json_t *list)
{
	static const char *const heads[] = {"30 DAYS FROM", ">RENEWALS", ">BUSIEST DAY"};
	CH_CLEANUP(ch_table_done) struct ch_table table;
	const json_t *part;
	size_t left_out = 0;
	size_t i;

	if (!json_array_size(list))
		return CH_OK;
	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(list, i, part)
	{
		/* Of certificates that live for years most parts would be empty. */
		if (ch_json_int(part, "renewals") == 0) {
			left_out++;
			continue;
		}
		ch_table_addf(&table, "%.10s", ch_json_str(part, "from"));
		ch_table_addf(&table, "%" PRId64, ch_json_int(part, "renewals"));
		ch_table_addf(&table, "%" PRId64, ch_json_int(part, "busiest_day"));
	}
	putchar('\n');
	if (left_out < json_array_size(list))
		ch_table_print(&table, stdout);
	if (left_out)
		printf("No renewal is planned in %zu %spart%s of 30 days.\n", left_out,
			left_out < json_array_size(list) ? "other " : "",
			left_out == 1 ? "" : "s");
	return table.rc;
}

static void print_advice(const json_t *answer)
{
	const json_t *limited = json_object_get(answer, "limited");
	const char *raise = ch_json_str(answer, "raise");
	const char *ca = ch_json_str(answer, "raise_ca");

	if (json_is_null(limited)) {
		puts("No issuer has asked for work within a week: under which limits names "
		     "wait is not known.");
	} else if (json_is_false(limited)) {
		puts("There is no limit: none is set in the issuers' configuration "
		     "(`limits`).");
	} else if (*raise) {
		fputs("Ask the CA ", stdout);
		ch_text_print(stdout, ca);
		fputs(*ca ? " to raise " : "to raise ", stdout);
		ch_text_print(stdout, raise);
		puts(".");
	} else if (ch_json_int(answer, "uncounted")) {
		puts("Whether a limit needs to be raised is not known until they are.");
	} else {
		puts("No limit needs to be raised.");
	}
}

/* The figures are kept, so that asking costs little: they may be of before an import. */
static void print_age(const json_t *answer)
{
	int64_t uncounted = ch_json_int(answer, "uncounted");
	int64_t at_ms = ch_json_time(answer, "computed_at");
	char when[64];

	if (at_ms)
		printf("\nFigures of %s.", ch_when_str(at_ms, when));
	else
		fputs("\nThe store has not looked ahead yet: run it again in a minute.",
			stdout);
	if (uncounted)
		printf(" %s%" PRId64 " %s not counted yet: run it again in a minute.",
			uncounted >= CH_ANSWER_UNCOUNTED_MAX ? ">=" : "", uncounted,
			uncounted == 1 ? "name is" : "names are");
	putchar('\n');
}

static int print(const json_t *answer)
{
	int rc = print_classes(json_object_get(answer, "classes"));

	if (!rc && json_is_true(json_object_get(answer, "more")))
		puts("... and more, after these.");
	if (!rc)
		rc = print_buckets(json_object_get(answer, "buckets"));
	if (!rc)
		rc = print_renewals(json_object_get(answer, "renewals"));
	if (!rc) {
		print_age(answer);
		print_advice(answer);
	}
	return rc ? CH_EXIT_FAILED : CH_EXIT_OK;
}

static int live(const struct ch_opts *opts, int argc, char **argv, struct ch_client *client)
{
	CH_AUTO_JSON json_t *answer = NULL;
	struct ch_err err;
	size_t n_args;
	int code = ch_client_begin(client, opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (ch_client_call(client, "GET", "/v1/forecast", NULL, &answer, &err))
		return ch_client_fail(client, NULL, &err);
	if (client->json) {
		ch_json_print(answer);
		return CH_EXIT_OK;
	}
	return print(answer);
}

int ch_forecast_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	bool from_store = false;
	const struct ch_opt list[] = {
		{"live", NULL, "of the store as it stands, as without SCENARIO", &from_store,
			NULL},
		CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "forecast",
		.usage = "[SCENARIO] [--json]",
		.help = "Says when the names that wait have their turn under the CA's limits, "
			"how full the\n"
			"buckets will be, how many renewals are planned, and which limit to "
			"ask the CA to\n"
			"raise. With a scenario: the same of its names; its outages and "
			"revocations are not\n"
			"known to it.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_max = 1};
	size_t n_args;
	int rc = ch_opts_parse(&opts, argc, argv, &n_args);

	if (rc)
		return rc == CH_ECANCELED ? CH_EXIT_OK : CH_EXIT_USAGE;
	if (n_args && from_store) {
		fputs("certherd forecast: either --live or a scenario\n", stderr);
		return CH_EXIT_USAGE;
	}
	if (n_args)
		return ch_forecast_scenario(argv[1], client.json);
	return live(&opts, argc, argv, &client);
}
