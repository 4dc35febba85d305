/* `certherd rekey`: new certificates for many names before their renewal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

#define BATCH 1000
#define ISSUERS_MAX 20 /* that are listed */
#define WATCH_MS (2 * CH_SECOND_MS)
#define WITHIN_MOST_MS (60 * CH_DAY_MS)

struct rekey {
	struct ch_client client;
	bool all;
	const char *issued_before;
	const char *issuer;
	const char *tenant;
	const char *pool;
	const char *within;
	int64_t within_ms;
	bool dry_run;
	bool status;
	bool watch;
};

static int usage(const struct rekey *r, const char *text)
{
	struct ch_err err;

	(void)ch_err_set(&err, CH_EINVAL, "usage", "%s", text);
	return ch_client_fail(&r->client, NULL, &err);
}

static int put_text(json_t *body, const char *key, const char *text)
{
	return text && json_object_set_new(body, key, json_string(text)) ? CH_ENOMEM : CH_OK;
}

/* One request; *ret_after: cursor of the next, 0 after the last. */
static int ask(struct rekey *r, bool dry_run, uint64_t after, int64_t at_ms, int64_t spacing_us,
	uint64_t *ret_matched, uint64_t *ret_passed_over, uint64_t *ret_after,
	struct ch_err *err)
{
	CH_AUTO_JSON json_t *body = json_pack("{s:i, s:b, s:I}", "max", BATCH, "dry_run",
		dry_run, "spacing_us", (json_int_t)spacing_us);
	CH_AUTO_JSON json_t *answer = NULL;
	char at[CH_TIME_STR_B];
	int rc;

	if (!body || put_text(body, "issued_before", r->issued_before) ||
		put_text(body, "issuer", r->issuer) || put_text(body, "tenant", r->tenant) ||
		put_text(body, "pool", r->pool) ||
		(at_ms && put_text(body, "at", ch_time_str(at_ms, at))) ||
		(after && json_object_set_new(body, "after", json_integer((json_int_t)after))))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_client_call(&r->client, "POST", "/v1/rekey", body, &answer, err);
	if (rc)
		return rc;
	*ret_matched = (uint64_t)ch_json_int(answer, "matched");
	*ret_passed_over = (uint64_t)ch_json_int(answer, "passed_over");
	*ret_after = (uint64_t)ch_json_int(answer, "after");
	return CH_OK;
}

static int go_through(struct rekey *r, bool dry_run, int64_t from_ms, int64_t spacing_us,
	uint64_t *ret_n, uint64_t *ret_passed_over, struct ch_err *err)
{
	bool tty = isatty(STDERR_FILENO) && !r->client.json;
	uint64_t after = 0;
	int rc;

	*ret_n = 0;
	*ret_passed_over = 0;
	do {
		int64_t at_ms = from_ms ? from_ms + (int64_t)*ret_n * spacing_us / 1000 : 0;
		uint64_t matched = 0;
		uint64_t passed_over = 0;

		rc = ask(r, dry_run, after, at_ms, spacing_us, &matched, &passed_over, &after,
			err);
		if (rc)
			break;
		*ret_n += matched;
		*ret_passed_over += passed_over;
		if (tty)
			fprintf(stderr, "\r%s %" PRIu64 " certificates\033[K",
				dry_run ? "counted" : "planned", *ret_n);
	} while (after);
	if (tty)
		fputs("\r\033[K", stderr);
	return rc;
}

/* How the rest will go, by how it has gone. */
static void print_left(const json_t *status)
{
	uint64_t total = (uint64_t)ch_json_int(status, "total");
	uint64_t left = (uint64_t)ch_json_int(status, "left");
	int64_t late = ch_json_int(status, "late");
	int64_t until_ms = ch_json_time(status, "until");
	int64_t began_ms = ch_json_time(status, "began_at");
	char when[64];

	if (!began_ms) {
		puts("Nothing was ever planned.");
		return;
	}
	printf("%" PRIu64 " of %" PRIu64 " certificates replaced since %s", total - left, total,
		ch_when_str(began_ms, when));
	if (!left) {
		puts(": all.");
		return;
	}
	printf(", %" PRIu64 " left", left);
	if (until_ms > ch_now_ms())
		printf("; the last one's turn is %s", ch_when_str(until_ms, when));
	puts(".");
	if (late > 0)
		printf("%" PRId64
		       "%s of them had their turn more than an hour ago: see `certherd "
		       "domain list --state failed` and `certherd limits`.\n",
			late, late == 10000 ? " or more" : "");
}

static int get_status(struct rekey *r, json_t **ret_status, struct ch_err *err)
{
	return ch_client_call(&r->client, "GET", "/v1/rekey", NULL, ret_status, err);
}

