/* The management interface; README.md describes it. */
#include <stdio.h>
#include <string.h>

#include "ari.h"
#include "ca.h"
#include "limit.h"
#include "nonce.h"
#include "order.h"
#include "server.h"
#include "settings.h"

/* body: the request's JSON, NULL with GET.  NULL, or what is wrong with the request. */
typedef const char *manage_fn(struct sim_req *req, json_t *body, struct sim_reply *reply);

static const char *on_settings(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	static char why[200];

	if (body && !sim_settings_change(req->sim, body, why, sizeof(why)))
		return why;
	sim_reply_json(reply, 200, json_deep_copy(req->sim->settings));
	return NULL;
}

static const char *on_clock(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	const json_t *set_ms = json_object_get(body, "set_ms");
	const json_t *advance_s = json_object_get(body, "advance_s");
	const json_t *stop = json_object_get(body, "stop");
	int64_t now_ms = sim_now_ms(sim);
	char text[CH_TIME_STR_B];

	if (json_is_number(set_ms))
		now_ms = (int64_t)json_number_value(set_ms);
	now_ms += (int64_t)(json_number_value(advance_s) * 1000);
	if (body) {
		bool stopped = stop ? json_is_true(stop) : sim->clock_stopped_ms != 0;

		sim->clock_stopped_ms = stopped ? now_ms : 0;
		sim->clock_offset_ms = now_ms - ch_now_ms();
	}
	sim_reply_json(reply, 200,
		json_pack(
			"{sIss}", "now_ms", (json_int_t)now_ms, "now", sim_time(now_ms, text)));
	return NULL;
}

static const char *on_state(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	struct sim *sim = req->sim;

	sim_reply_json(reply, 200,
		json_pack("{sIsIsIsIsOso}", "accounts", (json_int_t)sim->accounts.n, "orders",
			(json_int_t)sim->orders.n, "authorizations", (json_int_t)sim->authzs.n,
			"certificates", (json_int_t)sim->certs.n, "counts", sim->counts,
			"limits", sim_limits_show(sim)));
	return NULL;
}

static json_t *cert_json(const struct sim *sim, const struct sim_cert *cert)
{
	CH_AUTO_FREE char *id = sim_ari_id(sim, cert);
	const struct sim_order *order = cert->order;
	char from[CH_TIME_STR_B], to[CH_TIME_STR_B], start[CH_TIME_STR_B], end[CH_TIME_STR_B];
	int64_t start_ms, end_ms;
	json_t *names = json_array();

	for (size_t i = 0; i < order->n; i++)
		json_array_append_new(names, json_string(order->names[i]));
	sim_ari_window(sim, cert, &start_ms, &end_ms);
	return json_pack("{ss so si si ss ss ss ss ss ss ss? sb si sb sb}", "serial",
		cert->serial, "names", names, "account", (int)order->account->id, "order",
		(int)order->id, "not_before", sim_time(cert->not_before_s * 1000, from),
		"not_after", sim_time(cert->not_after_s * 1000, to), "window_start",
		sim_time(start_ms, start), "window_end", sim_time(end_ms, end), "id", id,
		"profile", order->profile ? order->profile : "", "replaces",
		order->replaces ? order->replaces->serial : NULL, "revoked", cert->revoked,
		"reason", cert->reason, "renewal", order->renewal, "exempt", order->exempt);
}

static const char *on_certs(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	json_t *list = json_array();

	for (size_t i = 0; i < sim->certs.n; i++)
		json_array_append_new(list, cert_json(sim, sim->certs.items[i]));
	sim_reply_json(reply, 200, list);
	return NULL;
}

static const char *on_cert(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	struct sim_cert *cert = sim_table_get(&req->sim->certs_by_serial, req->rest);

	if (!cert)
		return "there is no such certificate";
	sim_pem_add(cert->der, cert->der_len, &reply->body);
	return NULL;
}

static const char *on_roots(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	unsigned root = 0;

	if (sscanf(req->rest, "%u", &root) != 1 || root >= SIM_ROOTS)
		return "there is no such root";
	sim_ca_root(req->sim->ca, root, &reply->body);
	return NULL;
}

static const char *on_accounts(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	json_t *list = json_array();

	for (size_t i = 0; i < req->sim->accounts.n; i++) {
		const struct sim_account *account = req->sim->accounts.items[i];

		json_array_append_new(list,
			json_pack("{sissssss?sO?}", "id", (int)account->id, "thumbprint",
				account->thumbprint, "status", sim_status_str(account->status),
				"eab", account->eab_kid, "contact", account->contact));
	}
	sim_reply_json(reply, 200, list);
	return NULL;
}

static const char *on_names(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	static const char *const known[] = {
		"validation", "challenges", "finalize", "paused", "hostile"};
	const char *name, *key;
	json_t *one, *value;

	json_object_foreach(body, name, one)
	{
		json_object_foreach(one, key, value)
		{
			bool good = false;

			for (size_t i = 0; i < CH_ARRAY_LEN(known); i++)
				good = good || strcmp(key, known[i]) == 0;
			if (!good)
				return "validation, challenges, finalize, paused and hostile "
				       "are known";
		}
		/* Never freed: an authorization may be under way. */
		sim_table_put(
			&req->sim->names, name, json_is_null(one) ? NULL : json_deep_copy(one));
	}
	reply->status = 204;
	return NULL;
}

