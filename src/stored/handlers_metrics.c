/* GET /v1/metrics: what a monitoring system asks for every few seconds, in the text format of
 * Prometheus 0.0.4.  Aggregates only: no registered name, no tenant, no edge by its id. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "net/metrics.h"
#include "stored/handlers.h"
#include "stored/service.h"

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* CH_STORE_POOLS_MAX pools of the longest name take a quarter of it. */
#define ANSWER_MAX_B (4u * 1024u * 1024u)

#define ALERTS_MAX 500
#define NAME(x) "certherd_store_" x

/* A pool and what its edges add up to. */
struct pool_sum {
	const struct ch_store_pool *pool;
	uint64_t live;
	uint64_t silent;
	uint64_t troubled; /* live ones that report an error */
	uint64_t lag;	   /* of the live edge that is furthest behind */
};

/* A pool's name comes from an edge's certificate: nothing in it may end the label. */
static void pool_label(struct ch_buf *out, const char *pool)
{
	ch_buf_add_str(out, "pool=\"");
	for (; *pool; pool++) {
		if (*pool == '\n') {
			ch_buf_add_str(out, "\\n");
			continue;
		}
		if (*pool == '"' || *pool == '\\')
			ch_buf_add_u8(out, '\\');
		ch_buf_add_u8(out, (uint8_t)*pool);
	}
	ch_buf_add_str(out, "\"");
}

static void pool_sample(struct ch_buf *out, const char *name, const struct pool_sum *sum,
	const char *more, uint64_t value)
{
	ch_buf_addf(out, "certherd_store_%s{", name);
	pool_label(out, sum->pool->pool);
	ch_buf_addf(out, "%s} %" PRIu64 "\n", more, value);
}

static void add_status(struct ch_buf *out, const struct ch_store_status *status)
{
	ch_metrics_head(out, NAME("names"), "gauge", "Registered names by state.");
	for (int i = 0; i < CH_NAME_STATE_COUNT; i++)
		ch_buf_addf(out, "certherd_store_names{state=\"%s\"} %" PRIu64 "\n",
			ch_name_state_str((enum ch_name_state)i), status->names[i]);
	ch_metrics_value(out, NAME("orders_open"), "gauge", "Orders that have not ended.",
		status->orders_open);
	ch_metrics_value(out, NAME("orders_waiting"), "gauge",
		"Open orders that are neither leased nor due yet.", status->orders_waiting);
	ch_metrics_value(out, NAME("wanted_names"), "gauge",
		"Names that went before others since visitors asked for them.",
		status->wanted_taken);
	ch_metrics_moment(out, NAME("next_due_timestamp_seconds"),
		"When something is due next; in the past: it waits for an issuer to lease it.",
		status->next_due_ms);
	ch_metrics_moment(out, NAME("next_expiry_timestamp_seconds"),
		"End of the live certificate that ends first.", status->expiry_ms);
	ch_metrics_value(out, NAME("feed_head"), "gauge", "Newest sequence number of the feed.",
		status->head);
	ch_metrics_value(out, NAME("schema"), "gauge", "Version of the database's schema.",
		status->schema);
	ch_metrics_head(out, NAME("pruned_rows"), "gauge",
		"Rows that were removed since they were older than they are kept.");
	ch_buf_addf(out, "certherd_store_pruned_rows{kind=\"history\"} %" PRIu64 "\n",
		status->pruned.history);
	ch_buf_addf(out, "certherd_store_pruned_rows{kind=\"orders\"} %" PRIu64 "\n",
		status->pruned.orders);
	ch_buf_addf(out, "certherd_store_pruned_rows{kind=\"audit\"} %" PRIu64 "\n",
		status->pruned.audit);
	ch_metrics_head(out, NAME("info"), "gauge", "Always 1.");
	ch_buf_add_str(out, "certherd_store_info{version=\"" CH_VERSION "\"} 1\n");
}

static void add_figures(struct ch_buf *out, const struct ch_store_figures *figures)
{
	ch_metrics_head(out, NAME("names_to_act_on"), "gauge",
		"Names that wait for somebody, by who must act; counted up to 10000.");
	for (int i = 0; i < CH_STORE_ACTORS; i++)
		if (i != CH_ACTOR_NOBODY)
			ch_buf_addf(out,
				"certherd_store_names_to_act_on{actor=\"%s\"} %" PRIu64 "\n",
				ch_actor_str((enum ch_actor)i), figures->actors[i]);
	ch_metrics_head(out, NAME("certificates_ending"), "gauge",
		"Live certificates that end within so long or ended in the last 7 days; "
		"without names that are paused or moved; counted up to 10000.");
	for (size_t i = 0; i < CH_STORE_ENDING_N; i++)
		ch_buf_addf(out,
			"certherd_store_certificates_ending{within=\"%" PRId64 "d\"} %" PRIu64
			"\n",
			ch_store_ending_ms[i] / CH_DAY_MS, figures->ending[i]);
}

static void add_alerts(struct ch_buf *out, const struct ch_store_alert *alerts, size_t n)
{
	uint64_t critical = 0;

	for (size_t i = 0; i < n; i++)
		critical += strcmp(alerts[i].severity, "critical") == 0;
	ch_metrics_head(
		out, NAME("alerts_open"), "gauge", "What is wrong now; counted up to 500.");
	ch_buf_addf(out, "certherd_store_alerts_open{severity=\"critical\"} %" PRIu64 "\n",
		critical);
	ch_buf_addf(out, "certherd_store_alerts_open{severity=\"warning\"} %" PRIu64 "\n",
		(uint64_t)n - critical);
}

