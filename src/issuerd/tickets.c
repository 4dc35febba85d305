#include "issuerd/tickets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"

#define POOLS_MAX 1000 /* of one answer; the store has no more */
#define LABEL_MAX_B 63
#define VERSION_MAX ((UINT64_C(1) << 53) - 1)
#define LOOK_MOST_MS (10 * CH_SECOND_MS)
#define LOOK_LEAST_MS 500
#define NO_POOL_MS (2 * CH_SECOND_MS) /* a first edge should not wait for its keys */

/* One pool, as the store has it. */
struct pool {
	const char *name;
	uint64_t version;	   /* 0: no set */
	uint8_t *record;	   /* owned */
	struct ch_tickets tickets; /* borrows from record */
	bool own;		   /* we have signed it */
};

void ch_ticket_plan(const struct ch_tickets *tickets, int64_t rotation_s, int64_t now_s,
	struct ch_ticket_plan *ret_plan)
{
	struct ch_ticket_plan plan = {.from_s = now_s};
	bool has_current = false;
	int64_t newest_s = 0;
	size_t n = 0;

	/* From the newest on: should there be too many, the oldest go.  One that is far ahead
	 * was made while the clock was wrong. */
	for (size_t i = tickets->n; i-- > 0;) {
		const struct ch_ticket_key *key = &tickets->keys[i];

		plan.keeps[i] = key->until_s > now_s && key->from_s <= now_s + 2 * rotation_s &&
				n < CH_TICKET_KEYS_MAX - 1;
		plan.changes |= !plan.keeps[i];
		if (!plan.keeps[i])
			continue;
		n++;
		has_current |= key->from_s <= now_s;
		if (key->from_s > newest_s)
			newest_s = key->from_s;
	}
	if (has_current && newest_s + rotation_s / 2 <= now_s) {
		/* After a long pause too it is with the edges before its time. */
		plan.from_s = newest_s + rotation_s;
		if (plan.from_s < now_s + rotation_s / 4)
			plan.from_s = now_s + rotation_s / 4;
		plan.adds = plan.from_s > newest_s;
	} else if (!has_current) {
		plan.adds = true;
	}
	plan.until_s = plan.from_s + 2 * rotation_s;
	plan.changes |= plan.adds;
	*ret_plan = plan;
}

int ch_ticket_keeper_init(struct ch_ticket_keeper *keeper, struct ch_issuer *issuer,
	struct ch_queue *queue, struct ch_api *api, struct ch_err *err)
{
	struct ch_api_options options = issuer->config->store;
	char text[160];
	int rc;

	*keeper = (struct ch_ticket_keeper){.issuer = issuer, .queue = queue};
	options.http.canceled = ch_issuer_stopping;
	options.http.canceled_arg = issuer;
	if (ch_sign_key_print_public(issuer->signer, text))
		return ch_err_set(
			err, CH_ECRYPTO, "internal", "the signing key has no public half");
	rc = ch_verify_set_parse(text, &keeper->own, err);
	if (rc == CH_OK && !api)
		rc = ch_api_new(&options, &keeper->api, err);
	if (rc)
		ch_ticket_keeper_done(keeper);
	else if (api)
		keeper->api = api;
	return rc;
}

void ch_ticket_keeper_done(struct ch_ticket_keeper *keeper)
{
	ch_api_free(keeper->api);
	ch_verify_set_free(keeper->own);
	*keeper = (struct ch_ticket_keeper){.issuer = NULL};
}

static bool is_label(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return len > 0 && len <= LABEL_MAX_B && ch_record_check_name(text, len) == CH_OK;
}

static void pool_done(struct pool *pool)
{
	free(pool->record);
}

/* What cannot be read is replaced like what is not there. */
static void read_record(
	const struct ch_ticket_keeper *keeper, const char *text, struct pool *pool)
{
	struct ch_record record;
	size_t len;

	if (!text || ch_b64u_decode_alloc(text, CH_RECORD_MAX_B, &pool->record, &len) ||
		ch_record_decode(pool->record, len, &record) ||
		record.kind != CH_RECORD_TICKETS || record.version != pool->version ||
		record.name_len != strlen(pool->name) ||
		memcmp(record.name, pool->name, record.name_len) != 0 ||
		ch_tickets_decode(record.tickets, record.tickets_len, &pool->tickets)) {
		pool->tickets.n = 0;
		return;
	}
	pool->own = ch_record_verify(&record, pool->record, keeper->own) == CH_OK;
}

