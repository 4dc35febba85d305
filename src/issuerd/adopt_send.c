/* Certificates to the store: asked about, sealed, signed, made live, in batches. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/codec.h"
#include "issuerd/adopt.h"
#include "issuerd/adopt_item.h"

#define BATCH 64
/* Of one request: well below what the store takes. */
#define BODY_MAX_B (2u * 1024u * 1024u)
#define TRIES 8
#define TRY_AGAIN_MS 500

/* A name that the store is asked about. */
struct ask {
	char name[CH_NAME_TEXT_B];
	struct ch_adopt_material *material; /* of its certificate; borrowed from the batch */
	bool second;
	bool ready;
	bool paired; /* goes along with the one before */
	uint64_t version;
	char place[8];
};

/* A certificate that is made ready before its turn, by whichever thread. */
struct ready {
	size_t index;
	struct ch_adopt_material *material; /* NULL: rc and err say why */
	struct ch_err err;		    /* … or why it has no key */
	int rc;
};

struct batch {
	struct ch_adopt *a;
	struct ready ready[CH_ADOPT_CHUNK];
	struct ch_recipients recipients;
	enum ch_adopt_role role; /* what this pass is about */
	struct ask asks[BATCH];
	size_t n;
	struct ch_adopt_material *loaded[BATCH];
	size_t n_loaded;
	struct ch_adopt_material *current;
	size_t index;		  /* of the certificate that is current */
	const struct ch_err *why; /* it has no key */
	struct ch_err *err;
};

static void wait_ms(int64_t ms)
{
	const struct timespec span = {ms / 1000, ms % 1000 * 1000000};

	(void)nanosleep(&span, NULL);
}

/* A store that is busy or restarts is waited for. */
static int call(struct batch *b, json_t *body, size_t n, json_t **ret_results)
{
	struct ch_api_call call = {.method = "POST", .path = "/v1/adoptions", .body = body};
	int rc = CH_OK;

	for (int try = 0; try < TRIES; try++) {
		if (try)
			wait_ms(TRY_AGAIN_MS << (try < 5 ? try : 5));
		call.answer = NULL;
		rc = ch_api_call(b->a->api, &call, b->err);
		if (rc != CH_EAGAIN && rc != CH_ENETWORK && rc != CH_ETIMEOUT)
			break;
	}
	if (!rc && json_array_size(json_object_get(call.answer, "results")) != n)
		rc = ch_err_set(b->err, CH_EPROTO, "store-answer",
			"the store's answer is not about what it was asked");
	if (!rc) {
		*ret_results = json_incref(json_object_get(call.answer, "results"));
		/* What an earlier try failed with would look like an error of the run. */
		*b->err = (struct ch_err){0};
	}
	json_decref(call.answer);
	return rc;
}

static json_t *new_body(const struct batch *b, json_t *items)
{
	json_t *body = json_copy(b->a->settings);

	if (!body) {
		json_decref(items);
		return NULL;
	}
	(void)json_object_set_new(body, "items", items);
	if (b->a->dry_run)
		(void)json_object_set_new(body, "dry_run", json_true());
	return body;
}

static const char *text_of(const json_t *object, const char *key, const char *other)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : other;
}

/* What the store says of a name; false: it is to go on with it. */
static bool note(struct batch *b, const struct ask *ask, const json_t *result)
{
	const char *word = text_of(result, "result", "");
	enum ch_adopt_fate fate = strcmp(word, "kept") == 0 ? CH_FATE_KEPT : CH_FATE_REFUSED;

	if (strcmp(word, "ready") == 0)
		return false;
	if (strcmp(word, "adopted") == 0)
		fate = CH_FATE_ADOPTED;
	ch_adopt_report_note(&b->a->report, fate, ask->name,
		text_of(result, "code", fate == CH_FATE_ADOPTED ? "live" : "store-answer"),
		text_of(result, "detail", NULL));
	return true;
}

static int ask_all(struct batch *b)
{
	json_t *items = json_array();
	json_t *body;
	json_t *results = NULL;
	int rc;

	for (size_t i = 0; i < b->n; i++)
		if (json_array_append_new(items, ch_adopt_item_ask(b->asks[i].material,
							 b->asks[i].name, b->asks[i].second)))
			break;
	body = new_body(b, items);
	rc = body ? call(b, body, b->n, &results)
		  : ch_err_set(b->err, CH_ENOMEM, "out-of-memory", "out of memory");
	json_decref(body);
	for (size_t i = 0; !rc && i < b->n; i++) {
		const json_t *result = json_array_get(results, i);
		struct ask *ask = &b->asks[i];

		ask->ready = !note(b, ask, result);
		ask->version = (uint64_t)json_integer_value(json_object_get(result, "version"));
		snprintf(ask->place, sizeof(ask->place), "%s", text_of(result, "place", ""));
		if (ask->ready && b->a->dry_run)
			ch_adopt_report_note(
				&b->a->report, CH_FATE_ADOPTED, ask->name, "live", NULL);
	}
	json_decref(results);
	return rc;
}