static void print_rate(uint64_t done, int64_t took_ms, uint64_t left)
{
	char text[CH_TIME_STR_B];

	if (!done || took_ms <= 0)
		return;
	printf("%.1f a minute now; at this rate %s to go.\n",
		(double)done * CH_MINUTE_MS / (double)took_ms,
		ch_duration_str((int64_t)((double)took_ms * (double)left / (double)done) /
					CH_SECOND_MS * CH_SECOND_MS,
			text));
}

/* Until all are replaced. */
static int watch(struct rekey *r)
{
	int64_t began_ms = ch_mono_ms();
	uint64_t first = UINT64_MAX;
	struct ch_err err;

	for (;;) {
		CH_AUTO_JSON json_t *status = NULL;
		uint64_t left;

		if (get_status(r, &status, &err))
			return ch_client_fail(&r->client, NULL, &err);
		left = (uint64_t)ch_json_int(status, "left");
		if (first == UINT64_MAX)
			first = left;
		if (r->client.json) {
			ch_json_print(status);
		} else {
			print_left(status);
			if (left && left < first)
				print_rate(first - left, ch_mono_ms() - began_ms, left);
		}
		fflush(stdout);
		if (!left)
			return CH_EXIT_OK;
		usleep(WATCH_MS * 1000);
	}
}

static int show_status(struct rekey *r)
{
	CH_AUTO_JSON json_t *status = NULL;
	struct ch_err err;

	if (get_status(r, &status, &err))
		return ch_client_fail(&r->client, NULL, &err);
	if (r->client.json)
		ch_json_print(status);
	else
		print_left(status);
	return CH_EXIT_OK;
}

static void print_spacing(int64_t spacing_us)
{
	char spacing[CH_TIME_STR_B];

	if (spacing_us >= CH_MINUTE_MS * 1000)
		printf(", one every %s", ch_duration_str(spacing_us / 1000, spacing));
	else if (spacing_us)
		printf(", one every %.3g s", (double)spacing_us / 1e6);
	printf(", the oldest first");
}

static void print_plan(
	const struct rekey *r, uint64_t n, uint64_t passed_over, int64_t spacing_us, bool done)
{
	char within[CH_TIME_STR_B];

	if (r->client.json) {
		CH_AUTO_JSON json_t *doc = json_pack("{s:I, s:I, s:b, s:I, s:I}",
			"certificates", (json_int_t)n, "passed_over", (json_int_t)passed_over,
			"planned", done, "within_ms", (json_int_t)r->within_ms, "spacing_us",
			(json_int_t)spacing_us);

		ch_json_print(doc);
		return;
	}
	if (n == 0)
		printf("No live certificate is meant: nothing is replaced.\n");
	else
		printf("%" PRIu64 " certificate%s %s replaced within %s", n, n == 1 ? "" : "s",
			done ? "will be" : "would be", ch_duration_str(r->within_ms, within));
	if (n > 1)
		print_spacing(spacing_us);
	if (n)
		puts(".");
	if (n > 1 && !done)
		printf("These are their turns: where the CA allows fewer orders it takes "
		       "longer. "
		       "`certherd limits` says what it allows.\n");
	if (passed_over)
		printf("%" PRIu64 " %s passed over: paused, moved away, or with an order under "
		       "way.\n",
			passed_over, passed_over == 1 ? "is" : "are");
	if (done && n)
		printf("How far it is: certherd rekey --status (or --watch).\n");
}

/* Adds to the list what is not in it. */
static void note_issuer(json_t *issuers, const json_t *certificate)
{
	const json_t *issuer = json_object_get(certificate, "issuer");
	const json_t *other;
	size_t i;

	json_array_foreach(issuers, i, other)
	{
		if (json_equal(other, issuer))
			return;
	}
	if (json_is_string(issuer) && i < ISSUERS_MAX)
		(void)json_array_append(issuers, (json_t *)issuer);
}

/* Among so many names there is hardly one that is not seen. */
static int list_issuers(struct rekey *r, struct ch_buf *out, struct ch_err *err)
{
	CH_AUTO_JSON json_t *answer = NULL;
	CH_AUTO_JSON json_t *issuers = json_array();
	const json_t *name;
	size_t i;
	int rc = ch_client_call(
		&r->client, "GET", "/v1/domains?state=active&limit=1000", NULL, &answer, err);

	if (rc)
		return rc;
	json_array_foreach(json_object_get(answer, "domains"), i, name)
	{
		note_issuer(issuers, json_object_get(name, "certificate"));
		note_issuer(issuers,
			json_object_get(json_object_get(name, "second"), "certificate"));
	}
	json_array_foreach(issuers, i, name)
	{
		ch_buf_addf(out, "%s\"%s\"", i ? ", " : "", json_string_value(name));
	}
	return out->rc;
}