static void add_polls(struct ch_buf *out, struct ch_polls *polls)
{
	ch_metrics_head(out, NAME("polls_waiting"), "gauge",
		"Requests that wait here until there is something for them.");
	ch_buf_addf(out, "certherd_store_polls_waiting{kind=\"feed\"} %zu\n",
		ch_polls_waiting(polls, CH_POLL_FEED));
	ch_buf_addf(out, "certherd_store_polls_waiting{kind=\"leases\"} %zu\n",
		ch_polls_waiting(polls, CH_POLL_LEASES));
}

static void add_edges(struct ch_buf *out, const struct pool_sum *sums, size_t n)
{
	ch_metrics_head(out, NAME("edges"), "gauge",
		"Edges that have reported and were not forgotten; silent: not seen within "
		"edge_timeout.");
	for (size_t i = 0; i < n; i++) {
		pool_sample(out, "edges", &sums[i], ",state=\"live\"", sums[i].live);
		pool_sample(out, "edges", &sums[i], ",state=\"silent\"", sums[i].silent);
	}
	ch_metrics_head(out, NAME("edges_in_trouble"), "gauge",
		"Live edges that report an error, a refused removal for one.");
	for (size_t i = 0; i < n; i++)
		pool_sample(out, "edges_in_trouble", &sums[i], "", sums[i].troubled);
	ch_metrics_head(out, NAME("edge_lag_records"), "gauge",
		"How far the slowest live edge is behind, counted up to 10000.");
	for (size_t i = 0; i < n; i++)
		pool_sample(out, "edge_lag_records", &sums[i], "", sums[i].lag);
}

static void add_brakes(struct ch_buf *out, const struct pool_sum *sums, size_t n)
{
	ch_metrics_head(
		out, NAME("pool_frozen"), "gauge", "1: the pool's edges get no changes.");
	for (size_t i = 0; i < n; i++)
		pool_sample(out, "pool_frozen", &sums[i], "", sums[i].pool->frozen_at_ms != 0);
	ch_metrics_head(out, NAME("pool_canary_stuck"), "gauge",
		"1: changes wait for a canary that is silent or reports an error.");
	for (size_t i = 0; i < n; i++)
		pool_sample(out, "pool_canary_stuck", &sums[i], "",
			sums[i].pool->canary &&
				(sums[i].pool->state == CH_CANARY_SILENT ||
					sums[i].pool->state == CH_CANARY_TROUBLE));
	ch_metrics_head(out, NAME("pool_held_records"), "gauge",
		"Changes held back from the pool's edges, counted up to 10000.");
	for (size_t i = 0; i < n; i++)
		pool_sample(out, "pool_held_records", &sums[i], "", sums[i].pool->held);
}

static void count_edge(struct pool_sum *sum, const struct ch_store_edge *edge)
{
	if (!edge->live) {
		sum->silent++;
		return;
	}
	sum->live++;
	sum->troubled += edge->error != NULL;
	if (edge->lag > sum->lag)
		sum->lag = edge->lag;
}

/* Both lists are sorted by pool, each in the order of bytes. */
static int sum_up(struct ch_req *req, struct pool_sum **ret_sums, size_t *ret_n)
{
	struct ch_store_pool *pools;
	struct ch_store_edge *edges;
	struct pool_sum *sums;
	size_t n_edges;
	size_t n;
	int rc = ch_store_list_pools(req->service->store, NULL, req->arena, &pools, &n);

	if (!rc)
		rc = ch_store_list_edges(req->service->store, req->arena, &edges, &n_edges);
	if (rc)
		return rc;
	sums = ch_arena_array(req->arena, n, sizeof(*sums));
	if (!sums)
		return CH_ENOMEM;
	for (size_t i = 0, e = 0; i < n; i++) {
		sums[i].pool = &pools[i];
		while (e < n_edges && strcmp(edges[e].pool, pools[i].pool) < 0)
			e++;
		for (; e < n_edges && strcmp(edges[e].pool, pools[i].pool) == 0; e++)
			count_edge(&sums[i], &edges[e]);
	}
	*ret_sums = sums;
	*ret_n = n;
	return CH_OK;
}

void ch_handle_metrics(struct ch_req *req)
{
	struct ch_store_figures figures;
	struct ch_store_status status;
	struct ch_store_alert *alerts;
	struct pool_sum *sums;
	struct ch_buf out;
	size_t n_alerts;
	size_t n;
	int rc = ch_store_get_status(req->service->store, req->arena, &status);

	if (!rc)
		rc = ch_store_get_figures(req->service->store, &figures);
	if (!rc)
		rc = ch_store_list_alerts(
			req->service->store, false, ALERTS_MAX, req->arena, &alerts, &n_alerts);
	if (!rc)
		rc = sum_up(req, &sums, &n);
	if (rc) {
		ch_req_fail_rc(req, rc, "read the figures");
		return;
	}
	ch_buf_init(&out, ANSWER_MAX_B);
	add_status(&out, &status);
	add_figures(&out, &figures);
	add_alerts(&out, alerts, n_alerts);
	add_polls(&out, req->service->polls);
	add_edges(&out, sums, n);
	add_brakes(&out, sums, n);
	ch_req_bytes(req, 200, CONTENT_TYPE, &out);
}
