#include <string.h>

#include "base/codec.h"
#include "stored/claim.h"
#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/says.h"
#include "stored/service.h"

#define HISTORY_MAX 50
#define LIMIT_DEFAULT 100
#define CURSOR_MARK "n1:"

struct name_write {
	struct ch_store_op op;
	struct ch_store_put_item item;
	struct ch_claim claim;
	char name[CH_NAME_TEXT_B];
};

/* The working memory of a write to one name; NULL: the answer is given. */
static struct name_write *new_write(struct ch_req *req, enum ch_store_op_type type)
{
	struct name_write *w = ch_arena_alloc(req->arena, sizeof(*w));

	if (!w) {
		ch_req_fail_rc(req, CH_ENOMEM, "write a domain");
		return NULL;
	}
	if (!ch_service_name(req, 0, w->name))
		return NULL;
	w->op.type = type;
	w->op.u.name.name = w->name;
	req->own = w;
	return w;
}

static void not_found(struct ch_req *req, const char *name)
{
	ch_req_problem(req, CH_ENOTFOUND, "domain-not-found", NULL,
		"\"%s\" is not registered here.", name);
}

static void answer_domain(struct ch_req *req, int status, const char *name)
{
	struct ch_store_domain domain;
	int rc = ch_store_get_domain(req->service->store, name, req->arena, &domain);

	if (rc == CH_ENOTFOUND)
		not_found(req, name);
	else if (rc)
		ch_req_fail_rc(req, rc, "read a domain");
	else
		ch_req_json(req, status, ch_present_domain(&domain, req->service->delegate));
}

static void put_done(struct ch_req *req);

static void claim_looked_up(struct ch_req *req)
{
	struct name_write *w = req->own;

	if (w->claim.found) {
		w->item.proof = w->item.claim;
		ch_service_write(req, &w->op, put_done);
	} else {
		ch_req_problem(req, CH_ECONFLICT, w->item.problem, NULL, "%s", w->item.detail);
	}
}

static void put_done(struct ch_req *req)
{
	struct name_write *w = req->own;

	if (!ch_service_written(req, &w->op))
		return;
	if (w->item.claim && !w->item.proof)
		ch_claim_look(req, &w->claim, w->name, w->item.claim, claim_looked_up);
	else if (w->item.result == CH_PUT_REJECTED)
		ch_req_problem(req, CH_EINVAL, w->item.problem, NULL, "%s", w->item.detail);
	else
		answer_domain(req, w->item.result == CH_PUT_CREATED ? 201 : 200, w->name);
}

static bool may_register(struct ch_req *req, const char *name)
{
	char normal[CH_NAME_TEXT_B];
	struct ch_err err = {0};

	if (ch_name_normalize(name, strlen(name), &req->service->name_rules, normal, &err) ==
		CH_OK)
		return true;
	ch_req_fail(req, &err, "name");
	return false;
}

void ch_handle_domain_put(struct ch_req *req)
{
	struct name_write *w = new_write(req, CH_OP_PUT);
	struct ch_json_in in;

	if (!w || !may_register(req, w->name))
		return;
	ch_json_in_init(&in, req->json, "");
	ch_domain_in_read(&in, &w->item);
	if (!ch_req_body_ok(req, &in))
		return;
	w->item.name = w->name;
	w->item.ask_proof = ch_service_asks_proof(req);
	w->op.u.put.items = &w->item;
	w->op.u.put.n_items = 1;
	w->op.u.put.keys = req->service->keys;
	w->op.u.put.known_cas = ch_issuers_cas(req->service->issuers, req->arena);
	ch_service_write(req, &w->op, put_done);
}

void ch_handle_domain_get(struct ch_req *req)
{
	struct ch_store *store = req->service->store;
	char name[CH_NAME_TEXT_B];
	struct ch_store_domain domain;
	struct ch_store_event *events;
	struct ch_expected expected;
	json_auto_t *says = NULL;
	json_t *json;
	size_t n;
	int rc;

	if (!ch_service_name(req, 0, name))
		return;
	rc = ch_store_get_domain(store, name, req->arena, &domain);
	if (rc == CH_ENOTFOUND) {
		not_found(req, name);
		return;
	}
	if (!rc)
		rc = ch_store_get_history(store, name, HISTORY_MAX, req->arena, &events, &n);
	if (rc) {
		ch_req_fail_rc(req, rc, "read a domain");
		return;
	}
	json = ch_present_domain(&domain, req->service->delegate);
	says = ch_issuers_says(req->service->issuers);
	rc = ch_foresight_name(req->service->foresight, &domain, &expected);
	if (json &&
		(json_object_set_new(json, "history", ch_present_history(events, n)) ||
			json_object_set_new(json, "expected",
				rc ? json_null() : ch_expected_json(&expected)) ||
			json_object_set_new(json, "caa", ch_says_caa(says, name[0] == '*')) ||
			json_object_set_new(json, "persist", ch_says_persist(says, name)))) {
		json_decref(json);
		json = NULL;
	}
	ch_req_json(req, 200, json);
}

static void delete_done(struct ch_req *req)
{
	struct name_write *w = req->own;

	if (ch_service_written(req, &w->op))
		ch_req_empty(req, 204);
}

void ch_handle_domain_delete(struct ch_req *req)
{
	struct name_write *w = new_write(req, CH_OP_DELETE);

	if (w)
		ch_service_write(req, &w->op, delete_done);
}

static void act_done(struct ch_req *req)
{
	struct name_write *w = req->own;

	if (ch_service_written(req, &w->op))
		answer_domain(req, 200, w->name);
}

