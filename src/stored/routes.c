#include "stored/routes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "stored/handlers.h"
#include "net/query.h"

#define OPERATOR (1u << CH_ROLE_OPERATOR)
#define PLATFORM (1u << CH_ROLE_PLATFORM)
#define VIEWER (1u << CH_ROLE_VIEWER)
#define ISSUER (1u << CH_ROLE_ISSUER)
#define EDGE (1u << CH_ROLE_EDGE)

#define SMALL_B (64u * 1024u)
#define BATCH_B (4u * 1024u * 1024u)
/* Names that were looked at: 256 of each kind, with reasons. */
#define LEASE_B (2u * 1024u * 1024u)
/* The issuer's notes, a CSR and sealed keys; a certificate, its chain and two records. */
#define ORDER_B (256u * 1024u)
/* 64 of these are usually far below. */
#define STEPS_B (1024u * 1024u)
/* 500 windows, each with an explanation. */
#define RENEWAL_B (1024u * 1024u)

const struct ch_route ch_routes[] = {
	{"GET", "/v1/health", CH_ROLES_ANYBODY, CH_BODY_NONE, 0, "", ch_handle_health,
		"Whether the store answers"},
	{"GET", "/v1/status", OPERATOR | PLATFORM | VIEWER, CH_BODY_NONE, 0, "",
		ch_handle_status, "Counts, next due, edges"},
	{"GET", "/v1/metrics", OPERATOR | VIEWER, CH_BODY_NONE, 0, "", ch_handle_metrics,
		"Figures for Prometheus"},
	{"GET", "/v1/audit", OPERATOR | VIEWER, CH_BODY_NONE, 0, "limit cursor",
		ch_handle_audit, "Changes made by people and the platform"},

	{"GET", "/v1/domains", OPERATOR | PLATFORM | VIEWER, CH_BODY_NONE, 0,
		"state tenant pool actor prefix limit cursor", ch_handle_domains_list,
		"Domains in name order"},
	{"POST", "/v1/domains", OPERATOR | PLATFORM, CH_BODY_REQUIRED, BATCH_B, "",
		ch_handle_domains_batch, "Add up to 10,000 domains"},
	{"PUT", "/v1/domains/{name}", OPERATOR | PLATFORM, CH_BODY_OPTIONAL, SMALL_B, "",
		ch_handle_domain_put, "Add or change a domain"},
	{"GET", "/v1/domains/{name}", OPERATOR | PLATFORM | VIEWER | ISSUER, CH_BODY_NONE, 0,
		"", ch_handle_domain_get, "A domain and its history"},
	{"DELETE", "/v1/domains/{name}", OPERATOR | PLATFORM, CH_BODY_NONE, 0, "",
		ch_handle_domain_delete, "Remove a domain"},
	{"POST", "/v1/domains/{name}/retry", OPERATOR | PLATFORM, CH_BODY_OPTIONAL, SMALL_B, "",
		ch_handle_domain_retry, "Try again now"},
	{"POST", "/v1/domains/{name}/pause", OPERATOR | PLATFORM, CH_BODY_OPTIONAL, SMALL_B, "",
		ch_handle_domain_pause, "Do nothing more for this domain"},
	{"POST", "/v1/domains/{name}/resume", OPERATOR | PLATFORM, CH_BODY_OPTIONAL, SMALL_B,
		"", ch_handle_domain_resume, "End the pause"},

	{"GET", "/v1/certificates/{name}", OPERATOR | PLATFORM | VIEWER, CH_BODY_NONE, 0, "",
		ch_handle_certificate, "Current and previous certificate"},
	{"POST", "/v1/certificates/{name}/rollback", OPERATOR, CH_BODY_OPTIONAL, SMALL_B, "",
		ch_handle_certificate_rollback, "Put the previous certificate back"},
	{"GET", "/v1/orders", OPERATOR | VIEWER | ISSUER, CH_BODY_NONE, 0,
		"name state limit cursor", ch_handle_orders_list, "Orders, newest first"},
	{"GET", "/v1/orders/{id}", OPERATOR | VIEWER | ISSUER, CH_BODY_NONE, 0, "",
		ch_handle_order_get, "An order"},

	{"POST", "/v1/leases", ISSUER, CH_BODY_REQUIRED, LEASE_B, "", ch_handle_leases,
		"Lease orders that are due"},
	{"PATCH", "/v1/orders/{id}", ISSUER, CH_BODY_REQUIRED, ORDER_B, "",
		ch_handle_order_patch, "Write back the result of a step"},
	{"POST", "/v1/orders/{id}/publish", ISSUER, CH_BODY_REQUIRED, ORDER_B, "",
		ch_handle_order_publish, "Make a certificate live"},

	{"POST", "/v1/steps", ISSUER, CH_BODY_REQUIRED, STEPS_B, "", ch_handle_steps,
		"Write back the results of several steps"},

	{"POST", "/v1/adoptions", ISSUER, CH_BODY_REQUIRED, BATCH_B, "", ch_handle_adoptions,
		"Take over certificates that others have issued"},

	{"GET", "/v1/limits", OPERATOR | VIEWER, CH_BODY_NONE, 0, "", ch_handle_limits,
		"What is used up of the CAs' limits"},
	{"POST", "/v1/certificates/{name}/standby", OPERATOR, CH_BODY_OPTIONAL, SMALL_B, "",
		ch_handle_certificate_standby, "Put the standby certificate live"},
	{"POST", "/v1/standby", OPERATOR, CH_BODY_REQUIRED, SMALL_B, "", ch_handle_standby,
		"Put the standbys of many names live"},
	{"GET", "/v1/forecast", OPERATOR | VIEWER, CH_BODY_NONE, 0, "", ch_handle_forecast,
		"When those who wait have their turn"},
	{"POST", "/v1/rekey", OPERATOR, CH_BODY_REQUIRED, SMALL_B, "", ch_handle_rekey_post,
		"Plan new certificates before their renewal"},
	{"GET", "/v1/rekey", OPERATOR | VIEWER, CH_BODY_NONE, 0, "", ch_handle_rekey_get,
		"How far that is"},
	{"GET", "/v1/alerts", OPERATOR | VIEWER, CH_BODY_NONE, 0, "state", ch_handle_alerts_get,
		"What operators should know of"},
	{"POST", "/v1/alerts", ISSUER, CH_BODY_REQUIRED, ORDER_B, "", ch_handle_alerts_post,
		"Report what is wrong, and lease what is to be told"},
	{"GET", "/v1/calendar", OPERATOR | VIEWER, CH_BODY_NONE, 0, "", ch_handle_calendar,
		"How many renewals are planned, by day"},
	{"POST", "/v1/renewal-info/leases", ISSUER, CH_BODY_REQUIRED, SMALL_B, "",
		ch_handle_renewal_leases, "Lease certificates about which a CA is to be asked"},
	{"POST", "/v1/renewal-info", ISSUER, CH_BODY_REQUIRED, RENEWAL_B, "",
		ch_handle_renewal_info, "Write back what a CA says of when to renew"},
	{"GET", "/v1/tickets", ISSUER, CH_BODY_NONE, 0, "", ch_handle_tickets_list,
		"Pools and their sealed ticket keys"},
	{"PUT", "/v1/tickets/{pool}", ISSUER, CH_BODY_REQUIRED, SMALL_B, "",
		ch_handle_tickets_put, "Replace a pool's ticket keys"},

	{"GET", "/v1/feed", EDGE, CH_BODY_NONE, 0, "epoch after base wait_ms", ch_handle_feed,
		"Records of the edge's pool"},
	{"GET", "/v1/feed/snapshot", EDGE, CH_BODY_NONE, 0, "epoch after",
		ch_handle_feed_snapshot, "Records of the edge's pool in the order of names"},
	{"GET", "/v1/feed/checksum", OPERATOR | VIEWER | EDGE, CH_BODY_NONE, 0,
		"pool after until limit list", ch_handle_feed_checksum,
		"What a replica is compared with"},
	{"PUT", "/v1/edges/self", EDGE, CH_BODY_REQUIRED, SMALL_B, "", ch_handle_edge_ack,
		"Acknowledge a cursor"},
	{"POST", "/v1/wanted", EDGE, CH_BODY_REQUIRED, SMALL_B, "", ch_handle_wanted,
		"Tell what visitors ask for that has no certificate yet"},
	{"POST", "/v1/handback", EDGE, CH_BODY_REQUIRED, BATCH_B, "", ch_handle_handback,
		"Hand back what a restored store has forgotten"},
	{"GET", "/v1/edges", OPERATOR | VIEWER, CH_BODY_NONE, 0, "", ch_handle_edges_list,
		"Edges and their lag"},
	{"DELETE", "/v1/edges/{pool}/{id}", OPERATOR, CH_BODY_NONE, 0, "",
		ch_handle_edge_delete, "Forget an edge"},

	{"GET", "/v1/pools", OPERATOR | VIEWER, CH_BODY_NONE, 0, "", ch_handle_pools_list,
		"What holds changes back from edges"},
	{"POST", "/v1/pools/{pool}/freeze", OPERATOR, CH_BODY_REQUIRED, SMALL_B, "",
		ch_handle_pool_freeze, "Give the pool's edges no changes"},
	{"POST", "/v1/pools/{pool}/thaw", OPERATOR, CH_BODY_OPTIONAL, SMALL_B, "",
		ch_handle_pool_thaw, "End the freeze"},
	{"PUT", "/v1/pools/{pool}/canary", OPERATOR, CH_BODY_REQUIRED, SMALL_B, "",
		ch_handle_pool_canary_put, "Give changes to one edge first"},
	{"DELETE", "/v1/pools/{pool}/canary", OPERATOR, CH_BODY_NONE, 0, "",
		ch_handle_pool_canary_delete, "Give changes to all edges at once"},
	{"POST", "/v1/pools/{pool}/release", OPERATOR, CH_BODY_OPTIONAL, SMALL_B, "",
		ch_handle_pool_release, "Let through what waits for the canary"},
};
const size_t ch_routes_n = CH_ARRAY_LEN(ch_routes);

