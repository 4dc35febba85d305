#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/feed.h"
#include "cli/table.h"
#include "cli/text.h"
#include "wire/name.h"
#include "wire/state.h"

#define WATCH_EVERY_S 2

static void print_names(const json_t *names)
{
	printf("Names    %" PRId64, ch_json_int(names, "total"));
	for (int i = 0; i < CH_NAME_STATE_COUNT; i++) {
		const char *state = ch_name_state_str((enum ch_name_state)i);
		int64_t n = ch_json_int(names, state);

		if (n)
			printf(", %" PRId64 " %s", n, state);
	}
	putchar('\n');
}

/* Whom the failed ones wait for. */
static void print_failed(const json_t *failed)
{
	const char *actor;
	const json_t *n;
	bool any = false;

	json_object_foreach((json_t *)failed, actor, n)
	{
		int64_t count = json_integer_value(n);

		if (count <= 0)
			continue;
		printf("%s%s%" PRId64 "%s for the ", any ? ", " : "Failed   ",
			count >= CH_ANSWER_COUNTED_MAX ? ">=" : "", count,
			any	     ? ""
			: count == 1 ? " waits"
				     : " wait");
		ch_text_print(stdout, strcmp(actor, "ca") == 0 ? "CA" : actor);
		any = true;
	}
	if (any)
		putchar('\n');
}

/* After a restore: why nothing is issued yet, and what edges still bring. */
static void print_restore(const json_t *restore)
{
	int64_t from = ch_json_time(restore, "ordering_from");
	char when[64];

	if (!json_is_object(restore))
		return;
	fputs("Restored ", stdout);
	if (from)
		printf("orders begin again %s; ", ch_when_str(from, when));
	printf("edges may hand back until %s\n",
		ch_when_str(ch_json_time(restore, "handback_until"), when));
}

static void print_pruned(const json_t *pruned)
{
	char when[64];

	if (ch_json_time(pruned, "at"))
		printf("Pruned   %" PRId64 " of history, %" PRId64 " orders, %" PRId64
		       " of the audit log; last %s\n",
			ch_json_int(pruned, "history"), ch_json_int(pruned, "orders"),
			ch_json_int(pruned, "audit"),
			ch_when_str(ch_json_time(pruned, "at"), when));
}

/* As the list has it, and beside it what everything else calls it. */
static void print_expiry(const json_t *expiry)
{
	const char *name = ch_json_str(expiry, "name");
	char display[1024];
	char when[64];

	ch_name_display(name, display, sizeof(display));
	fputs("Expires  ", stdout);
	if (ch_text_is_utf8() && strcmp(display, name) != 0) {
		ch_text_print(stdout, display);
		fputs(" (", stdout);
		ch_text_print(stdout, name);
		putchar(')');
	} else {
		ch_text_print(stdout, name);
	}
	printf(" first, %s\n", ch_when_str(ch_json_time(expiry, "not_after"), when));
}

static void print_summary(const json_t *status)
{
	const json_t *expiry = json_object_get(status, "next_expiry");
	const json_t *orders = json_object_get(status, "orders");
	char when[64];

	print_names(json_object_get(status, "names"));
	print_failed(json_object_get(status, "failed"));
	if (ch_json_int(status, "in_line"))
		printf("In line  %" PRId64 " for a limit of a CA: `certherd forecast` says how "
		       "long\n",
			ch_json_int(status, "in_line"));
	printf("Orders   %" PRId64 " open, %" PRId64 " of them waiting\n",
		ch_json_int(orders, "open"), ch_json_int(orders, "waiting"));
	printf("Next due %s\n", ch_when_str(ch_json_time(status, "next_due_at"), when));
	if (json_is_object(expiry))
		print_expiry(expiry);
	print_restore(json_object_get(status, "restore"));
	print_pruned(json_object_get(status, "pruned"));
}

/* "certherd/0.2.0, older than the store" */
static void add_software(struct ch_table *table, const json_t *of, const json_t *status)
{
	const char *software = ch_json_str(of, "software");
	const char *beside = ch_answer_beside_store(software, ch_json_str(status, "version"));

	ch_table_addf(table, "%s%s%s", *software ? software : "-", beside ? ", " : "",
		beside ? beside : "");
}

