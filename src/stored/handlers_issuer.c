/* The issuer's side: leases and the results of steps. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "stored/handlers.h"
#include "stored/look_in.h"
#include "stored/present.h"
#include "stored/publish_in.h"
#include "stored/says.h"
#include "stored/service.h"

#define WAIT_MAX_MS 60000
/* When something is due but another issuer's lease was quicker: not at once again. */
#define CONTENDED_MS 250
#define LOOK_AGAIN_MAX 16
#define ATTEMPTS_MAX 1000000

struct leases {
	struct ch_store_op op;
	struct ch_poll poll;
	size_t max;
	int64_t lease_ms;
	int64_t wait_ms;
	const char *issuer;
	struct ch_store_pace pace;
	struct ch_store_pace fallback[CH_STORE_FALLBACK_MAX];
	size_t n_fallback;
	const char *standby; /* NULL: none */
	bool second_standbys;
	bool news;			  /* not written yet */
	struct ch_store_looking *looking; /* NULL: names get orders unlooked */
};

static ch_req_fn lease_look;

/* looks and looked: NULL when nothing was asked about them. */
static void lease_answer(struct ch_req *req, const struct ch_op_lease *lease)
{
	const struct leases *l = req->own;
	json_t *orders = json_array();

	for (size_t i = 0; i < lease->n_orders; i++)
		if (json_array_append_new(orders, ch_present_leased(&lease->orders[i]))) {
			json_decref(orders);
			ch_req_fail_rc(req, CH_ENOMEM, "answer a lease");
			return;
		}
	ch_req_json(req, 200,
		json_pack("{s:o, s:o, s:o*, s:o*}", "orders", orders, "now",
			ch_present_time(lease->now_ms ? lease->now_ms : ch_now_ms()), "looks",
			l->looking ? ch_look_in_present(l->looking) : NULL, "looked",
			l->looking ? json_integer((json_int_t)l->looking->n_dealt) : NULL));
}

static bool may_wait(const struct ch_req *req, const struct leases *l)
{
	return ch_mono_ms() - req->began_ms < l->wait_ms;
}

/* Else they would wait until something is due. */
static void keep_news(struct ch_req *req, const struct leases *l)
{
	if (l->news)
		ch_issuers_unheard(req->service->issuers, l->issuer);
}

static void lease_done(struct ch_req *req)
{
	struct leases *l = req->own;
	int rc;

	if (l->op.rc)
		keep_news(req, l);
	if (!ch_service_written(req, &l->op))
		return;
	l->news = false;
	if (l->op.u.lease.n_orders || (l->looking && l->looking->n_looks) ||
		!may_wait(req, l)) {
		lease_answer(req, &l->op.u.lease);
		return;
	}
	l->poll.due_ms = ch_now_ms() + CONTENDED_MS;
	rc = ch_polls_wait(req->service->polls, req, &l->poll,
		ch_polls_seen(req->service->polls, CH_POLL_LEASES), lease_look);
	if (rc == CH_ECONFLICT)
		lease_answer(req, &l->op.u.lease);
}

static void lease_take(struct ch_req *req, struct leases *l)
{
	/* Nobody would make the steps of a lease that goes to a client that has died. */
	if (ch_req_is_gone(req)) {
		keep_news(req, l);
		ch_req_problem(req, CH_ECANCELED, "stopping", NULL, "The client is gone.");
		return;
	}
	memset(&l->op, 0, sizeof(l->op));
	l->op.type = CH_OP_LEASE;
	l->op.u.lease.issuer = l->issuer;
	l->op.u.lease.max = l->max;
	l->op.u.lease.lease_ms = l->lease_ms;
	l->op.u.lease.pace = l->pace;
	memcpy(l->op.u.lease.fallback, l->fallback, sizeof(l->fallback));
	l->op.u.lease.n_fallback = l->n_fallback;
	l->op.u.lease.standby = l->standby;
	l->op.u.lease.second_standbys = l->second_standbys;
	l->op.u.lease.looking = l->looking;
	ch_service_write(req, &l->op, lease_done);
}

static bool tells(const struct leases *l)
{
	return l->looking && (l->looking->n_looked || l->looking->n_dead);
}