/* Nothing to do is good news, but not when it is a slip of the pen. */
static int check_issuer(struct rekey *r)
{
	struct rekey all = {.client = r->client, .issuer = r->issuer};
	CH_AUTO_BUF struct ch_buf issuers;
	uint64_t passed_over;
	struct ch_err err;
	uint64_t n;

	ch_buf_init(&issuers, 8192);
	if (go_through(&all, true, 0, 0, &n, &passed_over, &err))
		return ch_client_fail(&r->client, NULL, &err);
	if (n || passed_over)
		return CH_EXIT_OK;
	if (list_issuers(r, &issuers, &err))
		return ch_client_fail(&r->client, NULL, &err);
	(void)ch_err_set(&err, CH_ENOTFOUND, "ca-not-found",
		"no live certificate has \"%.200s\" in the name of its issuer; %s%s", r->issuer,
		issuers.len ? "those that there are: " : "there is none that is live",
		ch_buf_str(&issuers));
	return ch_client_fail(&r->client, NULL, &err);
}

static int plan(struct rekey *r)
{
	uint64_t n;
	uint64_t passed_over;
	int64_t spacing_us;
	struct ch_err err;

	if (go_through(r, true, 0, 0, &n, &passed_over, &err))
		return ch_client_fail(&r->client, NULL, &err);
	if (r->issuer && !n && !passed_over) {
		int code = check_issuer(r);

		if (code)
			return code;
	}
	spacing_us = n ? r->within_ms * 1000 / (int64_t)n : 0;
	if (!r->dry_run && n &&
		go_through(r, false, ch_now_ms(), spacing_us, &n, &passed_over, &err))
		return ch_client_fail(&r->client, NULL, &err);
	print_plan(r, n, passed_over, spacing_us, !r->dry_run);
	return r->watch && !r->dry_run && n ? watch(r) : CH_EXIT_OK;
}

static int run(struct rekey *r)
{
	bool filtered = r->issued_before || r->issuer || r->tenant || r->pool;
	int64_t before_ms;

	if (r->status && (r->all || filtered || r->dry_run))
		return usage(r, "--status stands alone");
	if (r->status)
		return show_status(r);
	if (r->watch && !r->all && !filtered)
		return watch(r);
	if (r->all == filtered)
		return usage(r, "say which certificates: --all, or one or more of "
				"--issued-before, --ca, --tenant and --pool");
	if (r->issued_before && ch_time_parse(r->issued_before, &before_ms))
		return usage(r, "--issued-before is a time as 2026-11-22T10:12:00Z");
	if (ch_duration_parse(r->within, &r->within_ms) || r->within_ms > WITHIN_MOST_MS)
		return usage(r, "--within is a span of time as 24h, at most 60d");
	return plan(r);
}

int ch_rekey_main(int argc, char **argv)
{
	struct rekey r = {.within = "24h"};
	const struct ch_opt list[] = {{"all", NULL, "every live certificate", &r.all, NULL},
		{"issued-before", "TIME", "those that were published before", NULL,
			&r.issued_before},
		{"ca", "TEXT", "those with this text in their issuer's name, in any case", NULL,
			&r.issuer},
		{"tenant", "TENANT", "those of this tenant's names", NULL, &r.tenant},
		{"pool", "POOL", "those of this pool's names", NULL, &r.pool},
		{"within", "TIME", "spread over so long (default: 24h; 0s: all at once)", NULL,
			&r.within},
		{"dry-run", NULL, "say what would be done", &r.dry_run, NULL},
		{"status", NULL, "how far it is", &r.status, NULL},
		{"watch", NULL, "stay, and say so until all are replaced", &r.watch, NULL},
		CH_OPT_JSON(&r.client), CH_OPT_CONFIG(&r.client.config)};
	const struct ch_opts opts = {.command = "rekey",
		.usage = "--all|--issued-before TIME|--ca TEXT|… [options]",
		.help = "Plans new certificates, with new keys, for names whose certificates "
			"must\n"
			"not wait for their renewal: a CA that distrusts or revokes, a key "
			"that is\n"
			"out. The oldest go first; the CA's limits are kept to. What is live "
			"stays\n"
			"until there is something in its place. Repeating it does no harm.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n_args;
	int code = ch_client_begin(&r.client, &opts, argc, argv, &n_args);

	if (code < 0)
		code = run(&r);
	ch_client_done(&r.client);
	return code;
}
