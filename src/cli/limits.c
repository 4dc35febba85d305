/* `certherd limits`: what is used up of the CAs' limits, and who waits for them. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/text.h"

static void add_time(struct ch_table *table, const json_t *bucket, const char *key)
{
	int64_t at_ms = ch_json_time(bucket, key);
	char when[64];

	ch_table_add(table, at_ms <= ch_now_ms() ? "now" : ch_when_str(at_ms, when));
}

static int print(const json_t *answer)
{
	static const char *const heads[] = {"LIMIT", "OF", ">ALLOWED", ">LEFT", "NEXT", "FULL"};
	int64_t waiting = ch_json_int(answer, "waiting");
	CH_CLEANUP(ch_table_done) struct ch_table table;
	const json_t *bucket;
	size_t i;

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(json_object_get(answer, "limits"), i, bucket)
	{
		ch_table_add(&table, ch_json_str(bucket, "limit"));
		ch_table_add(&table, ch_json_str(bucket, "of"));
		ch_table_add(&table, ch_json_str(bucket, "allowed"));
		ch_table_addf(&table, "%" PRId64, ch_json_int(bucket, "left"));
		add_time(&table, bucket, "next_at");
		add_time(&table, bucket, "full_at");
	}
	if (i > 0)
		ch_table_print(&table, stdout);
	else
		puts("No limit of a CA is used up, not even in part.");
	if (json_is_true(json_object_get(answer, "more")))
		puts("... and more.");
	if (waiting > 0)
		printf("%" PRId64 " name%s wait%s for the account's next order; `certherd "
		       "domain show NAME` says when its turn comes.\n",
			waiting, waiting == 1 ? "" : "s", waiting == 1 ? "s" : "");
	return table.rc ? CH_EXIT_FAILED : CH_EXIT_OK;
}

int ch_limits_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	CH_AUTO_JSON json_t *answer = NULL;
	const struct ch_opt list[] = {CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "limits",
		.usage = "[--json]",
		.help = "Shows what is used up of the CAs' limits, when there is more, and how "
			"many names wait.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	struct ch_err err;
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (ch_client_call(&client, "GET", "/v1/limits", NULL, &answer, &err))
		return ch_client_fail(&client, NULL, &err);
	if (client.json) {
		ch_json_print(answer);
		return CH_EXIT_OK;
	}
	return print(answer);
}
