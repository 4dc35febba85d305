#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/domain.h"
#include "cli/domain_settings.h"
#include "cli/pools.h"
#include "cli/text.h"

#define WAIT_POLL_MS 500

struct add {
	struct ch_client client;
	bool www;
	struct ch_domain_settings settings;
	bool wait;
	const char *timeout;
	int64_t timeout_ms;
	json_t *results; /* with --json */
};

static json_t *make_body(const struct add *add)
{
	json_t *body = json_object();

	/* What is not given is left as it is when the name exists. */
	if (add->www)
		json_object_set_new(body, "www", json_true());
	(void)ch_domain_settings_put(
		&add->settings, body); /* arguments are checked by the store */
	return body;
}

static void print_result(const json_t *domain, const char *what)
{
	ch_text_print(stdout, ch_json_display(domain));
	printf(": %s\n", what);
}

static bool is_settled(const char *state)
{
	return strcmp(state, "active") == 0 || strcmp(state, "failed") == 0 ||
	       strcmp(state, "moved") == 0 || strcmp(state, "paused") == 0;
}

/* Until the name is active, or failed, or the time is up. */
static int wait_for(struct add *add, const char *name, int64_t until_ms)
{
	for (;;) {
		CH_AUTO_JSON json_t *domain = NULL;
		const json_t *reason;
		const char *state;
		struct ch_err err;

		if (ch_client_call_name(&add->client, "GET", "/v1/domains/", name, "", NULL,
			    &domain, NULL, &err))
			return ch_client_fail(&add->client, name, &err);
		state = ch_json_str(domain, "state");
		reason = json_object_get(domain, "reason");
		if (!is_settled(state) && ch_mono_ms() < until_ms) {
			usleep(WAIT_POLL_MS * 1000);
			continue;
		}
		if (add->client.json) {
			json_array_append(add->results, domain);
		} else {
			ch_text_print(stdout, ch_json_display(domain));
			fputs(is_settled(state) ? ": " : ": still ", stdout);
			ch_text_print(stdout, state);
			if (!is_settled(state))
				printf(" after %s", add->timeout);
			fputs(": ", stdout);
			ch_text_print(stdout, ch_json_str(reason, "detail"));
			putchar('\n');
		}
		return strcmp(state, "active") == 0 ? CH_EXIT_OK : CH_EXIT_FAILED;
	}
}

static int add_one(struct add *add, const char *name, json_t *body)
{
	CH_AUTO_JSON json_t *answer = NULL;
	struct ch_err err;
	int status = 0;

	if (ch_client_call_name(&add->client, "PUT", "/v1/domains/", name, "", body, &answer,
		    &status, &err))
		return ch_client_fail(&add->client, name, &err);
	if (add->client.json && !add->wait)
		json_array_append(add->results, answer);
	else if (!add->client.json)
		print_result(answer,
			status == 201 ? "registered"
			: json_object_size(body)
				? "was registered already; what was given now holds for it"
				: "was registered already");
	return CH_EXIT_OK;
}

static void warn_of_pool(struct add *add)
{
	const char *pool = add->settings.pool;
	CH_AUTO_JSON json_t *pools = pool && *pool ? json_pack("{s:b}", pool, 1) : NULL;

	ch_pools_warn(&add->client, pools);
}

static int add_all(struct add *add, char **names, size_t n)
{
	CH_AUTO_JSON json_t *body = make_body(add);
	int64_t until_ms;
	size_t failed = 0;
	int worst = CH_EXIT_OK;

	for (int waiting = 0; waiting <= (int)add->wait; waiting++) {
		until_ms = ch_mono_ms() + add->timeout_ms;
		for (size_t i = 0; i < n; i++) {
			int code = waiting ? wait_for(add, names[i], until_ms)
					   : add_one(add, names[i], body);

			failed += code != CH_EXIT_OK;
			worst = code > worst ? code : worst;
			if (code == CH_EXIT_STORE)
				return code;
		}
		/* Before names are waited for: it is why they would wait. */
		if (!waiting && failed < n)
			warn_of_pool(add);
		if (worst)
			break;
		/* Whoever waits wants to see for what, also through a pipe. */
		(void)fflush(stdout);
	}
	return failed && failed < n ? CH_EXIT_PARTLY : worst;
}

int ch_domain_add_main(int argc, char **argv)
{
	struct add add = {.timeout = NULL};
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const struct ch_opt list[] = {
		{"www", NULL, "the certificate also covers www.NAME", &add.www, NULL},
		{"tenant", "TEXT", "whose name it is (default: default)", NULL,
			&add.settings.tenant},
		{"pool", "TEXT", "the pool of edges that serve it (default: default)", NULL,
			&add.settings.pool},
		{"keys", "KEYS",
			"ecdsa, p384 or rsa; ecdsa+rsa, p384+rsa: two certificates (default: "
			"the "
			"store's)",
			NULL, &add.settings.keys},
		{"cas", "CAS",
			"the CAs that it may use, in order, such as main,backup (default: the "
			"issuer's)",
			NULL, &add.settings.cas},
		{"standby", "CA|none", "from which CA it has a standby certificate, or none",
			NULL, &add.settings.standby},
		{"upstream", "TEXT", "what the edges' configuration maps to addresses", NULL,
			&add.settings.upstream},
		{"hsts", "TEXT", "value of Strict-Transport-Security, such as max-age=300",
			NULL, &add.settings.hsts},
		{"redirect", "TEXT", "none, or the name to redirect to (default: to HTTPS)",
			NULL, &add.settings.redirect},
		{"wait", NULL, "waits until the names are active, or have failed", &add.wait,
			NULL},
		{"timeout", "SPAN", "how long to wait, such as 30s or 10m (default: 10m)", NULL,
			&add.timeout},
		CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "domain add",
		.usage = "NAME... [--www] [--tenant TEXT] [--pool TEXT] [--keys KEYS]\n"
			 "[--cas CAS] [--standby CA] [--upstream TEXT] [--hsts TEXT] "
			 "[--redirect TEXT]\n[--wait] [--timeout SPAN] [--json]",
		.help = "Registers names; certherd then gets and renews their certificates. "
			"Names may be given\nin any script. A name that is registered already "
			"is left as it is but for the options\ngiven; an empty TEXT takes one "
			"back.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = CH_DOMAIN_ARGS_MAX};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (add.timeout && !add.wait) {
		fprintf(stderr, "certherd domain add: --timeout is for --wait, which is not "
				"given\n");
		return CH_EXIT_USAGE;
	}
	if (!add.timeout)
		add.timeout = "10m";
	if (ch_duration_parse(add.timeout, &add.timeout_ms)) {
		fprintf(stderr,
			"certherd domain add: --timeout takes a span such as 30s or 10m\n");
		return CH_EXIT_USAGE;
	}
	add.client = client;
	add.results = json_array();
	code = add_all(&add, argv + 1, n_args);
	if (client.json)
		ch_json_print(add.results);
	json_decref(add.results);
	return code;
}
