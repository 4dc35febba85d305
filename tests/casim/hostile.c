#include "hostile.h"

#include <string.h>

#include <openssl/x509.h>

#include "base/mem.h"
#include "ca.h"
#include "order.h"
#include "settings.h"

#define SILENCE_MS 90000
#define DRIP_MS 500
#define DEPTH 5000
#define BODY_MAX_B (4u * 1024u * 1024u)
#define HUGE_B (SIM_BODY_MAX_B - 64u)

static const char *on_names(
	const struct sim *sim, char *const *names, size_t n, const char *route)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *hostile =
			json_object_get(sim_name_settings(sim, names[i]), "hostile");
		const char *answer = json_string_value(json_object_get(hostile, route));

		if (answer)
			return answer;
	}
	return NULL;
}

static void set_body(struct sim_reply *reply, const char *type, const char *bytes, size_t len)
{
	json_decref(reply->json);
	reply->json = NULL;
	ch_buf_done(&reply->body);
	ch_buf_init(&reply->body, BODY_MAX_B);
	SIM_NEED(ch_buf_add(&reply->body, bytes, len) == CH_OK);
	if (type)
		reply->type = type;
}

static void truncate_body(struct sim_reply *reply)
{
	CH_AUTO_FREE char *text = NULL;

	if (reply->json) {
		text = json_dumps(reply->json, JSON_COMPACT);
		SIM_NEED(text);
		set_body(reply, NULL, text, strlen(text) / 2);
	} else {
		reply->body.len /= 2;
	}
}

static void repeat(struct sim_reply *reply, char byte, size_t n)
{
	CH_AUTO_FREE char *text = malloc(n);

	SIM_NEED(text);
	memset(text, byte, n);
	set_body(reply, NULL, text, n);
}

/* Every text becomes a number. */
static void mistype(json_t *json)
{
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value)
	{
		if (json_is_string(value) || json_is_array(value))
			json_object_set_new(json, key, json_integer(7));
	}
}

static void lead_away(struct sim *sim, struct sim_reply *reply, bool to_itself)
{
	set_body(reply, NULL, "", 0);
	reply->status = 302;
	sim_reply_header(
		reply, "Location", "%s/dir", to_itself ? sim->base : "http://127.0.0.1:9");
}

static void set_word(struct sim_reply *reply, const char *key, const char *word)
{
	if (reply->json)
		json_object_set_new(reply->json, key, json_string(word));
}

/* As a CA's load balancer does. */
static void refuse(struct sim_reply *reply)
{
	set_body(reply, "text/plain", "Slow down", 9);
	reply->status = 429;
}

static bool on_body(struct sim *sim, const char *answer, struct sim_reply *reply)
{
	if (strcmp(answer, "truncated") == 0)
		truncate_body(reply);
	else if (strcmp(answer, "html") == 0)
		set_body(reply, "text/html", "<html>It works!</html>", 22);
	else if (strcmp(answer, "empty") == 0)
		set_body(reply, NULL, "", 0);
	else if (strcmp(answer, "array") == 0)
		set_body(reply, NULL, "[1,[2],{}]", 10);
	else if (strcmp(answer, "deep") == 0)
		repeat(reply, '[', DEPTH);
	else if (strcmp(answer, "zeros") == 0)
		repeat(reply, 0, HUGE_B);
	else if (strcmp(answer, "mistyped") == 0)
		mistype(reply->json);
	else if (strcmp(answer, "other-type") == 0)
		reply->type = "image/png";
	else if (strcmp(answer, "odd-status") == 0)
		set_word(reply, "status", "\x1b[31mfine");
	else if (strcmp(answer, "foreign-url") == 0)
		set_word(reply, "finalize", "https://127.0.0.1:9/finalize");
	else if (strcmp(answer, "busy") == 0)
		refuse(reply);
	else if (strcmp(answer, "redirect") == 0)
		lead_away(sim, reply, false);
	else if (strcmp(answer, "circle") == 0)
		lead_away(sim, reply, true);
	else
		return false;
	return true;
}

static bool on_wire(const char *answer, struct sim_reply *reply)
{
	if (strcmp(answer, "cut") == 0)
		reply->manner = SIM_CUT;
	else if (strcmp(answer, "gigabyte") == 0)
		reply->manner = SIM_GIGABYTE;
	else if (strcmp(answer, "drip") == 0)
		reply->manner = SIM_DRIP;
	else if (strcmp(answer, "silence") == 0)
		reply->manner = SIM_SILENCE;
	else if (strcmp(answer, "reset") == 0)
		reply->manner = SIM_RESET;
	else
		return false;
	reply->chunked = true;
	reply->ms = reply->manner == SIM_DRIP ? DRIP_MS : SILENCE_MS;
	return true;
}

/* In the place of the leaf, before the rest of the chain. */
static void flaw(struct sim *sim, const char *answer, struct sim_reply *reply)
{
	const struct sim_flaws flaws = {
		.wrong_key = strcmp(answer, "wrong-key") == 0,
		.wrong_names = strcmp(answer, "wrong-names") == 0,
		.extra_name = strcmp(answer, "extra-name") == 0,
		.expired = strcmp(answer, "expired") == 0,
		.not_yet = strcmp(answer, "not-yet") == 0,
		.is_ca = strcmp(answer, "is-ca") == 0,
		.no_usage = strcmp(answer, "no-usage") == 0,
		.huge = strcmp(answer, "huge") == 0,
	};
	const struct sim_cert *cert = reply->order ? reply->order->cert : NULL;
	const char *rest = strstr(ch_buf_str(&reply->body), "-----END");
	const unsigned char *at;
	X509 *good;
	CH_AUTO_FREE char *tail = NULL;
	CH_AUTO_FREE uint8_t *der = NULL;
	size_t len;

	if (!cert || !rest)
		sim_die("%s is no hostile answer, or none for this route", answer);
	rest = strstr(rest, "-----BEGIN");
	tail = sim_copy(rest ? rest : "");
	at = cert->der;
	good = d2i_X509(NULL, &at, (long)cert->der_len);
	SIM_NEED(good);
	der = sim_ca_flawed(sim, cert, X509_get0_pubkey(good), &flaws, &len);
	X509_free(good);
	set_body(reply, NULL, "", 0);
	sim_pem_add(der, len, &reply->body);
	SIM_NEED(ch_buf_add_str(&reply->body, tail) == CH_OK);
}

void sim_hostile(struct sim *sim, const struct sim_route *route, struct sim_reply *reply)
{
	const char *answer = json_string_value(
		json_object_get(json_object_get(sim->settings, "hostile"), route->name));

	if (reply->status >= 300)
		return;
	if (!answer && reply->order)
		answer = on_names(sim, reply->order->names, reply->order->n, route->name);
	else if (!answer && reply->authz)
		answer = on_names(sim, &reply->authz->name, 1, route->name);
	if (!answer)
		return;
	sim_count(sim, "hostile", answer);
	if (!on_body(sim, answer, reply) && !on_wire(answer, reply))
		flaw(sim, answer, reply);
}