/* Leases are writes: only when something is due, or told. */
static void lease_look(struct ch_req *req)
{
	struct leases *l = req->own;
	struct ch_polls *polls = req->service->polls;

	if (tells(l)) {
		lease_take(req, l);
		return;
	}
	for (int i = 0; i < LOOK_AGAIN_MAX; i++) {
		uint64_t seen = ch_polls_seen(polls, CH_POLL_LEASES);
		struct ch_op_lease none = {0};
		int rc = ch_store_next_due(req->service->store, &l->poll.due_ms);

		if (rc) {
			ch_req_fail_rc(req, rc, "look for due orders");
			return;
		}
		if (l->poll.due_ms <= ch_now_ms()) {
			lease_take(req, l);
			return;
		}
		if (!may_wait(req, l)) {
			lease_answer(req, &none);
			return;
		}
		rc = ch_polls_wait(polls, req, &l->poll, seen, lease_look);
		if (rc != CH_ECONFLICT)
			return;
	}
	lease_take(req, l);
}

static void take_limit(
	struct ch_json_in *in, const char *key, const char *text, struct ch_limit *limit)
{
	if (text && ch_limit_parse(text, limit))
		ch_json_in_fail(
			in, key, "The limit must be a number and a time, as 300/3h, or none.");
}

static void read_pace(
	struct ch_json_in *from, json_t *value, const char *prefix, struct ch_store_pace *pace)
{
	const char *text;
	struct ch_json_in in;

