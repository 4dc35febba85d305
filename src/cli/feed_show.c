#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/feed.h"
#include "cli/text.h"
#include "store/store.h"

static void print_pool_option(const json_t *pool)
{
	const char *name = ch_json_str(pool, "pool");

	if (strcmp(name, CH_STORE_LABEL_DEFAULT) == 0)
		return;
	fputs(" --pool ", stdout);
	ch_text_print(stdout, name);
}

static void print_held(const json_t *pool)
{
	int64_t held = ch_json_int(pool, "held");

	printf("%s%" PRId64 " change%s wait%s",
		held >= CH_ANSWER_COUNTED_MAX ? "at least " : "", held, held == 1 ? "" : "s",
		held == 1 ? "s" : "");
}

static void print_freeze(const json_t *pool)
{
	const json_t *frozen = json_object_get(pool, "frozen");
	const char *who = ch_json_str(frozen, "who");
	char when[64];

	fputs("FROZEN   pool ", stdout);
	ch_text_print(stdout, ch_json_str(pool, "pool"));
	fputs(" since ", stdout);
	ch_text_print(stdout, ch_json_str(frozen, "since"));
	printf(" (%s) by ", ch_when_str(ch_json_time(frozen, "since"), when));
	ch_text_print(stdout, *who ? who : "nobody known");
	fputs(": ", stdout);
	ch_text_print(stdout, ch_json_str(frozen, "reason"));
	fputs("\n         ", stdout);
	print_held(pool);
	fputs(". To go on: certherd feed thaw", stdout);
	print_pool_option(pool);
	putchar('\n');
}

static void print_canary(const json_t *pool)
{
	const json_t *canary = json_object_get(pool, "canary");
	const char *state = ch_json_str(canary, "state");
	const char *stuck = ch_answer_canary_stuck(state);
	const char *trouble = ch_json_str(canary, "trouble");
	char soak[CH_TIME_STR_B];

	fputs(stuck ? "STUCK    canary " : "Canary   ", stdout);
	ch_text_print(stdout, ch_json_str(canary, "edge"));
	printf(", soak %s: ", ch_duration_str(ch_json_int(canary, "soak_ms"), soak));
	if (stuck)
		printf("%s%s", stuck, *trouble ? ": " : "");
	else
		fputs(state, stdout);
	ch_text_print(stdout, trouble);
	fputs("\n         ", stdout);
	if (json_is_object(json_object_get(pool, "frozen"))) {
		puts("It gets nothing either before the thaw.");
		return;
	}
	print_held(pool);
	if (stuck || ch_json_int(pool, "held")) {
		fputs(". To let all through now: certherd feed canary --release", stdout);
		print_pool_option(pool);
	}
	putchar('\n');
}

void ch_feed_print_brakes(const json_t *pools)
{
	const json_t *pool;
	size_t i;

	json_array_foreach(pools, i, pool)
	{
		const json_t *canary = json_object_get(pool, "canary");

		if (json_is_object(json_object_get(pool, "frozen")))
			print_freeze(pool);
		if (json_is_object(canary) &&
			(ch_json_int(pool, "held") ||
				ch_answer_canary_stuck(ch_json_str(canary, "state"))))
			print_canary(pool);
	}
}

void ch_feed_print_pool(const json_t *pool)
{
	bool frozen = json_is_object(json_object_get(pool, "frozen"));
	bool canary = json_is_object(json_object_get(pool, "canary"));

	if (frozen)
		print_freeze(pool);
	if (canary)
		print_canary(pool);
	if (frozen || canary)
		return;
	fputs("Flows    pool ", stdout);
	ch_text_print(stdout, ch_json_str(pool, "pool"));
	puts(": edges get changes at once");
}

int ch_feed_show_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	CH_AUTO_JSON json_t *answer = NULL;
	const struct ch_opt list[] = {CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "feed show",
		.usage = "[--json]",
		.help = "Shows for each pool whether its edges get changes, and what waits.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	const json_t *pool;
	struct ch_err err;
	size_t n_args;
	size_t i;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (ch_client_call(&client, "GET", "/v1/pools", NULL, &answer, &err))
		return ch_client_fail(&client, NULL, &err);
	if (client.json) {
		ch_json_print(json_object_get(answer, "pools"));
		return CH_EXIT_OK;
	}
	json_array_foreach(json_object_get(answer, "pools"), i, pool) ch_feed_print_pool(pool);
	if (i == 0)
		puts("No edge has reported yet, and no pool has rules.");
	return CH_EXIT_OK;
}
