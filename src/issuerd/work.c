#include "issuerd/work.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "wire/record.h"

#define CSR_MAX_B 8192u
#define SEALED_MAX_B 16384u
#define ID_MAX ((INT64_C(1) << 53) - 1) /* doc/api.md */
#define ATTEMPTS_MAX 1000000

static void read_held(const json_t *doc, struct ch_edges *edges)
{
	const char *actor = json_string_value(json_object_get(doc, "actor"));

	ch_acme_text(json_string_value(json_object_get(doc, "code")), edges->held_code,
		sizeof(edges->held_code));
	ch_acme_text(json_string_value(json_object_get(doc, "detail")), edges->held_detail,
		sizeof(edges->held_detail));
	if (!actor || ch_actor_parse(actor, &edges->held_actor))
		edges->held_actor = CH_ACTOR_OPERATOR;
}

void ch_edges_read(const json_t *doc, struct ch_edges *ret_edges)
{
	const json_t *behind = json_object_get(doc, "behind");
	CH_AUTO_BUF struct ch_buf text;
	char one[160];

	memset(ret_edges, 0, sizeof(*ret_edges));
	ret_edges->ready = json_is_true(json_object_get(doc, "ready"));
	ret_edges->known = (size_t)json_integer_value(json_object_get(doc, "known"));
	ch_buf_init(&text, sizeof(ret_edges->behind) - 1);
	ret_edges->caught_up = (size_t)json_integer_value(json_object_get(doc, "caught_up"));
	for (size_t i = 0; i < json_array_size(behind); i++)
		if (ch_buf_addf(&text, "%s%s", i ? ", " : "",
			    ch_acme_text(json_string_value(json_array_get(behind, i)), one,
				    sizeof(one))))
			break;
	ch_acme_text(ch_buf_str(&text), ret_edges->behind, sizeof(ret_edges->behind));
	if (json_is_object(json_object_get(doc, "held")))
		read_held(json_object_get(doc, "held"), ret_edges);
}

static void free_old(struct ch_old *old)
{
	for (size_t i = 0; i < CH_WORK_NAMES_MAX; i++)
		free(old->records[i].bytes);
	free(old->chain);
}

void ch_work_free(struct ch_work *work)
{
	if (!work)
		return;
	free(work->csr);
	free(work->sealed);
	free_old(&work->old);
	free_old(&work->old_second);
	free(work);
}

/* What no store of before says is nothing. */
static int read_checks(const json_t *doc, struct ch_work *work)
{
	const json_t *checks = json_object_get(doc, "checks");

	for (size_t i = 0; i < work->n_names; i++) {
		const json_t *one = json_object_get(checks, work->names[i]);
		const char *since = json_string_value(json_object_get(one, "away_since"));
		json_int_t failed = json_integer_value(json_object_get(one, "failed"));

		if (failed < 0 || (since && ch_time_parse(since, &work->away_since_ms[i])))
			return CH_EPROTO;
		if ((uint64_t)failed > work->failures[i])
			return CH_EPROTO;
		work->checks_failed[i] = (uint64_t)failed;
	}
	return CH_OK;
}

static int read_needs(const json_t *doc, struct ch_work *work)
{
	const json_t *needs = json_object_get(doc, "needed_by");

	for (size_t i = 0; i < work->n_names; i++) {
		const char *by = json_string_value(json_object_get(needs, work->names[i]));

		if (by && ch_time_parse(by, &work->needed_by_ms[i]))
			return CH_EPROTO;
	}
	return CH_OK;
}

static int read_names(const json_t *doc, struct ch_work *work)
{
	const json_t *list = json_object_get(doc, "names");
	const json_t *failures = json_object_get(doc, "failures");

	work->n_names = json_array_size(list);
	if (work->n_names == 0 || work->n_names > CH_WORK_NAMES_MAX)
		return CH_EPROTO;
	for (size_t i = 0; i < work->n_names; i++) {
		const char *name = json_string_value(json_array_get(list, i));

		/* No record could be made for another one, after the CA was asked. */
		if (!name || ch_record_check_name(name, strlen(name)))
			return CH_EPROTO;
		strcpy(work->names[i], name);
		work->name_list[i] = work->names[i];
		work->failures[i] =
			(uint64_t)json_integer_value(json_object_get(failures, name));
	}
	return CH_OK;
}