/* Whether the raw path has the pattern's shape.  Empty segments match nothing. */
static bool has_shape(const char *pattern, const char *path)
{
	while (*pattern && *path) {
		size_t want = strcspn(pattern + 1, "/") + 1;
		size_t have = strcspn(path + 1, "/") + 1;

		if (*path != '/' || have == 1)
			return false;
		if (pattern[1] != '{' && (want != have || strncmp(pattern, path, want) != 0))
			return false;
		pattern += want;
		path += have;
	}
	return *pattern == 0 && *path == 0;
}

static int decode_params(
	const char *pattern, const char *path, struct ch_route_match *match, struct ch_err *err)
{
	size_t n = 0;

	while (*pattern) {
		size_t len = strcspn(path + 1, "/");

		if (pattern[1] == '{' && ch_percent_decode(path + 1, len, 0, match->params[n++],
						 CH_ROUTE_PARAM_B))
			return ch_err_set(err, CH_EINVAL, "bad-path",
				"A part of the path is too long or not encoded correctly.");
		pattern += strcspn(pattern + 1, "/") + 1;
		path += len + 1;
	}
	return CH_OK;
}

int ch_route_find(const char *method, const char *path, const struct ch_route **ret_route,
	struct ch_route_match *ret_match, char *ret_allow, size_t allow_b, struct ch_err *err)
{
	size_t used = 0;

	ret_allow[0] = 0;
	for (size_t i = 0; i < ch_routes_n; i++) {
		const struct ch_route *r = &ch_routes[i];

		if (!has_shape(r->pattern, path))
			continue;
		if (strcmp(r->method, method) == 0) {
			*ret_route = r;
			return decode_params(r->pattern, path, ret_match, err);
		}
		used += (size_t)snprintf(
			ret_allow + used, allow_b - used, "%s%s", used ? ", " : "", r->method);
		if (used >= allow_b)
			break;
	}
	if (used)
		return ch_err_set(err, CH_EINVAL, "method-not-allowed",
			"This path takes %s only.", ret_allow);
	return ch_err_set(
		err, CH_ENOTFOUND, "no-such-route", "There is no route with this path.");
}
