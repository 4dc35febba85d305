/* `certherd alerts`: what operators should know of. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/text.h"

static int print(const json_t *alerts)
{
	static const char *const heads[] = {
		"SEVERITY", "ALERT", "SUBJECT", "SINCE", "UNTIL", "DETAIL"};
	CH_CLEANUP(ch_table_done) struct ch_table table;
	const json_t *alert;
	char when[64];
	size_t i;

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	if (json_array_size(alerts) == 0) {
		printf("Nothing is wrong.\n");
		return 0;
	}
	json_array_foreach(alerts, i, alert)
	{
		const char *subject = ch_json_str(alert, "subject");
		bool open = !json_is_string(json_object_get(alert, "closed_at"));

		ch_table_add(&table, ch_json_str(alert, "severity"));
		ch_table_add(&table, ch_json_str(alert, "kind"));
		ch_table_add(&table, subject[0] ? subject : "-");
		ch_table_add(&table, ch_when_str(ch_json_time(alert, "opened_at"), when));
		ch_table_add(&table,
			open ? "open" : ch_when_str(ch_json_time(alert, "closed_at"), when));
		ch_table_add(&table, ch_json_str(alert, "detail"));
	}
	ch_table_print(&table, stdout);
	return table.rc;
}

static bool is_open(const json_t *alerts)
{
	const json_t *alert;
	size_t i;

	json_array_foreach(alerts, i, alert)
	{
		if (!json_is_string(json_object_get(alert, "closed_at")))
			return true;
	}
	return false;
}

int ch_alerts_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	CH_AUTO_JSON json_t *answer = NULL;
	bool all = false;
	const struct ch_opt list[] = {
		{"all", NULL, "those that are over too", &all, NULL},
		CH_OPT_JSON(&client),
		CH_OPT_CONFIG(&client.config),
	};
	const struct ch_opts opts = {.command = "alerts",
		.usage = "[--all]",
		.help = "Shows what is wrong and since when; exits with 1 while something is.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	const json_t *alerts;
	struct ch_err err;
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (ch_client_call(&client, "GET", all ? "/v1/alerts?state=all" : "/v1/alerts", NULL,
		    &answer, &err))
		return ch_client_fail(&client, NULL, &err);
	alerts = json_object_get(answer, "alerts");
	if (client.json)
		ch_json_print(answer);
	else if (print(alerts))
		return CH_EXIT_FAILED;
	return is_open(alerts) ? CH_EXIT_FAILED : CH_EXIT_OK;
}
