#include "stored/alerts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/edge_error.h"

/* Fewer, or a smaller part, come to fail every day: customers' DNS. */
#define FAILING_LEAST 10
#define FAILING_PERCENT 20
#define WAITS_MS (15 * CH_MINUTE_MS)
#define BEHIND_RECORDS 1000
/* A freeze that was meant is no trouble for so long, and for less long where somebody waits. */
#define FROZEN_MS CH_DAY_MS
#define FROZEN_HOLDS_MS (4 * CH_HOUR_MS)
#define SHORT_MS CH_DAY_MS
#define DOMAINS_MAX 20 /* that are told of */
/* Edges are forgotten by hand only: one that is gone for so long is not mended any more. */
#define SILENT_MOST_MS (30 * CH_DAY_MS)

bool ch_alert_kind_is_known(const char *kind)
{
#define X(word) word,
	static const char *const kinds[] = {CH_ALERT_KINDS(X)};
#undef X

	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

/* What did not fit may have been cut inside of a character. */
static void cut(char *text)
{
	size_t len = strlen(text);
	size_t at = len;

	while (at > 0 && len - at < 4 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at > 0 && (unsigned char)text[at - 1] >= 0xc0)
		at--;
	if (len == CH_STORE_ALERT_DETAIL_MAX)
		text[at] = 0;
}

CH_PRINTF(5, 6)
static void add(struct ch_troubles *troubles, const char *kind, const char *subject,
	bool critical, const char *fmt, ...)
{
	char detail[CH_STORE_ALERT_DETAIL_MAX + 1];
	const char *copy;
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	cut(detail);
	copy = ch_arena_fmt(troubles->arena, "%s", detail);
	if (!copy || troubles->n == CH_STORE_TROUBLES_MAX)
		return;
	troubles->list[troubles->n++] = (struct ch_store_trouble){.kind = kind,
		.subject = subject,
		.source = CH_TROUBLES_OWN,
		.detail = copy,
		.critical = critical};
}

/* Not of what has an alert of its own, which tells of it once and not for each name: a feed
 * that was frozen, or a canary that is stuck. */
static void add_waiting(struct ch_troubles *t, uint64_t platform, uint64_t operator_)
{
	uint64_t n = platform + operator_;
	const char *who = platform ? "platform" : "operator";

	if (platform && operator_)
		add(t, "platform-must-act", "", false,
			"%" PRIu64 " names wait for the platform, %" PRIu64
			" for an operator: `certherd domain list --actor platform`, or "
			"operator, says why.",
			platform, operator_);
	else if (n)
		add(t, "platform-must-act", "", false,
			"%" PRIu64
			" %s for the %s: `certherd domain list --actor %s` says why.",
			n, n == 1 ? "name waits" : "names wait", who, who);
}

static int look_at_names(struct ch_troubles *t, struct ch_store *store, struct ch_arena *arena)
{
	struct ch_store_danger danger;
	struct ch_store_status status;
	struct ch_store_figures figures;
	char when[CH_TIME_STR_B];
	int rc = ch_store_get_danger(store, arena, &danger);

	if (!rc)
		rc = ch_store_get_status(store, arena, &status);
	if (!rc)
		rc = ch_store_get_figures(store, &figures);
	if (rc)
		return rc;
	if (danger.n)
		add(t, "certificates-in-danger", "", true,
			"%" PRIu64
			"%s certificates have less than a tenth of their lifetime left "
			"and were not renewed; the first, %s, ends at %s.",
			danger.n, danger.n == CH_STORE_DANGER_MAX ? " or more" : "",
			danger.name, ch_time_str(danger.ends_ms, when));
	if (danger.paused)
		add(t, "account-paused", "", false,
			"%" PRIu64
			"%s names are paused by the CA for our account until a person acts: "
			"`certherd domain list --state paused`. The first, %s: %s",
			danger.paused, danger.paused == CH_STORE_DANGER_MAX ? " or more" : "",
			danger.paused_name, danger.paused_detail);
	if (danger.failing > FAILING_LEAST &&
		danger.failing * 100 > (danger.failing + danger.published) * FAILING_PERCENT)
		add(t, "names-failing", "", false,
			"%" PRIu64 " names that have a certificate have come to fail lately, "
			"%" PRIu64 " got a new one: has an address of your own changed? "
			"`certherd domain list --state failed` says why.",
			danger.failing, danger.published);
	if (status.next_due_ms && status.next_due_ms < ch_now_ms() - WAITS_MS)
		add(t, "work-waits", "", false,
			"Work has been due since %s and no issuer takes it: is there one that "
			"runs, "
			"and gets on?",
			ch_time_str(status.next_due_ms, when));
	add_waiting(t, figures.actors[CH_ACTOR_PLATFORM], figures.operators_own);
	return CH_OK;
}

static bool add_account(
	struct ch_troubles *t, const struct ch_store_bucket *l, uint64_t n_waiting)
{
	int64_t last_ms = (int64_t)((double)n_waiting * (double)l->limit.refill_us / 1000);

	if (l->paced != CH_PACED_ACCOUNT || last_ms < SHORT_MS)
		return false;
	add(t, "limit-short", l->of, false,
		"%" PRIu64 " names wait for new orders, and the account's limit lets the last "
		"one in after %" PRId64 " hours only: ask the CA for a higher one.",
		n_waiting, last_ms / CH_HOUR_MS);
	return true;
}

/* Turns are promised for as long as the bucket takes to fill, and those who come after that
 * look again then: when nearly all are, more names wait than it has tokens. */
static bool add_domain(struct ch_troubles *t, const struct ch_store_bucket *l)
{
	int64_t worth_ms = l->limit.refill_us * l->limit.size / 1000;
	int64_t last_ms = l->tail_ms - ch_now_ms();

	if (l->paced != CH_PACED_DOMAIN || worth_ms < SHORT_MS || last_ms < worth_ms / 10 * 9)
		return false;
	add(t, "limit-short", l->of, false,
		"Names of this registered domain wait for certificates, and its limit lets the "
		"last of them in after %" PRId64 " days or more: ask the CA for a higher one, "
		"or use a wildcard certificate.",
		last_ms / CH_DAY_MS);
	return true;
}

static int look_at_limits(struct ch_troubles *t, struct ch_store *store, struct ch_arena *arena)
{
	struct ch_store_limits limits;
	size_t n_domains = 0;
	bool found = false;
	int rc = ch_store_get_limits(store, arena, &limits);

	for (size_t i = 0; !rc && i < limits.n_buckets && n_domains < DOMAINS_MAX; i++) {
		found = found || add_account(t, &limits.buckets[i], limits.waiting);
		n_domains += add_domain(t, &limits.buckets[i]);
	}
	return rc;
}

/* One that serves nothing, or takes nothing of what it is sent, is as bad as one that is
 * silent.
 */
static void look_at_error(struct ch_troubles *t, const struct ch_store_edge *edge)
{
	size_t prefix = strlen(CH_EDGE_CRITICAL);
	bool critical = edge->error && strncmp(edge->error, CH_EDGE_CRITICAL, prefix) == 0;
	const char *error = critical ? edge->error + prefix : edge->error;

	if (edge->empty)
		add(t, "edge-in-trouble", edge->id, true,
			"The edge has none of the names of its pool, and refuses every "
			"visitor: "
			"take it out of the load balancer until it is mended. It reports: %s",
			error ? error
			      : "no error. Its agent's log, and `certherd verify` there, say "
				"more.");
	else if (error)
		add(t, "edge-in-trouble", edge->id, critical, "The edge reports: %s", error);
}

static void look_at_edge(struct ch_troubles *t, const struct ch_store_edge *edge)
{
	char when[CH_TIME_STR_B];

	if (!edge->live) {
		if (edge->seen_at_ms > ch_now_ms() - SILENT_MOST_MS)
			add(t, "edge-silent", edge->id, true,
				"The edge has not reported since %s. One that is gone for "
				"good: "
				"DELETE /v1/edges/{pool}/{id}.",
				ch_time_str(edge->seen_at_ms, when));
		return;
	}
	look_at_error(t, edge);
	if (edge->lag >= BEHIND_RECORDS)
		add(t, "edge-behind", edge->id, false,
			"The edge is %" PRIu64 " records or more behind the store.", edge->lag);
}

static void look_at_pool(struct ch_troubles *t, const struct ch_store_pool *pool)
{
	int64_t long_ago_ms = ch_now_ms() - (pool->held ? FROZEN_HOLDS_MS : FROZEN_MS);
	char since[CH_TIME_STR_B];
	char waits[80] = "";

	if (pool->held)
		snprintf(waits, sizeof(waits), ", and %" PRIu64 "%s change%s for its edges",
			pool->held, pool->held == CH_STORE_LAG_MAX ? " or more" : "",
			pool->held == 1 ? " waits" : "s wait");
	if (pool->frozen_at_ms && pool->frozen_at_ms < long_ago_ms)
		add(t, "feed-frozen", pool->pool, false,
			"The feed of the pool has been frozen since %s%s: was it forgotten? "
			"`certherd feed thaw --pool %s`.",
			ch_time_str(pool->frozen_at_ms, since), waits, pool->pool);
	if (pool->canary &&
		(pool->state == CH_CANARY_SILENT || pool->state == CH_CANARY_TROUBLE))
		add(t, "canary-stuck", pool->pool, false,
			"Changes wait for the pool's canary, which is silent or in trouble: "
			"mend it, "
			"or `certherd feed canary --release --pool %s`.",
			pool->pool);
}

int ch_troubles_look(
	struct ch_store *store, struct ch_arena *arena, struct ch_troubles *ret_troubles)
{
	struct ch_troubles troubles = {.arena = arena};
	struct ch_store_pool *pools;
	struct ch_store_edge *edges;
	size_t n_pools;
	size_t n_edges;
	int rc;

	troubles.list = ch_arena_array(arena, CH_STORE_TROUBLES_MAX, sizeof(*troubles.list));
	rc = troubles.list ? look_at_names(&troubles, store, arena) : CH_ENOMEM;

	if (!rc)
		rc = look_at_limits(&troubles, store, arena);
	if (!rc)
		rc = ch_store_list_edges(store, arena, &edges, &n_edges);
	if (!rc)
		rc = ch_store_list_pools(store, NULL, arena, &pools, &n_pools);
	if (rc)
		return rc;
	for (size_t i = 0; i < n_edges; i++)
		look_at_edge(&troubles, &edges[i]);
	for (size_t i = 0; i < n_pools; i++)
		look_at_pool(&troubles, &pools[i]);
	*ret_troubles = troubles;
	return CH_OK;
}