/* A name and its www name, which get one certificate from then on too. */
static bool is_pair(const struct ask *name, const struct ask *www)
{
	return name->ready && www->ready && name->material == www->material &&
	       strncmp(name->name, "www.", 4) != 0 && strcmp(name->place, "alone") != 0 &&
	       strcmp(name->place, www->place) == 0 && strncmp(www->name, "www.", 4) == 0 &&
	       strcmp(www->name + 4, name->name) == 0;
}

/* What is made of an ask, and perhaps of the www name behind it. */
struct made {
	struct batch *b;
	size_t at; /* index of the first ask */
	json_t *item;
	size_t size_b;
	struct ch_err err;
	int rc;
};

/* Sealing and signing. */
static void make_item(void *arg, size_t i, unsigned who)
{
	struct made *made = (struct made *)arg + i;
	struct batch *b = made->b;
	const struct ask *ask = &b->asks[made->at];
	bool pair = made->at + 1 < b->n && ask[1].paired;
	const char *names[2] = {ask->name, pair ? ask[1].name : NULL};
	const struct ch_adopt_for what = {.names = names,
		.n_names = pair ? 2 : 1,
		.version = ask->version,
		.second = ask->second,
		.ca = b->a->ca};

	made->rc = ch_adopt_item_publish(b->a->issuer, &b->recipients, ask->material, &what,
		&made->item, &made->size_b, &made->err);
}

/* A part of what was made, that is to be sent in one request. */
static int submit(struct batch *b, struct made *made, size_t n)
{
	json_t *items = json_array();
	json_t *results = NULL;
	json_t *body;
	int rc = CH_OK;

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(items, TAKE_PTR(made[i].item)))
			rc = CH_ENOMEM;
	body = new_body(b, items);
	rc = body && !rc ? call(b, body, n, &results)
			 : ch_err_set(b->err, CH_ENOMEM, "out-of-memory", "out of memory");
	for (size_t i = 0; !rc && i < n; i++) {
		const struct ask *first = &b->asks[made[i].at];
		const json_t *result = json_array_get(results, i);

		(void)note(b, first, result);
		if (made[i].at + 1 < b->n && first[1].paired)
			(void)note(b, &first[1], result);
	}
	json_decref(results);
	json_decref(body);
	return rc;
}

static int submit_all(struct batch *b, struct made *made, size_t n)
{
	size_t first = 0;
	size_t size_b = 0;
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		if (i > first && size_b + made[i].size_b > BODY_MAX_B) {
			rc = submit(b, &made[first], i - first);
			first = i;
			size_b = 0;
		}
		size_b += made[i].size_b;
	}
	return rc || first == n ? rc : submit(b, &made[first], n - first);
}

static int send_all(struct batch *b)
{
	struct made made[BATCH];
	size_t n = 0;
	int rc = CH_OK;

	for (size_t i = 0; i < b->n; i++) {
		if (!b->asks[i].ready || b->asks[i].paired)
			continue;
		if (i + 1 < b->n)
			b->asks[i + 1].paired = is_pair(&b->asks[i], &b->asks[i + 1]);
		made[n++] = (struct made){.b = b, .at = i};
	}
	ch_crew_run(b->a->threads, n, make_item, made);
	for (size_t i = 0; !rc && i < n; i++)
		if (made[i].rc) {
			rc = made[i].rc;
			*b->err = made[i].err;
		}
	if (!rc)
		rc = submit_all(b, made, n);
	for (size_t i = 0; i < n; i++)
		json_decref(made[i].item);
	return rc;
}

static int flush(struct batch *b)
{
	int rc = b->n ? ask_all(b) : CH_OK;

	if (!rc && b->n && !b->a->dry_run)
		rc = send_all(b);
	ch_adopt_report_step(&b->a->report, b->n);
	b->n = 0;
	for (size_t i = 0; i < b->n_loaded; i++)
		if (b->loaded[i] != b->current)
			ch_adopt_material_free(b->loaded[i]);
	b->n_loaded = 0;
	return rc;
}

static int check_key(struct batch *b)
{
	if (ch_adopt_material_has_key(b->current))
		return CH_OK;
	if (b->why->rc == CH_ENOMEM)
		*b->err = *b->why;
	else
		ch_adopt_report_note(&b->a->report, CH_FATE_REFUSED, b->a->certs[b->index].cert,
			b->why->problem, b->why->detail);
	return b->why->rc;
}

static int push(struct batch *b, const char *name)
{
	struct ask *ask;
	int rc = check_key(b);

	if (!rc && b->n == BATCH)
		rc = flush(b);
	if (rc)
		return rc;
	if (!b->n_loaded || b->loaded[b->n_loaded - 1] != b->current)
		b->loaded[b->n_loaded++] = b->current;
	ask = &b->asks[b->n++];
	*ask = (struct ask){.material = b->current, .second = b->role == CH_ADOPT_SECOND};
	snprintf(ask->name, sizeof(ask->name), "%s", name);
	return CH_OK;
}