static int read_pool(
	const struct ch_ticket_keeper *keeper, const json_t *item, struct pool *ret_pool)
{
	const json_t *version = json_object_get(item, "version");
	struct pool pool = {.name = json_string_value(json_object_get(item, "pool"))};

	if (!is_label(pool.name) || !json_is_integer(version) ||
		json_integer_value(version) < 0)
		return CH_EPROTO;
	pool.version = (uint64_t)json_integer_value(version);
	if (pool.version >= VERSION_MAX)
		return CH_EPROTO;
	read_record(keeper, json_string_value(json_object_get(item, "record")), &pool);
	*ret_pool = pool;
	return CH_OK;
}

/* The sealed copies of a new key; what borrows from them must not outlive them. */
struct fresh {
	uint8_t id[CH_TICKET_ID_B];
	struct ch_sealed_ticket sealed[CH_RECIPIENTS_MAX];
	struct ch_ticket_key key;
};

static int make_key(const struct ch_ticket_keeper *keeper, const char *pool,
	const struct ch_ticket_plan *plan, struct fresh *fresh)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	struct ch_ticket_binding binding;
	struct ch_recipients to;
	int rc = ch_ticket_key_generate(fresh->id, &block);

	ch_issuer_recipients(keeper->issuer, &to);
	fresh->key = (struct ch_ticket_key){.id = fresh->id,
		.from_s = plan->from_s,
		.until_s = plan->until_s,
		.n_sealed = to.n};
	ch_tickets_binding(&fresh->key, pool, strlen(pool), &binding);
	for (size_t i = 0; rc == CH_OK && i < to.n; i++) {
		struct ch_sealed_ticket *sealed = &fresh->sealed[i];

		rc = ch_ticket_key_seal(&to.list[i], &binding, block, sealed);
		fresh->key.sealed[i] =
			(struct ch_sealed_view){.recipient_id = sealed->recipient_id,
				.kem_id = (uint16_t)sealed->kem,
				.enc = sealed->enc,
				.enc_len = sealed->enc_len,
				.ct = sealed->ct,
				.ct_len = sizeof(sealed->ct)};
	}
	return rc;
}

static void insert(struct ch_tickets *tickets, const struct ch_ticket_key *key)
{
	size_t at = tickets->n++;

	for (; at > 0 && tickets->keys[at - 1].from_s > key->from_s; at--)
		tickets->keys[at] = tickets->keys[at - 1];
	tickets->keys[at] = *key;
}

/* The next set, signed.  *ret_version: also above what a store that has gone back in time, or
 * says so, has given out before. */
static int make_record(const struct ch_ticket_keeper *keeper, const struct pool *pool,
	const struct ch_ticket_plan *plan, struct ch_buf *out)
{
	CH_AUTO_BUF struct ch_buf keys;
	struct ch_tickets next = {.n = 0};
	struct fresh fresh;
	struct ch_record record = {.kind = CH_RECORD_TICKETS,
		.version = (uint64_t)ch_now_ms(),
		.name = pool->name,
		.name_len = strlen(pool->name)};
	int rc = CH_OK;

	ch_buf_init(&keys, CH_RECORD_MAX_B);
	if (record.version <= pool->version)
		record.version = pool->version + 1;
	for (size_t i = 0; i < pool->tickets.n; i++)
		if (plan->keeps[i])
			insert(&next, &pool->tickets.keys[i]);
	if (plan->adds)
		rc = make_key(keeper, pool->name, plan, &fresh);
	if (rc == CH_OK && plan->adds)
		insert(&next, &fresh.key);
	if (rc == CH_OK)
		rc = ch_tickets_encode(&next, &keys);
	record.tickets = keys.data;
	record.tickets_len = keys.len;
	return rc ? rc : ch_record_sign(&record, keeper->issuer->signer, out);
}

