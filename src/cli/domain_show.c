#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/domain.h"
#include "cli/table.h"
#include "cli/text.h"

static void line(const char *label, const char *text)
{
	printf("%-12s ", label);
	ch_text_print(stdout, *text ? text : "-");
	putchar('\n');
}

static void print_reason(const json_t *reason)
{
	const char *actor = ch_json_str(reason, "actor");
	const char *code = ch_json_str(reason, "code");

	printf("%-12s ", "Reason");
	ch_text_print(stdout, ch_json_str(reason, "detail"));
	if (strcmp(code, "ok") != 0 && *code) {
		fputs(" (", stdout);
		ch_text_print(stdout, code);
		putchar(')');
	}
	putchar('\n');
	if (strcmp(actor, "nobody") != 0)
		line("Must act", actor);
}

/* When the turn of a name that waits is expected. */
static void print_expected(const json_t *expected)
{
	int64_t ahead = ch_json_int(expected, "ahead");
	int64_t at_ms = ch_json_time(expected, "at");
	const char *limit = ch_json_str(expected, "limit");
	char when[64];

	printf("%-12s %s", "Turn", at_ms ? ch_when_str(at_ms, when) : "in more than a year");
	if (*limit) {
		fputs(", for the limit of ", stdout);
		ch_text_print(stdout, ch_answer_limit_str(limit));
	}
	if (json_is_integer(json_object_get(expected, "ahead")))
		printf(", %" PRId64 " before it", ahead);
	putchar('\n');
}

/* For when it is planned, and what the CA says of it. */
static void print_renewal(const json_t *cert)
{
	const json_t *info = json_object_get(cert, "renewal_info");
	char when[64];

	line("Renewal", ch_when_str(ch_json_time(cert, "renew_at"), when));
	if (!json_is_object(info))
		return;
	printf("%-12s ", "CA's window");
	ch_text_print(stdout, ch_json_str(info, "start"));
	fputs(" to ", stdout);
	ch_text_print(stdout, ch_json_str(info, "end"));
	printf(", asked %s\n", ch_when_str(ch_json_time(info, "asked_at"), when));
	if (*ch_json_str(info, "explanation"))
		line("CA explains", ch_json_str(info, "explanation"));
}

static void print_certificate(const json_t *cert)
{
	char when[64];

	if (!json_is_object(cert)) {
		line("Certificate", "none yet");
		return;
	}
	printf("%-12s serial ", "Certificate");
	ch_text_print(stdout, ch_json_str(cert, "serial"));
	fputs(" by ", stdout);
	ch_text_print(stdout, ch_json_str(cert, "issuer"));
	if (ch_json_int(cert, "rolled_back_to"))
		printf(", of version %" PRId64 ", put live by a command",
			ch_json_int(cert, "rolled_back_to"));
	putchar('\n');
	line("CA", *ch_json_str(cert, "ca") ? ch_json_str(cert, "ca") : "unknown");
	printf("%-12s ", "Expires");
	ch_text_print(stdout, ch_json_str(cert, "not_after"));
	printf(" (%s)\n", ch_when_str(ch_json_time(cert, "not_after"), when));
	print_renewal(cert);
}

/* What the name's own lines do not say of its second certificate. */
static void print_second(const json_t *domain)
{
	const json_t *second = json_object_get(domain, "second");
	const json_t *reason = json_object_get(second, "reason");
	char when[64];

	if (!json_is_object(second))
		return;
	printf("\nSecond certificate, for clients that cannot use the first\n");
	print_reason(reason);
	line("Next", ch_when_str(ch_json_time(second, "next_at"), when));
	if (ch_json_int(second, "failures"))
		printf("%-12s %" PRId64 " in a row\n", "Failures",
			ch_json_int(second, "failures"));
	print_certificate(json_object_get(second, "certificate"));
}

/* What is kept for the day on which a CA fails. */
static void print_standby(const json_t *standby, const char *title)
{
	char when[64];

	if (!json_is_object(standby))
		return;
	printf("\n%s\n", title);
	line("Ready", json_is_true(json_object_get(standby, "ready")) ? "yes" : "no");
	print_reason(json_object_get(standby, "reason"));
	line("Wanted from", ch_json_str(standby, "wanted"));
	line("Next", ch_when_str(ch_json_time(standby, "next_at"), when));
	if (ch_json_int(standby, "failures"))
		printf("%-12s %" PRId64 " in a row\n", "Failures",
			ch_json_int(standby, "failures"));
	print_certificate(json_object_get(standby, "certificate"));
}

/* What keeps other accounts, and other CAs, from issuing for the name. */
static void print_caa(const json_t *domain)
{
	const char *name = ch_json_str(domain, "name");
	const json_t *record;
	size_t i;

	json_array_foreach(json_object_get(domain, "caa"), i, record)
	{
		printf("%-12s %s CAA ", i ? "" : "Recommended", ch_answer_caa_owner(name));
		ch_text_print(stdout, json_string_value(record));
		putchar('\n');
	}
}