/* A store of before says neither. */
static int read_account(const json_t *doc, struct ch_work *work)
{
	const json_t *hints = json_object_get(doc, "answer_under");
	const char *account = json_string_value(json_object_get(doc, "account"));

	if (account && strlen(account) >= sizeof(work->account))
		return CH_EPROTO;
	strcpy(work->account, account ? account : "");
	for (size_t i = 0; i < work->n_names; i++) {
		const char *hex = json_string_value(json_object_get(hints, work->names[i]));
		uint8_t raw[sizeof(uint64_t)] = {0};
		struct ch_reader r;

		if (hex && ch_hex_decode(hex, raw, sizeof(raw)))
			return CH_EPROTO;
		ch_reader_init(&r, raw, sizeof(raw));
		work->answer_under[i] = ch_read_u64(&r);
	}
	return CH_OK;
}

/* A store of before knows no lists. */
static int read_cas(const json_t *doc, struct ch_work *work)
{
	const json_t *list = json_object_get(doc, "cas");

	work->n_cas = json_array_size(list);
	if (work->n_cas > CH_CAS_MAX)
		return CH_EPROTO;
	for (size_t i = 0; i < work->n_cas; i++) {
		const char *ca = json_string_value(json_array_get(list, i));

		if (!ca || strlen(ca) >= sizeof(work->cas[i]))
			return CH_EPROTO;
		strcpy(work->cas[i], ca);
	}
	return CH_OK;
}

static int read_bytes(
	const json_t *doc, const char *key, size_t max_b, uint8_t **ret_bytes, size_t *ret_len)
{
	const json_t *v = json_object_get(doc, key);

	if (!v || json_is_null(v))
		return CH_OK;
	if (!json_is_string(v))
		return CH_EPROTO;
	return ch_b64u_decode_alloc(json_string_value(v), max_b, ret_bytes, ret_len);
}

static int read_leaf(
	const json_t *doc, const char *key, bool *ret_has, uint8_t ret_sha256[CH_SHA256_B])
{
	const char *hex = json_string_value(json_object_get(doc, key));

	*ret_has = hex != NULL;
	return hex ? ch_hex_decode(hex, ret_sha256, CH_SHA256_B) : CH_OK;
}

/* A store of before says nothing of a second one. */
static int read_leaves(const json_t *doc, struct ch_work *work)
{
	int rc = read_leaf(doc, "leaf_sha256", &work->has_leaf, work->leaf_sha256);

	return rc ? rc
		  : read_leaf(doc, "second_leaf_sha256", &work->has_second_leaf,
			    work->second_leaf_sha256);
}

static int read_numbers(const json_t *doc, struct ch_work *work)
{
	const json_t *id = json_object_get(doc, "id");
	const json_t *fence = json_object_get(doc, "fence");
	const char *state = json_string_value(json_object_get(doc, "state"));
	json_int_t attempts = json_integer_value(json_object_get(doc, "attempts"));

	if (!json_is_integer(id) || !json_is_integer(fence) || !state)
		return CH_EPROTO;
	/* The id becomes the version of signed records: one that is out of range would be the
	 * last that any edge takes. */
	if (json_integer_value(id) < 1 || json_integer_value(id) > ID_MAX ||
		json_integer_value(fence) < 0 || json_integer_value(fence) > ID_MAX ||
		attempts < 0 || attempts > ATTEMPTS_MAX)
		return CH_EPROTO;
	work->id = (uint64_t)json_integer_value(id);
	work->fence = (uint64_t)json_integer_value(fence);
	work->attempts = (uint64_t)attempts;
	work->renewal = json_is_true(json_object_get(doc, "renewal"));
	return ch_order_state_parse(state, &work->state);
}

