/* `certherd calendar`: the renewals that are planned. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/text.h"

#define BAR_B 41

static int64_t most_of(const json_t *list)
{
	const json_t *item;
	int64_t most = 1;
	size_t i;

	json_array_foreach(list, i, item)
	{
		int64_t n = ch_json_int(item, "renewals");

		most = n > most ? n : most;
	}
	return most;
}

/* key: "day" or "hour"; text_len: how much of the time is shown. */
static int print_list(const json_t *list, const char *head, const char *key, int text_len)
{
	const char *const heads[] = {head, ">RENEWALS", ""};
	CH_CLEANUP(ch_table_done) struct ch_table table;
	int64_t most = most_of(list);
	const json_t *item;
	char bar[BAR_B];
	size_t i;

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(list, i, item)
	{
		int64_t n = ch_json_int(item, "renewals");
		size_t len = n > 0 ? (size_t)((double)n / (double)most * (BAR_B - 1)) : 0;

		len = len < BAR_B ? len : BAR_B - 1;
		memset(bar, '#', len);
		bar[len] = 0;
		ch_table_addf(&table, "%.*s", text_len, ch_json_str(item, key));
		ch_table_addf(&table, "%" PRId64, n);
		ch_table_add(&table, bar);
	}
	ch_table_print(&table, stdout);
	return table.rc;
}

/* What an account may order in a day, if it is limited. */
static void print_account(const json_t *limits)
{
	const json_t *bucket;
	size_t i;

	json_array_foreach(json_object_get(limits, "limits"), i, bucket)
	{
		if (strcmp(ch_json_str(bucket, "limit"), "account") != 0)
			continue;
		fputs("New orders that the account may make (renewals of the same names count "
		      "where "
		      "the CA does not exempt them): ",
			stdout);
		ch_text_print(stdout, ch_json_str(bucket, "allowed"));
		printf(", %" PRId64 " left, ", ch_json_int(bucket, "left"));
		ch_text_print(stdout, ch_json_str(bucket, "of"));
		putchar('\n');
	}
}

static int print(const json_t *calendar, const json_t *limits)
{
	const json_t *days = json_object_get(calendar, "days");
	const json_t *hours = json_object_get(calendar, "busiest");
	int rc = 0;

	printf("Renewals planned: %" PRId64 "\n", ch_json_int(calendar, "total"));
	if (ch_json_int(calendar, "overdue"))
		printf("Overdue, under way or waiting for their next try: %" PRId64 "\n",
			ch_json_int(calendar, "overdue"));
	print_account(limits);
	if (json_array_size(days)) {
		putchar('\n');
		rc = print_list(days, "DAY", "day", 10);
	}
	if (ch_json_int(calendar, "later"))
		printf("Later: %" PRId64 "\n", ch_json_int(calendar, "later"));
	if (rc == 0 && json_array_size(hours)) {
		printf("\nBusiest hours\n");
		rc = print_list(hours, "HOUR (UTC)", "hour", 16);
	}
	return rc ? CH_EXIT_FAILED : CH_EXIT_OK;
}

int ch_calendar_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	CH_AUTO_JSON json_t *calendar = NULL;
	CH_AUTO_JSON json_t *limits = NULL;
	const struct ch_opt list[] = {CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "calendar",
		.usage = "[--json]",
		.help = "Shows how many renewals are planned, by day, and the busiest hours, "
			"beside what\nthe account may order.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	struct ch_err err;
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (ch_client_call(&client, "GET", "/v1/calendar", NULL, &calendar, &err))
		return ch_client_fail(&client, NULL, &err);
	if (client.json) {
		ch_json_print(calendar);
		return CH_EXIT_OK;
	}
	if (ch_client_call(&client, "GET", "/v1/limits", NULL, &limits, &err))
		return ch_client_fail(&client, NULL, &err);
	return print(calendar, limits);
}