static void act(struct ch_req *req, enum ch_store_op_type type)
{
	struct name_write *w = new_write(req, type);
	struct ch_json_in in;

	if (!w)
		return;
	ch_json_in_init(&in, req->json, "");
	if (ch_req_body_ok(req, &in))
		ch_service_write(req, &w->op, act_done);
}

void ch_handle_domain_retry(struct ch_req *req)
{
	act(req, CH_OP_RETRY);
}

void ch_handle_domain_pause(struct ch_req *req)
{
	act(req, CH_OP_PAUSE);
}

void ch_handle_domain_resume(struct ch_req *req)
{
	act(req, CH_OP_RESUME);
}

/* A cursor is CURSOR_MARK and the last name of a page, in base64url. */
static json_t *write_cursor(struct ch_req *req, const char *after)
{
	const char *plain = after ? ch_arena_fmt(req->arena, CURSOR_MARK "%s", after) : NULL;

	if (!after)
		return json_null();
	return plain ? ch_present_bytes((const uint8_t *)plain, strlen(plain)) : NULL;
}

/* False: the answer is given. */
static bool read_cursor(struct ch_req *req, const char **ret_after)
{
	const size_t mark_len = strlen(CURSOR_MARK);
	const char *cursor = ch_query_get(&req->query, "cursor");
	char plain[CH_NAME_TEXT_B + sizeof(CURSOR_MARK)];
	size_t len;

	if (!cursor)
		return true;
	if (ch_b64u_decode(cursor, strlen(cursor), (uint8_t *)plain, sizeof(plain) - 1, &len) ==
			CH_OK &&
		len > mark_len && memcmp(plain, CURSOR_MARK, mark_len) == 0) {
		plain[len] = 0;
		if (strlen(plain) == len && ch_domain_in_is_name(plain + mark_len)) {
			*ret_after = ch_arena_str(req->arena, plain + mark_len);
			return true;
		}
	}
	ch_req_problem(req, CH_EINVAL, "bad-query", "cursor",
		"The cursor must be the next_cursor of an earlier answer.");
	return false;
}

/* The names are kept in ASCII and lower case.  False: the answer is given. */
static bool read_prefix(struct ch_req *req, const char **ret_prefix)
{
	const char *given = ch_query_get(&req->query, "prefix");
	char *prefix = given ? ch_arena_str(req->arena, given) : NULL;

	if (given && !prefix) {
		ch_req_fail_rc(req, CH_ENOMEM, "read the query");
		return false;
	}
	for (char *c = prefix; c && *c; c++) {
		if (*c & 0x80) {
			ch_req_problem(req, CH_EINVAL, "bad-query", "prefix",
				"The prefix is of the names' ASCII form, such as xn--bcher.");
			return false;
		}
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	*ret_prefix = prefix;
	return true;
}

/* What is no label has no names; what is no UTF-8 PostgreSQL would not take.  False: the answer
 * is given. */
static bool read_label(struct ch_req *req, const char *key, const char **ret_label)
{
	const char *label = ch_query_get(&req->query, key);

	if (label && !ch_domain_in_is_label(label)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", key,
			"The %s must be 1 to %d of a-z, 0-9, '.', '_', '-'.", key,
			CH_STORE_LABEL_MAX);
		return false;
	}
	*ret_label = label;
	return true;
}

/* False: the answer is given. */
static bool read_filter(struct ch_req *req, struct ch_store_domain_filter *filter)
{
	const char *state = ch_query_get(&req->query, "state");
	const char *actor = ch_query_get(&req->query, "actor");
	struct ch_err err = {0};
	int64_t limit;

	if (ch_query_int(
		    &req->query, "limit", LIMIT_DEFAULT, 1, CH_STORE_LIST_MAX, &limit, &err)) {
		ch_req_fail(req, &err, "limit");
		return false;
	}
	filter->limit = (size_t)limit;
	filter->has_state = state != NULL;
	filter->has_actor = actor != NULL;
	if (state && ch_name_state_parse(state, &filter->state)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", "state",
			"\"%s\" is not a state of a domain: pending, validating, issuing, "
			"active, renewing, failed, moved or paused.",
			state);
		return false;
	}
	if (actor && ch_actor_parse(actor, &filter->actor)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", "actor",
			"The actor must be nobody, customer, platform, operator or ca.");
		return false;
	}
	return read_label(req, "tenant", &filter->tenant) &&
	       read_label(req, "pool", &filter->pool) && read_prefix(req, &filter->prefix) &&
	       read_cursor(req, &filter->after);
}

/* With the turn that is foreseen, where there is one.  NULL: out of memory. */
static json_t *listed(struct ch_req *req, const struct ch_store_domain *domain)
{
	json_t *json = ch_present_domain(domain, req->service->delegate);
	struct ch_expected expected;

	if (json && !ch_foresight_name(req->service->foresight, domain, &expected) &&
		json_object_set_new(json, "expected", ch_expected_json(&expected))) {
		json_decref(json);
		return NULL;
	}
	return json;
}

void ch_handle_domains_list(struct ch_req *req)
{
	struct ch_store_domain_filter filter = {0};
	struct ch_store_domain_page page;
	json_t *array;
	int rc;

	if (!read_filter(req, &filter))
		return;
	rc = ch_store_list_domains(req->service->store, &filter, req->arena, &page);
	if (rc) {
		ch_req_fail_rc(req, rc, "list domains");
		return;
	}
	array = json_array();
	for (size_t i = 0; i < page.n_domains; i++)
		if (json_array_append_new(array, listed(req, &page.domains[i]))) {
			ch_req_fail_rc(req, CH_ENOMEM, "list domains");
			json_decref(array);
			return;
		}
	ch_req_json(req, 200,
		json_pack("{s:o, s:o}", "domains", array, "next_cursor",
			write_cursor(req, page.after)));
}