static bool is_wanted(const struct batch *b, const char *name, size_t index)
{
	return json_object_get(b->a->names, name) &&
	       ch_adopt_role_of(b->a, name, index) == b->role;
}

static bool is_mine(const struct batch *b, const char *name)
{
	return is_wanted(b, name, b->index);
}

/* In pairs: the www name right after its name, in the same batch. */
static int take_name(void *arg, const char *name)
{
	struct batch *b = arg;
	char www[CH_NAME_TEXT_B + 4];
	const struct ch_cert_info *info = ch_adopt_material_info(b->current);
	bool pair;
	int rc = CH_OK;

	if (!is_mine(b, name))
		return CH_OK;
	if (strncmp(name, "www.", 4) == 0 && is_mine(b, name + 4) &&
		ch_cert_covers(info, name + 4))
		return CH_OK;
	snprintf(www, sizeof(www), "www.%s", name);
	pair = is_mine(b, www) && ch_cert_covers(info, www);
	if (pair && b->n + 2 > BATCH)
		rc = flush(b);
	if (!rc)
		rc = push(b, name);
	return !rc && pair ? push(b, www) : rc;
}

static int take_cert(struct batch *b, struct ready *ready)
{
	const struct ch_adopt_cert *cert = &b->a->certs[ready->index];
	int rc;

	b->index = ready->index;
	b->why = &ready->err;
	b->current = TAKE_PTR(ready->material);
	if (!b->current) {
		ch_adopt_report_note(&b->a->report, CH_FATE_REFUSED, cert->cert,
			ready->err.problem, ready->err.detail);
		return CH_OK;
	}
	rc = ch_adopt_names(b->a, cert, ch_adopt_material_leaf(b->current), take_name, b);
	/* What the names of this one were refused for is told. */
	if (rc && !b->err->rc)
		rc = CH_OK;
	if (!b->n_loaded || b->loaded[b->n_loaded - 1] != b->current)
		ch_adopt_material_free(b->current);
	b->current = NULL;
	if (!rc && b->n_loaded == BATCH)
		rc = flush(b);
	return rc;
}

struct wanting {
	const struct batch *b;
	size_t index;
	bool is_wanted;
};

static int note_wanted(void *arg, const char *name)
{
	struct wanting *wanting = arg;

	wanting->is_wanted |= is_wanted(wanting->b, name, wanting->index);
	return CH_OK;
}

/* The key is read only if a name needs it. */
static void make_ready(void *arg, size_t i, unsigned who)
{
	struct batch *b = arg;
	struct ready *ready = &b->ready[i];
	const struct ch_adopt_cert *cert = &b->a->certs[ready->index];
	struct wanting wanting = {.b = b, .index = ready->index};

	ready->err = (struct ch_err){0};
	ready->rc = ch_adopt_material_load(b->a, who, cert, &ready->material, &ready->err);
	if (!ready->rc)
		ready->rc = ch_adopt_names(b->a, cert, ch_adopt_material_leaf(ready->material),
			note_wanted, &wanting);
	if (!ready->rc && wanting.is_wanted)
		ready->rc =
			ch_adopt_material_seal(b->a, who, cert, ready->material, &ready->err);
}

static int take_ready(struct batch *b, size_t n)
{
	int rc = CH_OK;

	ch_crew_run(b->a->threads, n, make_ready, b);
	for (size_t i = 0; i < n; i++) {
		if (!rc)
			rc = take_cert(b, &b->ready[i]);
		ch_adopt_material_free(b->ready[i].material);
		b->ready[i].material = NULL;
	}
	return rc;
}

static int pass(struct batch *b, enum ch_adopt_role role)
{
	size_t n = 0;
	int rc = CH_OK;

	b->role = role;
	for (size_t i = 0; !rc && i < b->a->n_certs; i++) {
		if (b->a->certs[i].good && (role == CH_ADOPT_FIRST || b->a->certs[i].rsa))
			b->ready[n++].index = i;
		if (n == CH_ADOPT_CHUNK || i + 1 == b->a->n_certs) {
			rc = take_ready(b, n);
			n = 0;
		}
	}
	if (!rc)
		rc = flush(b);
	for (size_t i = 0; i < b->n_loaded; i++)
		ch_adopt_material_free(b->loaded[i]);
	b->n_loaded = 0;
	return rc;
}

int ch_adopt_send(struct ch_adopt *a, struct ch_err *err)
{
	CH_AUTO_FREE struct batch *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	b->a = a;
	b->err = err;
	ch_issuer_recipients(a->issuer, &b->recipients);
	ch_adopt_report_begin(&a->report, "names", json_object_size(a->names));
	rc = pass(b, CH_ADOPT_FIRST);
	if (!rc)
		rc = pass(b, CH_ADOPT_SECOND);
	ch_adopt_report_clear(&a->report);
	return rc;
}