	ch_json_in_init(&in, value, prefix);
	pace->account = ch_json_in_str(&in, "account", CH_JSON_REQUIRED, CH_STORE_ACCOUNT_MAX);
	pace->ca = ch_json_in_str(&in, "ca", CH_JSON_OPTIONAL, CH_STORE_CA_NAME_MAX);
	pace->out = ch_json_in_bool(&in, "out", false);
	pace->renewals_count = !ch_json_in_bool(&in, "renewals_exempt", true);
	text = ch_json_in_str(&in, "orders", CH_JSON_OPTIONAL, CH_LIMIT_TEXT_B);
	take_limit(&in, "orders", text, &pace->limits[CH_PACED_ACCOUNT]);
	text = ch_json_in_str(&in, "domain", CH_JSON_OPTIONAL, CH_LIMIT_TEXT_B);
	take_limit(&in, "domain", text, &pace->limits[CH_PACED_DOMAIN]);
	text = ch_json_in_str(&in, "set", CH_JSON_OPTIONAL, CH_LIMIT_TEXT_B);
	take_limit(&in, "set", text, &pace->limits[CH_PACED_SET]);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

static void read_paces(struct ch_json_in *in, struct leases *l)
{
	json_t *value = ch_json_in_object(in, "pace", CH_JSON_OPTIONAL);
	json_t *others;

	if (value)
		read_pace(in, value, "pace.", &l->pace);
	others = ch_json_in_array(in, "fallback", CH_JSON_OPTIONAL, CH_STORE_FALLBACK_MAX);
	l->n_fallback = json_array_size(others);
	for (size_t i = 0; i < l->n_fallback; i++)
		read_pace(in, json_array_get(others, i), "fallback.", &l->fallback[i]);
}

void ch_handle_leases(struct ch_req *req)
{
	struct leases *l = ch_arena_alloc(req->arena, sizeof(*l));
	struct ch_json_in in;

	if (!l) {
		ch_req_fail_rc(req, CH_ENOMEM, "lease");
		return;
	}
	ch_json_in_init(&in, req->json, "");
	l->max = (size_t)ch_json_in_int(&in, "max", CH_JSON_REQUIRED, 0, CH_STORE_LEASE_MAX);
	l->lease_ms = ch_json_in_int(&in, "lease_ms", CH_JSON_REQUIRED, 1000, 3600000);
	l->wait_ms = ch_json_in_int(&in, "wait_ms", CH_JSON_OPTIONAL, 0, WAIT_MAX_MS);
	read_paces(&in, l);
	l->looking = ch_look_in_read(req, &in);
	l->standby = ch_json_in_str(&in, "standby", CH_JSON_OPTIONAL, CH_STORE_CA_NAME_MAX);
	l->second_standbys = ch_json_in_bool(&in, "second_standbys", false);
	if (!l->max && !l->looking)
		ch_json_in_fail(&in, "max", "\"max\" must be at least 1 without \"looks\".");
	/* What it tells is written once, and then it would be told again. */
	if (tells(l) && l->wait_ms)
		ch_json_in_fail(
			&in, "wait_ms", "There is no waiting with \"looked\" or \"dead\".");
	ch_says_check_records(&in, "caa");
	ch_says_check_records(&in, "persist");
	(void)ch_json_in_bool(&in, "persist_all", false);
	if (!ch_req_body_ok(req, &in))
		return;
	l->issuer = ch_service_who(req);
	l->poll.kind = CH_POLL_LEASES;
	l->poll.deadline_ms = req->began_ms + l->wait_ms;
	req->own = l;
	if (!l->issuer) {
		ch_req_fail_rc(req, CH_ENOMEM, "lease");
		return;
	}
	l->news = ch_issuers_hear(
		req->service->issuers, l->issuer, req->json, ch_req_user_agent(req));
	if (!l->news) {
		lease_look(req);
		return;
	}
	/* The store has to know, also when nothing is due: names may want a standby now. */
	ch_foresight_wake(req->service->foresight);
	lease_take(req, l);
}

struct patch {
	struct ch_store_op op;
	struct ch_buf csr;
	struct ch_buf sealed;
	struct ch_store_outcome outcomes[CH_STORE_ORDER_NAMES_MAX];
	char names[CH_STORE_ORDER_NAMES_MAX][CH_NAME_TEXT_B];
	struct ch_store_answerer answerers[CH_STORE_ORDER_NAMES_MAX];
	char answered[CH_STORE_ORDER_NAMES_MAX][CH_NAME_TEXT_B];
	struct ch_store_record_bytes challenges[CH_STORE_ORDER_NAMES_MAX];
};

static const char *read_name(struct ch_json_in *in, char name[CH_NAME_TEXT_B])
{
	const char *text = ch_json_in_str(in, "name", CH_JSON_REQUIRED, CH_NAME_TEXT_B);
	struct ch_err err = {0};

	if (text && ch_name_normalize(text, strlen(text), &ch_service_any_name, name, &err))
		ch_json_in_fail_err(in, "name", &err);
	return name;
}

static void read_answerer(struct ch_json_in *from, json_t *value, struct ch_store_answerer *a,
	char name[CH_NAME_TEXT_B])
{
	uint8_t raw[sizeof(a->account_hint)] = {0};
	struct ch_reader r;
	struct ch_json_in in;
	const char *hex;

	ch_json_in_init(&in, value, "answer_under.");
	a->name = read_name(&in, name);
	hex = ch_json_in_str(&in, "account_hint", CH_JSON_REQUIRED, 2 * sizeof(raw));
	if (hex && ch_hex_decode(hex, raw, sizeof(raw)))
		ch_json_in_fail(&in, "account_hint",
			"The hint must be 16 hexadecimal digits: the first 8 bytes of the "
			"account's thumbprint.");
	ch_reader_init(&r, raw, sizeof(raw));
	a->account_hint = ch_read_u64(&r);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

static void read_outcome(struct ch_json_in *from, json_t *value, struct ch_store_outcome *o,
	char name[CH_NAME_TEXT_B])
{
	struct ch_json_in in;
	const char *text;

	ch_json_in_init(&in, value, "names.");
	o->name = read_name(&in, name);
	o->next_at_ms = ch_json_in_time(&in, "next_at", CH_JSON_OPTIONAL);
	o->failed = ch_json_in_bool(&in, "failed", true);
	o->state = CH_NAME_FAILED;
	text = ch_json_in_str(&in, "state", CH_JSON_OPTIONAL, 16);
	if (text && (ch_name_state_parse(text, &o->state) ||
			    (o->state != CH_NAME_FAILED && o->state != CH_NAME_MOVED &&
				    o->state != CH_NAME_PAUSED)))
		ch_json_in_fail(&in, "state", "The state must be failed, moved or paused.");
	o->check = ch_json_in_bool(&in, "check", false);
	o->away = ch_json_in_bool(&in, "away", false);
	(void)ch_reason_in_read(&in, CH_JSON_REQUIRED, "names.reason.", &o->reason);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

static void read_acme(struct ch_req *req, struct ch_json_in *in, struct ch_op_patch *patch)
{
	json_t *value = ch_json_in_object(in, "acme", CH_JSON_OPTIONAL);
	CH_AUTO_FREE char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	if (!value)
		return;
	if (!text || strlen(text) > CH_STORE_ACME_MAX_B) {
		ch_json_in_fail(
			in, "acme", "\"acme\" is longer than %u bytes.", CH_STORE_ACME_MAX_B);
		return;
	}
	patch->acme = ch_arena_str(req->arena, text);
	if (!patch->acme)
		ch_json_in_fail(in, "acme", "Out of memory.");
}

static void read_limited(struct ch_json_in *from, struct ch_store_limited *limited)
{
	json_t *value = ch_json_in_object(from, "limited", CH_JSON_OPTIONAL);
	struct ch_json_in in;
	const char *text;

	if (!value)
		return;
	ch_json_in_init(&in, value, "limited.");
	limited->account =
		ch_json_in_str(&in, "account", CH_JSON_REQUIRED, CH_STORE_ACCOUNT_MAX);
	text = ch_json_in_str(&in, "limit", CH_JSON_REQUIRED, 16);
	if (text && ch_paced_parse(text, &limited->paced))
		ch_json_in_fail(&in, "limit", "The limit must be account, domain or set.");
	limited->until_ms = ch_json_in_time(&in, "until", CH_JSON_REQUIRED);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

static void read_patch(struct ch_req *req, struct ch_json_in *in, struct patch *w)
{
	struct ch_op_patch *p = &w->op.u.patch;
	json_t *names;
	const char *state;

	p->fence = (uint64_t)ch_json_in_int(in, "fence", CH_JSON_REQUIRED, 0, CH_JSON_INT_MAX);
	state = ch_json_in_str(in, "state", CH_JSON_OPTIONAL, 16);
	p->has_state = state != NULL;
	if (state && ch_order_state_parse(state, &p->state))
		ch_json_in_fail(in, "state", "\"%s\" is not a state of an order.", state);
	p->next_at_ms = ch_json_in_time(in, "next_at", CH_JSON_OPTIONAL);
	p->keep_lease = ch_json_in_bool(in, "keep_lease", false);
	p->has_attempts = ch_json_in_has(in, "attempts");
	p->attempts =
		(uint64_t)ch_json_in_int(in, "attempts", CH_JSON_OPTIONAL, 0, ATTEMPTS_MAX);
	p->has_reason = ch_reason_in_read(in, CH_JSON_OPTIONAL, "reason.", &p->reason);
	read_acme(req, in, p);
	read_limited(in, &p->limited);
	ch_json_in_bytes(in, "csr", CH_JSON_OPTIONAL, &w->csr);
	ch_json_in_bytes(in, "sealed", CH_JSON_OPTIONAL, &w->sealed);
	names = ch_json_in_array(in, "names", CH_JSON_OPTIONAL, CH_STORE_ORDER_NAMES_MAX);
	for (size_t i = 0; i < json_array_size(names); i++)
		read_outcome(in, json_array_get(names, i), &w->outcomes[i], w->names[i]);
	p->outcomes = w->outcomes;
	p->n_outcomes = json_array_size(names);
	names = ch_json_in_array(
		in, "answer_under", CH_JSON_OPTIONAL, CH_STORE_ORDER_NAMES_MAX);
	for (size_t i = 0; i < json_array_size(names); i++)
		read_answerer(in, json_array_get(names, i), &w->answerers[i], w->answered[i]);
	p->answerers = w->answerers;
	p->n_answerers = json_array_size(names);
	p->challenges = w->challenges;
	p->n_challenges =
		ch_service_records(req, in, "challenges", CH_JSON_OPTIONAL, w->challenges);
}

/* The decoded bytes move to the arena, which outlives the operation. */
static bool move_bytes(
	struct ch_req *req, struct ch_buf *from, const uint8_t **ret_bytes, size_t *ret_len)
{
	*ret_len = from->len;
	*ret_bytes = from->len ? ch_arena_copy(req->arena, from->data, from->len) : NULL;
	return !from->len || *ret_bytes;
}

static void patch_done(struct ch_req *req)
{
	struct ch_store_op *op = req->own;

	if (ch_service_written(req, op))
		ch_service_order_answer(req, &op->u.patch.answer);
}

struct ch_store_op *ch_patch_in_read(struct ch_req *req, struct ch_json_in *in, uint64_t id)
{
	struct patch *w = ch_arena_alloc(req->arena, sizeof(*w));
	struct ch_op_patch *p = w ? &w->op.u.patch : NULL;
	bool ok;

	if (!w) {
		ch_json_in_fail(in, "fence", "Out of memory.");
		return NULL;
	}
	w->op.type = CH_OP_PATCH;
	p->id = id;
	ch_buf_init(&w->csr, CH_STORE_CSR_MAX_B);
	ch_buf_init(&w->sealed, CH_STORE_SEALED_MAX_B);
	read_patch(req, in, w);
	ok = move_bytes(req, &w->csr, &p->csr, &p->csr_len) &&
	     move_bytes(req, &w->sealed, &p->sealed, &p->sealed_len);
	if (!ok)
		ch_json_in_fail(in, "csr", "Out of memory.");
	ch_buf_done(&w->csr);
	ch_buf_done(&w->sealed);
	return &w->op;
}

void ch_handle_order_patch(struct ch_req *req)
{
	struct ch_json_in in;
	uint64_t id;

	if (!ch_service_order_id(req, &id))
		return;
	ch_json_in_init(&in, req->json, "");
	req->own = ch_patch_in_read(req, &in, id);
	if (ch_req_body_ok(req, &in))
		ch_service_write(req, req->own, patch_done);
}
