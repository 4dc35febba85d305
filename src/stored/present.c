#include "stored/present.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "net/answer.h"
#include "store/store.h"
#include "wire/delegate.h"
#include "wire/policy.h"

#define PEM_MAX_B (128u * 1024u)
#define PEM_LINE_B 48 /* 64 characters */

_Static_assert(CH_STORE_LAG_MAX == CH_ANSWER_COUNTED_MAX &&
		       CH_STORE_FIGURE_MAX == CH_ANSWER_COUNTED_MAX,
	"who reads answers knows how far is counted");

CH_DEFINE_CLEANUP(json_t *, json_decref)

json_t *ch_present_time(int64_t at_ms)
{
	char text[CH_TIME_STR_B];

	return at_ms == 0 || at_ms == INT64_MAX ? json_null()
						: json_string(ch_time_str(at_ms, text));
}

json_t *ch_present_bytes(const uint8_t *bytes, size_t len)
{
	CH_AUTO_FREE char *text = NULL;

	if (!bytes)
		return json_null();
	text = malloc(CH_B64U_TEXT_B(len));
	if (!text)
		return NULL;
	ch_b64u_encode(bytes, len, text);
	return json_string(text);
}

json_t *ch_present_hex(const uint8_t *bytes, size_t len)
{
	CH_AUTO_FREE char *text = malloc(2 * len + 1);

	if (!text)
		return NULL;
	ch_hex_encode(bytes, len, text);
	return json_string(text);
}

/* Text of the database may be cut inside a character: show what is UTF-8. */
static json_t *text_or_null(const char *text)
{
	json_t *value;

	if (!text)
		return json_null();
	value = json_string(text);
	for (size_t len = strlen(text); !value && len > 0; len--)
		value = json_stringn(text, len - 1);
	return value;
}