static void print_cas(const json_t *list)
{
	const json_t *ca;
	size_t i;

	json_array_foreach(list, i, ca)
	{
		printf("%s", i ? ", " : "CAs          ");
		ch_text_print(stdout, json_string_value(ca));
	}
	if (json_array_size(list))
		putchar('\n');
}

/* What the name is validated by, if it is by dns-persist-01. */
static void print_persist(const json_t *domain)
{
	const json_t *record;
	size_t i;

	json_array_foreach(json_object_get(domain, "persist"), i, record)
	{
		printf("%-12s ", i ? "" : "Needed");
		ch_text_print(stdout, ch_json_str(record, "name"));
		fputs(" TXT \"", stdout);
		ch_text_print(stdout, ch_json_str(record, "txt"));
		puts("\"");
	}
}

static void print_delegation(const json_t *delegation)
{
	if (json_is_object(delegation))
		printf("%-12s %s CNAME %s\n", "Delegation", ch_json_str(delegation, "name"),
			ch_json_str(delegation, "cname"));
}

static void print_history(const json_t *history)
{
	static const char *const heads[] = {"AT", "EVENT", "MUST ACT", "DETAIL"};
	CH_CLEANUP(ch_table_done) struct ch_table table = {.n_cols = 0};
	const json_t *event;
	size_t i;

	if (!json_array_size(history))
		return;
	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	json_array_foreach(history, i, event)
	{
		const char *actor = ch_json_str(event, "actor");

		ch_table_add(&table, ch_json_str(event, "at"));
		ch_table_add(&table, ch_json_str(event, "event"));
		ch_table_add(&table, strcmp(actor, "nobody") == 0 ? NULL : actor);
		ch_table_add(&table, ch_json_str(event, "detail"));
	}
	putchar('\n');
	ch_table_print(&table, stdout);
}

static void print_domain(const json_t *domain)
{
	static const struct {
		const char *key;
		const char *label;
	} policy[] = {{"upstream", "Upstream"}, {"hsts", "HSTS"}, {"redirect", "Redirect"}};
	const char *display = ch_json_display(domain);
	const char *name = ch_json_str(domain, "name");
	char when[64];

	ch_text_print(stdout, display);
	if (strcmp(display, name) != 0) {
		fputs(" (", stdout);
		ch_text_print(stdout, name);
		putchar(')');
	}
	putchar('\n');
	line("State", ch_json_str(domain, "state"));
	print_reason(json_object_get(domain, "reason"));
	/* Where a turn is foreseen, next_at says only when the store looks at the name again.
	 */
	if (json_is_object(json_object_get(domain, "expected")))
		print_expected(json_object_get(domain, "expected"));
	else
		line("Next", ch_when_str(ch_json_time(domain, "next_at"), when));
	if (ch_json_int(domain, "failures"))
		printf("%-12s %" PRId64 " in a row\n", "Failures",
			ch_json_int(domain, "failures"));
	if (*ch_json_str(domain, "away_since"))
		line("Away since", ch_json_str(domain, "away_since"));
	if (*ch_json_str(domain, "wanted_at"))
		printf("%-12s a visitor asked for it %s\n", "Wanted",
			ch_when_str(ch_json_time(domain, "wanted_at"), when));
	print_certificate(json_object_get(domain, "certificate"));
	if (json_is_true(json_object_get(domain, "www")))
		line("Shared with", "its www name");
	if (*ch_json_str(domain, "www_of"))
		line("Shared with", ch_json_str(domain, "www_of"));
	line("Tenant", ch_json_str(domain, "tenant"));
	line("Pool", ch_json_str(domain, "pool"));
	for (size_t i = 0; i < CH_ARRAY_LEN(policy); i++)
		if (*ch_json_str(domain, policy[i].key))
			line(policy[i].label, ch_json_str(domain, policy[i].key));
	line("Keys", ch_json_str(domain, "keys"));
	print_cas(json_object_get(domain, "cas"));
	print_delegation(json_object_get(domain, "delegation"));
	print_persist(domain);
	print_caa(domain);
	line("Registered", ch_json_str(domain, "created_at"));
	print_second(domain);
	print_standby(
		json_object_get(domain, "standby"), "Standby certificate, which is not live");
	print_standby(json_object_get(json_object_get(domain, "second"), "standby"),
		"Standby of the second certificate, which is not live");
	print_history(json_object_get(domain, "history"));
}

int ch_domain_show_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	CH_AUTO_JSON json_t *domain = NULL;
	const struct ch_opt list[] = {CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "domain show",
		.usage = "NAME [--json]",
		.help = "Shows the state of a name, who must act, its certificate and its "
			"history.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = 1};
	struct ch_err err;
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (ch_client_call_name(
		    &client, "GET", "/v1/domains/", argv[1], "", NULL, &domain, NULL, &err))
		return ch_client_fail(&client, argv[1], &err);
	if (client.json)
		ch_json_print(domain);
	else
		print_domain(domain);
	return CH_EXIT_OK;
}