/* What is no certID is none: the order is made without. */
static void read_replaces(const json_t *doc, struct ch_work *work)
{
	const char *id = json_string_value(json_object_get(doc, "replaces"));

	if (ch_acme_cert_id_ok(id))
		strcpy(work->replaces, id);
}

static int read_old(const json_t *doc, const struct ch_work *work, struct ch_old *old)
{
	const json_t *records = json_object_get(doc, "records");
	const json_t *version = json_object_get(doc, "version");
	int rc;

	if (!json_is_object(doc))
		return CH_OK;
	if (!json_is_integer(version) || json_integer_value(version) < 1 ||
		json_integer_value(version) > ID_MAX)
		return CH_EPROTO;
	old->version = (uint64_t)json_integer_value(version);
	rc = read_bytes(doc, "chain", CH_CHAIN_MAX_B, &old->chain, &old->chain_len);
	for (size_t i = 0; rc == CH_OK && i < work->n_names; i++)
		rc = read_bytes(records, work->names[i], CH_RECORD_MAX_B,
			&old->records[i].bytes, &old->records[i].len);
	return rc;
}

/* The second record has a version of its own, which must not be out of range either. */
static int read_rollback(const json_t *doc, struct ch_work *work)
{
	int rc = read_old(doc, work, &work->old);

	if (rc == CH_OK)
		rc = read_old(json_object_get(doc, "second"), work, &work->old_second);
	return rc == CH_OK && work->old_second.version && (work->second || work->id == ID_MAX)
		       ? CH_EPROTO
		       : rc;
}

/* What no store of before says is as it was then. */
static int read_key(const json_t *doc, struct ch_work *work)
{
	const char *key = json_string_value(json_object_get(doc, "key"));

	work->second = json_is_true(json_object_get(doc, "second"));
	work->standby = json_is_true(json_object_get(doc, "standby"));
	if (key && ch_key_type_parse(key, &work->key))
		return CH_EPROTO;
	return work->second && work->key != CH_KEY_RSA ? CH_EPROTO : CH_OK;
}

int ch_work_read(
	const json_t *doc, int64_t until_mono_ms, struct ch_work **ret_work, struct ch_err *err)
{
	CH_AUTO_WORK struct ch_work *work = calloc(1, sizeof(*work));
	int rc;

	if (!work)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	work->lease_until_mono_ms = until_mono_ms;
	rc = read_numbers(doc, work);
	if (rc == CH_OK)
		rc = read_key(doc, work);
	if (rc == CH_OK)
		rc = read_names(doc, work);
	if (rc == CH_OK)
		rc = read_checks(doc, work);
	if (!rc)
		rc = read_needs(doc, work);
	if (rc == CH_OK)
		rc = read_account(doc, work);
	if (rc == CH_OK)
		rc = read_cas(doc, work);
	if (rc == CH_OK)
		rc = ch_notes_read(json_object_get(doc, "acme"), &work->notes);
	if (rc == CH_OK)
		rc = read_bytes(doc, "csr", CSR_MAX_B, &work->csr, &work->csr_len);
	if (rc == CH_OK)
		rc = read_bytes(doc, "sealed", SEALED_MAX_B, &work->sealed, &work->sealed_len);
	if (rc == CH_OK)
		rc = read_leaves(doc, work);
	if (rc == CH_OK)
		rc = read_rollback(json_object_get(doc, "rollback"), work);
	if (rc)
		return ch_err_set(err, rc, "bad-order",
			"the store's order %" PRIu64 " cannot be read: %s", work->id,
			ch_rc_str(rc));
	read_replaces(doc, work);
	ch_edges_read(json_object_get(doc, "edges"), &work->edges);
	*ret_work = TAKE_PTR(work);
	return CH_OK;
}