static json_t *strings(const char *const *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		if (json_array_append_new(array, text_or_null(list[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *reason(const struct ch_store_reason *r)
{
	return json_pack("{s:s, s:o, s:s}", "code", r->code ? r->code : "ok", "detail",
		text_or_null(r->detail ? r->detail : ""), "actor", ch_actor_str(r->actor));
}

/* null: the CA is not asked, or has not answered yet. */
static json_t *renewal_info(const struct ch_store_cert *cert)
{
	if (!cert->ari_asked_at_ms)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "start", ch_present_time(cert->ari_start_ms),
		"end", ch_present_time(cert->ari_end_ms), "explanation",
		text_or_null(cert->ari_explanation), "asked_at",
		ch_present_time(cert->ari_asked_at_ms));
}

static json_t *cert_summary(const struct ch_store_cert *cert)
{
	if (!cert)
		return json_null();
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
		(json_int_t)cert->version, "rolled_back_to",
		cert->origin ? json_integer((json_int_t)cert->origin) : json_null(), "serial",
		text_or_null(cert->serial), "issuer", text_or_null(cert->issuer), "ca",
		text_or_null(cert->ca), "not_before", ch_present_time(cert->not_before_ms),
		"not_after", ch_present_time(cert->not_after_ms), "renew_at",
		ch_present_time(cert->renew_at_ms), "renewal_info", renewal_info(cert), "names",
		strings(cert->names, cert->n_names));
}

static json_t *standby(const struct ch_store_standby *s)
{
	if (!s)
		return json_null();
	return json_pack("{s:o, s:o, s:b, s:o, s:o, s:I, s:o}", "wanted",
		text_or_null(s->wanted), "ca", text_or_null(s->ca), "ready", s->ready, "reason",
		reason(&s->reason), "next_at", ch_present_time(s->next_at_ms), "failures",
		(json_int_t)s->failures, "certificate", cert_summary(s->cert));
}

static json_t *second(const struct ch_store_second *s)
{
	if (!s)
		return json_null();
	return json_pack("{s:o, s:o, s:I, s:o, s:o}", "reason", reason(&s->reason), "next_at",
		ch_present_time(s->next_at_ms), "failures", (json_int_t)s->failures,
		"certificate", cert_summary(s->cert), "standby", standby(s->standby));
}

/* "main,backup" */
static json_t *list_of(const char *text)
{
	json_t *list = text ? json_array() : json_null();

	for (size_t len; list && text && *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		if (json_array_append_new(list, json_stringn(text, len))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The CNAME record that a customer creates once. */
static json_t *delegation(const char *name, const char *zone)
{
	char owner[CH_NAME_TEXT_B];
	char target[CH_NAME_TEXT_B];

	if (!zone[0] || ch_delegate_owner(name, owner) ||
		ch_delegate_target(name, zone, target))
		return json_null();
	return json_pack("{s:s, s:s}", "name", owner, "cname", target);
}

json_t *ch_present_domain(const struct ch_store_domain *d, const char *delegate)
{
	char display[512];
	json_t *json;

	ch_name_display(d->name, display, sizeof(display));
	json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:o, s:s, s:o, s:o, s:I, s:I, s:o, "
			 "s:o, s:I, s:o, s:o, "
			 "s:o, s:o, s:o, s:o, s:o}",
		"name", d->name, "display", display, "tenant", d->tenant, "pool", d->pool,
		"www", d->www, "keys", ch_keys_str(d->keys), "cas", list_of(d->cas), "state",
		ch_name_state_str(d->state), "reason", reason(&d->reason), "next_at",
		ch_present_time(d->next_at_ms), "failures", (json_int_t)d->failures,
		"checks_failed", (json_int_t)d->checks_failed, "away_since",
		ch_present_time(d->away_since_ms), "wanted_at",
		ch_present_time(d->wanted_at_ms), "version", (json_int_t)d->version, "order",
		d->order_id ? json_integer((json_int_t)d->order_id) : json_null(),
		"certificate", cert_summary(d->cert), "second", second(d->second), "standby",
		standby(d->standby), "delegation", delegation(d->name, delegate), "created_at",
		ch_present_time(d->created_at_ms), "updated_at",
		ch_present_time(d->updated_at_ms));
	for (int tag = CH_STORE_POLICY_FIRST; json && tag < CH_POLICY_TAG_COUNT; tag++)
		if (json_object_set_new(
			    json, ch_policy_word(tag), text_or_null(d->policy[tag]))) {
			json_decref(json);
			return NULL;
		}
	if (json && d->www_of && json_object_set_new(json, "www_of", json_string(d->www_of))) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *ch_present_history(const struct ch_store_event *events, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++) {
		const struct ch_store_event *e = &events[i];

		if (json_array_append_new(
			    array, json_pack("{s:o, s:s, s:o, s:s}", "at",
					   ch_present_time(e->at_ms), "event", e->event,
					   "detail", text_or_null(e->detail ? e->detail : ""),
					   "actor", ch_actor_str(e->actor)))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* RFC 7468: base64 in lines of 64 characters between the markers. */
static void add_pem(struct ch_buf *out, const uint8_t *der, size_t len)
{
	(void)ch_buf_add_str(out, "-----BEGIN CERTIFICATE-----\n");
	for (size_t at = 0; at < len; at += PEM_LINE_B) {
		size_t n = len - at < PEM_LINE_B ? len - at : PEM_LINE_B;
		char line[PEM_LINE_B / 3 * 4 + 1];

		EVP_EncodeBlock((unsigned char *)line, der + at, (int)n);
		(void)ch_buf_addf(out, "%s\n", line);
	}
	(void)ch_buf_add_str(out, "-----END CERTIFICATE-----\n");
}

static json_t *pem(const struct ch_store_cert *cert)
{
	CH_AUTO_BUF struct ch_buf out;
	struct ch_chain chain = {.n = 0};

	ch_buf_init(&out, PEM_MAX_B);
	if (!cert->leaf)
		return json_null();
	add_pem(&out, cert->leaf, cert->leaf_len);
	if (cert->chain && ch_chain_decode(cert->chain, cert->chain_len, &chain))
		return NULL;
	for (size_t i = 0; i < chain.n; i++)
		add_pem(&out, chain.der[i], chain.der_len[i]);
	return out.rc ? NULL : json_string(ch_buf_str(&out));
}

json_t *ch_present_cert(const struct ch_store_cert *cert)
{
	CH_CLEANUP(json_decref_p) json_t *recipients = json_array();
	CH_CLEANUP(json_decref_p) json_t *json = cert_summary(cert);

	if (!cert)
		return json_null();
	for (size_t i = 0; i < cert->n_recipients; i++)
		if (json_array_append_new(
			    recipients, ch_present_hex(cert->recipients[i], CH_RECIPIENT_ID_B)))
			return NULL;
	if (!json ||
		json_object_set_new(json, "spki_sha256",
			ch_present_hex(cert->spki_sha256, sizeof(cert->spki_sha256))) ||
		json_object_set_new(json, "pem", pem(cert)) ||
		json_object_set(json, "recipients", recipients) ||
		json_object_set_new(
			json, "published_at", ch_present_time(cert->published_at_ms)))
		return NULL;
	return TAKE_PTR(json);
}

static json_t *order_names(const struct ch_store_order *order)
{
	const char *names[CH_STORE_ORDER_NAMES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < order->n_names; i++)
		if (!order->names[i].gone)
			names[n++] = order->names[i].name;
	return strings(names, n);
}

json_t *ch_present_order(const struct ch_store_order *order)
{
	json_t *lease = json_null();

	if (order->lease_issuer)
		lease = json_pack("{s:s, s:o}", "issuer", order->lease_issuer, "until",
			ch_present_time(order->lease_until_ms));
	return json_pack("{s:I, s:s, s:s, s:b, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "id",
		(json_int_t)order->id, "state", ch_order_state_str(order->state), "key",
		ch_key_type_str(order->key), "second", order->second, "standby", order->standby,
		"names", order_names(order), "attempts", (json_int_t)order->attempts, "next_at",
		ch_present_time(order->next_at_ms), "reason", reason(&order->reason),
		"created_at", ch_present_time(order->created_at_ms), "updated_at",
		ch_present_time(order->updated_at_ms), "lease", lease);
}

json_t *ch_present_edges_state(const struct ch_store_edges_state *edges)
{
	return json_pack("{s:b, s:o, s:I, s:I, s:o}", "ready", edges->ready, "behind",
		strings(edges->behind, edges->n_behind), "known", (json_int_t)edges->known,
		"caught_up", (json_int_t)edges->caught_up, "held",
		edges->held.code ? reason(&edges->held) : json_null());
}

static json_t *failures(const struct ch_store_order *order)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < order->n_names; i++) {
		const struct ch_store_order_name *n = &order->names[i];

		if (!n->gone && json_object_set_new(
					json, n->name, json_integer((json_int_t)n->failures))) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* What is told of names that have it only. */
static json_t *checks(const struct ch_store_order *order)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < order->n_names; i++) {
		const struct ch_store_order_name *n = &order->names[i];

		if (n->gone || (!n->checks_failed && !n->away_since_ms))
			continue;
		if (json_object_set_new(json, n->name,
			    json_pack("{s:I, s:o}", "failed", (json_int_t)n->checks_failed,
				    "away_since", ch_present_time(n->away_since_ms)))) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* Of names that have something live. */
static json_t *needs(const struct ch_store_order *order)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < order->n_names; i++) {
		const struct ch_store_order_name *n = &order->names[i];

		if (!n->gone && n->needed_by_ms &&
			json_object_set_new(json, n->name, ch_present_time(n->needed_by_ms))) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* Under which accounts the edges answer, of names that have been told one. */
static json_t *answerers(const struct ch_store_order *order)
{
	json_t *json = json_object();
	char hex[2 * sizeof(uint64_t) + 1];

	for (size_t i = 0; json && i < order->n_names; i++) {
		const struct ch_store_order_name *n = &order->names[i];

		snprintf(hex, sizeof(hex), "%016" PRIx64, n->account_hint);
		if (!n->gone && n->account_hint &&
			json_object_set_new(json, n->name, json_string(hex))) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

static json_t *notes(const char *acme)
{
	return acme ? json_loads(acme, JSON_REJECT_DUPLICATES, NULL) : json_null();
}

/* Its bytes are there until it is published. */
static json_t *old(const struct ch_store_order *order, const struct ch_store_old *o)
{
	json_t *records;

	if (!o->version || order->has_leaf)
		return json_null();
	records = json_object();
	for (size_t i = 0; records && i < order->n_names; i++)
		if (o->records[i] &&
			json_object_set_new(records, order->names[i].name,
				ch_present_bytes(o->records[i], o->record_lens[i]))) {
			json_decref(records);
			records = NULL;
		}
	return json_pack("{s:I, s:o, s:o}", "version", (json_int_t)o->version, "chain",
		ch_present_bytes(o->chain, o->chain_len), "records", records);
}

static json_t *rollback(const struct ch_store_order *order)
{
	json_t *json = old(order, &order->old);

	if (json_is_object(json) &&
		json_object_set_new(json, "second", old(order, &order->old_second))) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *ch_present_leased(const struct ch_store_order *order)
{
	return json_pack("{s:I, s:I, s:s, s:s, s:b, s:b, s:o, s:s, s:I, s:b, s:o, s:o, s:o, "
			 "s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"id", (json_int_t)order->id, "fence", (json_int_t)order->fence, "state",
		ch_order_state_str(order->state), "key", ch_key_type_str(order->key), "second",
		order->second, "standby", order->standby, "names", order_names(order), "pool",
		order->pool, "attempts", (json_int_t)order->attempts, "renewal", order->renewal,
		"created_at", ch_present_time(order->created_at_ms), "failures",
		failures(order), "checks", checks(order), "needed_by", needs(order), "edges",
		ch_present_edges_state(&order->edges), "acme", notes(order->acme), "csr",
		ch_present_bytes(order->csr, order->csr_len), "sealed",
		ch_present_bytes(order->sealed, order->sealed_len), "leaf_sha256",
		order->has_leaf ? ch_present_hex(order->leaf_sha256, 32) : json_null(),
		"second_leaf_sha256",
		order->has_second_leaf ? ch_present_hex(order->second_leaf_sha256, 32)
				       : json_null(),
		"rollback", rollback(order), "account", text_or_null(order->account),
		"answer_under", answerers(order), "replaces", text_or_null(order->replaces),
		"cas", list_of(order->cas));
}

json_t *ch_present_edge(const struct ch_store_edge *e)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:b}", "id", e->id, "pool",
		e->pool, "seq", (json_int_t)e->seq, "lag", (json_int_t)e->lag, "names",
		(json_int_t)e->names, "software", text_or_null(e->software), "error",
		text_or_null(e->error), "seen_at", ch_present_time(e->seen_at_ms), "live",
		e->live);
}

static json_t *freeze(const struct ch_store_pool *pool)
{
	if (!pool->frozen_at_ms)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "since", ch_present_time(pool->frozen_at_ms), "who",
		text_or_null(pool->frozen_by), "reason", text_or_null(pool->frozen_why));
}

static json_t *canary(const struct ch_store_pool *pool)
{
	static const char *const states[] = {
		[CH_CANARY_IDLE] = "idle",
		[CH_CANARY_BEHIND] = "behind",
		[CH_CANARY_SOAKING] = "soaking",
		[CH_CANARY_SILENT] = "silent",
		[CH_CANARY_TROUBLE] = "trouble",
	};

	if (!pool->canary)
		return json_null();
	return json_pack("{s:s, s:I, s:s, s:o}", "edge", pool->canary, "soak_ms",
		(json_int_t)pool->soak_ms, "state", states[pool->state], "trouble",
		text_or_null(pool->trouble));
}

json_t *ch_present_pool(const struct ch_store_pool *pool)
{
	return json_pack("{s:s, s:o, s:o, s:I, s:o}", "pool", pool->pool, "frozen",
		freeze(pool), "canary", canary(pool), "held", (json_int_t)pool->held,
		"held_since", ch_present_time(pool->held_since_ms));
}

json_t *ch_present_pools(const struct ch_store_pool *pools, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		if (json_array_append_new(array, ch_present_pool(&pools[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}