static void print_edges(const json_t *status)
{
	static const char *const heads[] = {
		"EDGE", "STATE", ">BEHIND", ">NAMES", "SEEN", "SOFTWARE", "TROUBLE"};
	CH_CLEANUP(ch_table_done) struct ch_table table = {.n_cols = 0};
	const json_t *edges = json_object_get(status, "edges");
	const json_t *edge;
	size_t i;
	char when[64];

	if (!json_array_size(edges)) {
		puts("\nNo edge has reported yet: is an agent running?");
		return;
	}
	putchar('\n');
	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(edges, i, edge)
	{
		ch_table_add(&table, ch_json_str(edge, "id"));
		ch_table_add(&table,
			json_is_true(json_object_get(edge, "live")) ? "live" : "silent");
		ch_table_addf(&table, "%s%" PRId64,
			ch_json_int(edge, "lag") >= CH_ANSWER_COUNTED_MAX ? ">=" : "",
			ch_json_int(edge, "lag"));
		ch_table_addf(&table, "%" PRId64, ch_json_int(edge, "names"));
		ch_table_add(&table, ch_when_str(ch_json_time(edge, "seen_at"), when));
		add_software(&table, edge, status);
		ch_table_add(&table, ch_json_str(edge, "error"));
	}
	ch_table_print(&table, stdout);
}

static void print_issuers(const json_t *status)
{
	static const char *const heads[] = {"ISSUER", "STATE", "HEARD", "SOFTWARE", "CAS"};
	CH_CLEANUP(ch_table_done) struct ch_table table = {.n_cols = 0};
	const json_t *issuers = json_object_get(status, "issuers");
	const json_t *issuer;
	char when[64];
	size_t i;

	if (!json_array_size(issuers))
		return;
	putchar('\n');
	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(issuers, i, issuer)
	{
		const json_t *cas = json_object_get(issuer, "cas");
		int64_t heard_ms = ch_json_time(issuer, "heard_at");
		CH_AUTO_BUF struct ch_buf text = {.max_b = 1024};

		for (size_t k = 0; k < json_array_size(cas); k++) {
			const char *ca = json_string_value(json_array_get(cas, k));

			ch_buf_addf(&text, "%s%s", k ? ", " : "", ca ? ca : "?");
		}
		ch_table_add(&table, ch_json_str(issuer, "id"));
		ch_table_add(
			&table, ch_answer_issuer_silent(heard_ms, ch_json_time(status, "now"))
					? "silent"
					: "live");
		ch_table_add(&table, ch_when_str(heard_ms, when));
		add_software(&table, issuer, status);
		ch_table_add(&table, ch_buf_str(&text));
	}
	ch_table_print(&table, stdout);
}

static int show_once(struct ch_client *client, bool clear)
{
	CH_AUTO_JSON json_t *status = NULL;
	struct ch_err err;

	if (ch_client_call(client, "GET", "/v1/status", NULL, &status, &err))
		return ch_client_fail(client, NULL, &err);
	if (clear)
		fputs("\033[H\033[2J", stdout);
	if (client->json) {
		ch_json_print(status);
	} else {
		print_summary(status);
		ch_feed_print_brakes(json_object_get(status, "pools"));
		print_issuers(status);
		print_edges(status);
	}
	return fflush(stdout) ? CH_EXIT_FAILED : CH_EXIT_OK;
}

int ch_status_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	bool watch = false;
	const struct ch_opt list[] = {
		{"watch", NULL, "shows it again every 2 seconds until Ctrl-C", &watch, NULL},
		CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "status",
		.usage = "[--watch] [--json]",
		.help = "Shows how many names are in which state, what is due next, and how "
			"far "
			"behind each edge is.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	code = show_once(&client, watch && isatty(STDOUT_FILENO));
	/* A store that restarts does not end the watch. */
	while (watch && (code == CH_EXIT_OK || code == CH_EXIT_STORE)) {
		sleep(WATCH_EVERY_S);
		if (!isatty(STDOUT_FILENO))
			putchar('\n');
		code = show_once(&client, isatty(STDOUT_FILENO));
	}
	return code;
}
