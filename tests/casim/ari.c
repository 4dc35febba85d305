#include "ari.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "ca.h"
#include "routes.h"
#include "settings.h"

#define SHORT_LIFE_S (10 * INT64_C(86400))

char *sim_ari_id(const struct sim *sim, const struct sim_cert *cert)
{
	uint8_t serial[SIM_SERIAL_B / 2];
	char text[CH_B64U_TEXT_B(SIM_SERIAL_B / 2)];
	size_t len = strlen(cert->serial) / 2;
	char *id;

	/* Serial numbers begin with 06, so no 00 is ever to be put in front. */
	SIM_NEED(ch_hex_decode(cert->serial, serial, len) == CH_OK);
	ch_b64u_encode(serial, len, text);
	SIM_NEED(asprintf(&id, "%s.%s", sim_ca_aki(sim->ca, cert->intermediate), text) > 0);
	return id;
}

/* NULL, and the reply says why. */
static struct sim_cert *find(struct sim *sim, const char *id, struct sim_reply *reply)
{
	const char *dot = strchr(id, '.');
	uint8_t aki[64], serial[SIM_SERIAL_B / 2];
	char hex[SIM_SERIAL_B + 1];
	CH_AUTO_FREE char *own = NULL;
	size_t aki_len, len;
	struct sim_cert *cert;

	if (!dot || ch_b64u_decode(id, (size_t)(dot - id), aki, sizeof(aki), &aki_len) ||
		ch_b64u_decode(dot + 1, strlen(dot + 1), serial, sizeof(serial), &len) ||
		aki_len == 0 || len == 0) {
		sim_problem(reply, 400, "malformed", "Path was not of the form AKI.serial");
		return NULL;
	}
	ch_hex_encode(serial, len, hex);
	cert = sim_table_get(&sim->certs_by_serial, hex);
	own = cert ? sim_ari_id(sim, cert) : NULL;
	if (!own || strcmp(own, id) != 0) {
		sim_problem(reply, 404, "malformed", "Requested certificate was not found");
		return NULL;
	}
	return cert;
}

void sim_ari_window(const struct sim *sim, const struct sim_cert *cert, int64_t *ret_start_ms,
	int64_t *ret_end_ms)
{
	const json_t *percent = sim_setting(sim, "ari", "start_percent");
	int64_t life_s = cert->not_after_s + 1 - cert->not_before_s;
	int64_t middle_s =
		cert->not_before_s + (life_s < SHORT_LIFE_S ? life_s / 2 : life_s * 2 / 3);

	*ret_start_ms = (middle_s - life_s / 100) * CH_SECOND_MS;
	*ret_end_ms = (middle_s + life_s / 100) * CH_SECOND_MS;
	if (json_is_number(percent)) {
		*ret_start_ms = cert->not_before_s * CH_SECOND_MS +
				(int64_t)((double)life_s * json_number_value(percent) * 10);
		*ret_end_ms = *ret_start_ms + life_s * CH_SECOND_MS / 10;
	}
	if (cert->revoked) {
		*ret_start_ms = cert->not_before_s * CH_SECOND_MS;
		*ret_end_ms = *ret_start_ms + CH_HOUR_MS;
	}
	if (cert->window_end_ms) {
		*ret_start_ms = cert->window_start_ms;
		*ret_end_ms = cert->window_end_ms;
	}
}

void sim_renewal_info(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	struct sim_cert *cert = find(sim, req->rest, reply);
	char start[CH_TIME_STR_B], end[CH_TIME_STR_B];
	int64_t start_ms, end_ms;
	json_t *doc;

	if (!cert)
		return;
	sim_ari_window(sim, cert, &start_ms, &end_ms);
	doc = json_pack("{s{ssss}}", "suggestedWindow", "start", sim_time(start_ms, start),
		"end", sim_time(end_ms, end));
	if (cert->explanation)
		json_object_set_new(doc, "explanationURL", json_string(cert->explanation));
	sim_reply_json(reply, 200, doc);
	sim_reply_retry_after(reply,
		cert->retry_after ? cert->retry_after : sim_setting(sim, "ari", "retry_after"));
	reply->order = cert->order;
	reply->no_nonce = true;
}

/* An order that still may become, or has become, a certificate. */
static bool is_outstanding(const struct sim_order *order)
{
	return order && order->status != SIM_INVALID;
}

static bool shares_name(const struct sim_order *a, const struct sim_order *b)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			if (strcmp(a->names[i], b->names[k]) == 0)
				return true;
	return false;
}

bool sim_ari_replaces(struct sim_req *req, struct sim_order *order, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	const json_t *wanted = json_object_get(req->jws.payload, "replaces");
	struct sim_cert *cert;
	int64_t start_ms, end_ms, now_ms = sim_now_ms(sim);

	if (!wanted || !sim_bool(sim, "ari", "offered"))
		return true;
	if (!json_is_string(wanted)) {
		sim_problem(reply, 400, "malformed", "replaces is not a text");
		return false;
	}
	cert = find(sim, json_string_value(wanted), reply);
	if (!cert)
		return false;
	if (cert->order->account != order->account) {
		sim_problem(reply, 403, "unauthorized",
			"Requester account did not request the certificate being replaced by "
			"this order");
		return false;
	}
	if (!shares_name(cert->order, order)) {
		sim_problem(reply, 400, "malformed",
			"Certificate replaced by this order does not have matching "
			"identifiers");
		return false;
	}
	/* The same order asked for again is found later, and handed out again. */
	if (is_outstanding(cert->replaced_by) &&
		(cert->replaced_by->cert || strcmp(cert->replaced_by->set, order->set) != 0)) {
		sim_problem(reply, 409, "alreadyReplaced",
			"Certificate with serial \"%s\" has already been replaced by another "
			"order",
			cert->serial);
		return false;
	}
	order->replaces = cert;
	sim_ari_window(sim, cert, &start_ms, &end_ms);
	order->exempt = now_ms >= start_ms && now_ms < end_ms;
	return true;
}