static int put_record(struct ch_ticket_keeper *keeper, const struct pool *pool,
	const struct ch_buf *record, struct ch_err *err)
{
	CH_AUTO_FREE char *text = malloc(CH_B64U_TEXT_B(record->len));
	char path[32 + LABEL_MAX_B];
	struct ch_api_call call = {.method = "PUT", .path = path};
	int rc;

	if (!text)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	ch_b64u_encode(record->data, record->len, text);
	snprintf(path, sizeof(path), "/v1/tickets/%s", pool->name);
	call.body =
		json_pack("{s:I, s:s}", "replaces", (json_int_t)pool->version, "record", text);
	if (!call.body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_api_call(keeper->api, &call, err);
	json_decref(call.body);
	json_decref(call.answer);
	return rc;
}

static void rotate(struct ch_ticket_keeper *keeper, struct pool *pool)
{
	const struct ch_issuer_config *config = keeper->issuer->config;
	int64_t rotation_s = config->ticket_rotation_ms / CH_SECOND_MS;
	int64_t now_s = ch_now_ms() / CH_SECOND_MS;
	CH_AUTO_BUF struct ch_buf record;
	struct ch_ticket_plan plan;
	struct ch_err err = {0};
	int rc;

	ch_buf_init(&record, CH_RECORD_MAX_B);
	ch_ticket_plan(&pool->tickets, rotation_s, now_s, &plan);
	if (!plan.changes)
		return;
	/* What another key has signed is left alone while it is in order, or issuers that do
	 * not share one would replace each other's all the time; but nothing of it is vouched
	 * for. */
	if (pool->tickets.n && !pool->own) {
		pool->tickets.n = 0;
		ch_ticket_plan(&pool->tickets, rotation_s, now_s, &plan);
	}
	rc = make_record(keeper, pool, &plan, &record);
	if (rc)
		(void)ch_err_set(&err, rc, "internal", "%s", ch_rc_str(rc));
	else
		rc = put_record(keeper, pool, &record, &err);
	if (rc == CH_OK)
		ch_log_info("ticket keys pool=%s %s", pool->name,
			plan.adds ? "a new one is on its way" : "old ones are gone");
	else if (rc != CH_ECANCELED)
		ch_log(rc == CH_ECONFLICT ? CH_LOG_DEBUG : CH_LOG_WARN,
			"ticket keys pool=%s not rotated: %s", pool->name, err.detail);
}

static int64_t look_again_ms(const struct ch_issuer_config *config)
{
	int64_t wait_ms = config->ticket_rotation_ms / 16;

	if (wait_ms > LOOK_MOST_MS)
		wait_ms = LOOK_MOST_MS;
	return wait_ms < LOOK_LEAST_MS ? LOOK_LEAST_MS : wait_ms;
}

/* The store's troubles are told by the thread that leases. */
static int64_t on_failure(struct ch_ticket_keeper *keeper, int rc, const struct ch_err *err)
{
	if (rc != CH_ECANCELED && rc != CH_ENETWORK)
		ch_log(keeper->told ? CH_LOG_DEBUG : CH_LOG_WARN,
			"ticket keys cannot be looked at: %s", err->detail);
	keeper->told = true;
	return LOOK_MOST_MS;
}

int64_t ch_ticket_round(struct ch_ticket_keeper *keeper)
{
	struct ch_api_call call = {.method = "GET", .path = "/v1/tickets"};
	struct ch_err err = {0};
	const json_t *pools;
	size_t n;
	int rc = ch_api_call(keeper->api, &call, &err);

	if (rc)
		return rc == CH_ENETWORK && !keeper->told ? NO_POOL_MS
							  : on_failure(keeper, rc, &err);
	keeper->told = false;
	pools = json_object_get(call.answer, "pools");
	n = json_array_size(pools) < POOLS_MAX ? json_array_size(pools) : POOLS_MAX;
	for (size_t i = 0; i < n && !atomic_load(&keeper->issuer->stopping); i++) {
		CH_CLEANUP(pool_done) struct pool pool = {.name = NULL};

		if (read_pool(keeper, json_array_get(pools, i), &pool))
			ch_log_warn(
				"the store's list of ticket keys has an entry that is none");
		else
			rotate(keeper, &pool);
	}
	json_decref(call.answer);
	return n ? look_again_ms(keeper->issuer->config) : NO_POOL_MS;
}

void *ch_ticket_main(void *arg)
{
	struct ch_ticket_keeper *keeper = arg;

	while (!ch_queue_sleep(keeper->queue, ch_ticket_round(keeper)))
		;
	return NULL;
}