static bool is_chosen(const json_t *body, const struct sim_cert *cert)
{
	const json_t *serial;
	size_t i;

	if (json_is_true(json_object_get(body, "all")))
		return true;
	json_array_foreach(json_object_get(body, "serials"), i, serial)
	{
		const char *text = json_string_value(serial);

		while (text && *text == '0')
			text++;
		if (text && strcmp(text, cert->serial + strspn(cert->serial, "0")) == 0)
			return true;
	}
	return false;
}

static void take_window(struct sim *sim, const json_t *body, struct sim_cert *cert)
{
	const json_t *start = json_object_get(body, "start_in_s");
	const json_t *end = json_object_get(body, "end_in_s");
	const char *page = json_string_value(json_object_get(body, "explanation_url"));
	json_t *retry_after = json_object_get(body, "retry_after");

	if (json_is_number(start) && json_is_number(end)) {
		cert->window_start_ms =
			sim_now_ms(sim) + (int64_t)(json_number_value(start) * 1000);
		cert->window_end_ms =
			sim_now_ms(sim) + (int64_t)(json_number_value(end) * 1000);
	}
	if (page) {
		free(cert->explanation);
		cert->explanation = sim_copy(page);
	}
	if (retry_after) {
		json_decref(cert->retry_after);
		cert->retry_after = json_incref(retry_after);
	}
}

static const char *on_windows(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	json_int_t n = 0;

	for (size_t i = 0; i < req->sim->certs.n; i++) {
		struct sim_cert *cert = req->sim->certs.items[i];

		if (!is_chosen(body, cert))
			continue;
		take_window(req->sim, body, cert);
		n++;
	}
	sim_reply_json(reply, 200, json_pack("{sI}", "certificates", n));
	return NULL;
}

static const char *on_revoke(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	json_int_t n = 0;

	for (size_t i = 0; i < req->sim->certs.n; i++) {
		struct sim_cert *cert = req->sim->certs.items[i];

		if (!is_chosen(body, cert) || cert->revoked)
			continue;
		cert->revoked = true;
		cert->reason = (int)json_integer_value(json_object_get(body, "reason"));
		n++;
	}
	sim_reply_json(reply, 200, json_pack("{sI}", "certificates", n));
	return NULL;
}

/* As if another order had replaced them. */
static const char *on_replaced(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	json_int_t n = 0;

	for (size_t i = 0; i < req->sim->certs.n; i++) {
		struct sim_cert *cert = req->sim->certs.items[i];

		if (!is_chosen(body, cert))
			continue;
		cert->replaced_by = cert->order;
		n++;
	}
	sim_reply_json(reply, 200, json_pack("{sI}", "certificates", n));
	return NULL;
}

static const char *on_forget(struct sim_req *req, json_t *body, struct sim_reply *reply)
{
	struct sim *sim = req->sim;

	if (json_is_true(json_object_get(body, "nonces")))
		sim_nonces_forget(sim->nonces);
	if (json_is_true(json_object_get(body, "counts")))
		json_object_clear(sim->counts);
	if (json_is_true(json_object_get(body, "limits")))
		sim_limits_forget(sim);
	reply->status = 204;
	return NULL;
}

static const struct {
	const char *method, *path;
	manage_fn *fn;
	bool has_rest;
} routes[] = {
	{"GET", "/settings", on_settings, false},
	{"POST", "/settings", on_settings, false},
	{"GET", "/clock", on_clock, false},
	{"POST", "/clock", on_clock, false},
	{"GET", "/state", on_state, false},
	{"GET", "/accounts", on_accounts, false},
	{"GET", "/certificates", on_certs, false},
	{"GET", "/certificates/", on_cert, true},
	{"GET", "/roots/", on_roots, true},
	{"POST", "/names", on_names, false},
	{"POST", "/windows", on_windows, false},
	{"POST", "/revoke", on_revoke, false},
	{"POST", "/replaced", on_replaced, false},
	{"POST", "/forget", on_forget, false},
};

static manage_fn *find(struct sim_req *req)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(routes); i++) {
		size_t len = strlen(routes[i].path);

		if (strcmp(req->method, routes[i].method) != 0 ||
			strncmp(req->path, routes[i].path, len) != 0 ||
			(!routes[i].has_rest && req->path[len]))
			continue;
		req->rest = req->path + len;
		return routes[i].fn;
	}
	return NULL;
}

void sim_manage(struct sim_req *req, struct sim_reply *reply)
{
	manage_fn *fn = find(req);
	json_auto_t *body = NULL;
	json_error_t err;
	const char *why;

	reply->type = "text/plain";
	if (!fn) {
		sim_reply_json(reply, 404, json_pack("{ss}", "error", "no such path"));
		return;
	}
	if (strcmp(req->method, "POST") == 0) {
		body = json_loadb(ch_buf_str(&req->body), req->body.len, 0, &err);
		if (!body) {
			sim_reply_json(reply, 400, json_pack("{ss}", "error", err.text));
			return;
		}
	}
	why = fn(req, body, reply);
	if (why)
		sim_reply_json(reply, 400, json_pack("{ss}", "error", why));
}
