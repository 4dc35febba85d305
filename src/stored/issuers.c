#include "stored/issuers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/cas.h"
#include "stored/present.h"
#include "stored/says.h"

#define CAS_MAX_B 2048

struct row {
	char *id;
	char *says;
	char software[CH_STORE_SOFTWARE_MAX + 1]; /* "": not known */
	int64_t changed_ms;
	int64_t confirmed_ms;
	int64_t heard_ms; /* by this store; 0: never */
	int64_t sent_ms;  /* to the database, on the monotonic clock; 0: never */
	bool in_flight;
	bool unwritten; /* of what this store has heard */
	bool unheard;	/* the lease with it was not written */
	bool settled;	/* while the list is read: it stays, and is as it is */
};

struct ch_issuers {
	struct ch_store *store;
	pthread_mutex_t lock; /* over all below */
	struct row rows[CH_STORE_ISSUERS_MAX];
	size_t n;
	json_t *says;
	char cas[CAS_MAX_B]; /* "": not known */
	bool loading;
	bool loaded;
	int64_t loaded_ms; /* on the monotonic clock */
};

/* A write on its way. */
struct sent {
	struct ch_store_op op;
	struct ch_issuers *issuers;
	char *id;
	char *says;
	char software[CH_STORE_SOFTWARE_MAX + 1];
};

static struct row *find(struct ch_issuers *issuers, const char *id)
{
	for (size_t i = 0; i < issuers->n; i++)
		if (strcmp(issuers->rows[i].id, id) == 0)
			return &issuers->rows[i];
	return NULL;
}

static void row_done(struct row *row)
{
	free(row->id);
	free(row->says);
}

/* NULL: no memory, or too many. */
static struct row *find_or_add(struct ch_issuers *issuers, const char *id)
{
	struct row *row = find(issuers, id);

	if (row)
		return row;
	if (issuers->n == CH_STORE_ISSUERS_MAX)
		return NULL;
	row = &issuers->rows[issuers->n];
	*row = (struct row){.id = strdup(id), .says = strdup("")};
	if (!row->id || !row->says) {
		row_done(row);
		return NULL;
	}
	issuers->n++;
	return row;
}

static bool set_says(struct row *row, const char *says)
{
	char *copy = strdup(says);

	if (!copy)
		return false;
	free(row->says);
	row->says = copy;
	return true;
}

static void set_software(struct row *row, const char *software)
{
	snprintf(row->software, sizeof(row->software), "%s", software);
}

/* Those that are said to have been confirmed in the time to come were confirmed by a clock that
 * was wrong, and count as if it were now. */
static int64_t last_confirmed(const struct ch_issuers *issuers, int64_t now_ms)
{
	int64_t last_ms = 0;

	for (size_t i = 0; i < issuers->n; i++)
		if (issuers->rows[i].confirmed_ms > last_ms)
			last_ms = issuers->rows[i].confirmed_ms;
	return last_ms < now_ms ? last_ms : now_ms;
}

static const struct row *choose(const struct ch_issuers *issuers)
{
	int64_t least_ms = last_confirmed(issuers, ch_now_ms()) - CH_ISSUERS_BESIDE_MS;
	const struct row *best = NULL;

	for (size_t i = 0; i < issuers->n; i++) {
		const struct row *row = &issuers->rows[i];

		if (row->confirmed_ms >= least_ms && row->says[0] &&
			(!best || row->changed_ms > best->changed_ms ||
				(row->changed_ms == best->changed_ms &&
					strcmp(row->id, best->id) < 0)))
			best = row;
	}
	return best;
}

/* When there are too many, none is known: nothing is refused then. */
static void add_cas(const json_t *says, char cas[CAS_MAX_B], bool *full)
{
	const char *names[CH_SAYS_PACES_MAX];
	size_t n = ch_says_cas(says, names);

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (ch_cas_have(cas, names[i], len))
			continue;
		if (strlen(cas) + 1 + len >= CAS_MAX_B) {
			*full = true;
			return;
		}
		if (cas[0])
			strcat(cas, ",");
		strcat(cas, names[i]);
	}
}

/* With the lock held, after rows have changed. */
static void conclude(struct ch_issuers *issuers)
{
	const struct row *best = choose(issuers);
	char cas[CAS_MAX_B] = "";
	json_t *chosen = NULL;
	bool full = false;

	for (size_t i = 0; i < issuers->n; i++) {
		json_t *says = json_loads(issuers->rows[i].says, 0, NULL);

		add_cas(says, cas, &full);
		if (&issuers->rows[i] == best)
			chosen = json_incref(says);
		json_decref(says);
	}
	json_decref(issuers->says);
	issuers->says = chosen;
	strcpy(issuers->cas, full ? "" : cas);
}

/* What this store has just heard is newer than what it reads: asked before and after reading,
 * since it may be written in between. */
static void keep_own(struct ch_issuers *issuers)
{
	for (size_t i = 0; i < issuers->n; i++) {
		struct row *row = &issuers->rows[i];

		row->settled |=
			row->unwritten || row->in_flight ||
			(row->sent_ms && ch_mono_ms() - row->sent_ms < CH_ISSUERS_REFRESH_MS);
	}
}

static void take_list(
	struct ch_issuers *issuers, const struct ch_store_issuer *list, size_t n_list)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_list; i++) {
		struct row *row = find_or_add(issuers, list[i].id);

		if (!row || row->settled)
			continue;
		row->settled = set_says(row, list[i].says);
		set_software(row, list[i].software);
		row->changed_ms = list[i].changed_at_ms;
		row->confirmed_ms = list[i].confirmed_at_ms;
	}
	for (size_t i = 0; i < issuers->n; i++) {
		if (!issuers->rows[i].settled)
			row_done(&issuers->rows[i]);
		else
			issuers->rows[kept++] = issuers->rows[i];
	}
	issuers->n = kept;
	conclude(issuers);
}

/* With the lock held, which it gives up meanwhile.  One reads, the others go on with what was
 * there. */
static void refresh(struct ch_issuers *issuers)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_issuer *list;
	size_t n = 0;
	int rc;

	if (!issuers->store || issuers->loading ||
		(issuers->loaded && ch_mono_ms() - issuers->loaded_ms < CH_ISSUERS_REFRESH_MS))
		return;
	issuers->loading = true;
	for (size_t i = 0; i < issuers->n; i++)
		issuers->rows[i].settled = false;
	keep_own(issuers);
	pthread_mutex_unlock(&issuers->lock);
	rc = ch_arena_new(0, &arena);
	if (!rc)
		rc = ch_store_list_issuers(issuers->store, arena, &list, &n);
	pthread_mutex_lock(&issuers->lock);
	issuers->loading = false;
	issuers->loaded = true;
	issuers->loaded_ms = ch_mono_ms();
	keep_own(issuers);
	if (rc)
		ch_log_debug("what issuers say was not read: %s", ch_rc_str(rc));
	else
		take_list(issuers, list, n);
}

int ch_issuers_new(struct ch_store *store, struct ch_issuers **ret_issuers, struct ch_err *err)
{
	struct ch_issuers *issuers = calloc(1, sizeof(*issuers));

	if (!issuers || pthread_mutex_init(&issuers->lock, NULL)) {
		free(issuers);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	issuers->store = store;
	pthread_mutex_lock(&issuers->lock);
	refresh(issuers);
	pthread_mutex_unlock(&issuers->lock);
	*ret_issuers = issuers;
	return CH_OK;
}

void ch_issuers_free(struct ch_issuers *issuers)
{
	if (!issuers)
		return;
	for (size_t i = 0; i < issuers->n; i++)
		row_done(&issuers->rows[i]);
	json_decref(issuers->says);
	pthread_mutex_destroy(&issuers->lock);
	free(issuers);
}

static void sent_free(struct sent *sent)
{
	if (!sent)
		return;
	ch_arena_free(sent->op.arena);
	free(sent->id);
	free(sent->says);
	free(sent);
}

/* What could not be written is, with a later lease. */
static void written(struct ch_store_op *op, void *user)
{
	struct sent *sent = user;
	struct row *row;

	pthread_mutex_lock(&sent->issuers->lock);
	row = find(sent->issuers, sent->id);
	if (row) {
		row->in_flight = false;
		if (!op->rc && strcmp(row->says, sent->says) == 0 &&
			strcmp(row->software, sent->software) == 0)
			row->unwritten = false;
	}
	pthread_mutex_unlock(&sent->issuers->lock);
	sent_free(sent);
}

static struct sent *sent_new(struct ch_issuers *issuers, const struct row *row)
{
	struct sent *sent = calloc(1, sizeof(*sent));

	if (!sent)
		return NULL;
	*sent = (struct sent){.op = {.type = CH_OP_ISSUER, .done = written, .user = sent},
		.issuers = issuers,
		.id = strdup(row->id),
		.says = strdup(row->says)};
	if (!sent->id || !sent->says || ch_arena_new(0, &sent->op.arena)) {
		sent_free(sent);
		return NULL;
	}
	strcpy(sent->software, row->software);
	sent->op.u.issuer = (struct ch_op_issuer){
		.id = sent->id, .says = sent->says, .software = sent->software};
	return sent;
}

static bool is_stale(const struct row *row, int64_t now_ms)
{
	return row->confirmed_ms <= now_ms - CH_STORE_ISSUER_CONFIRM_MS ||
	       row->confirmed_ms > now_ms;
}

/* With the lock held.  *ret_sent: to be submitted without it; NULL: there is nothing to write,
 * or not yet. */
static bool hear(struct ch_issuers *issuers, const char *id, const char *says,
	const char *software, struct sent **ret_sent)
{
	struct row *row = find_or_add(issuers, id);
	int64_t now_ms = ch_now_ms();
	bool is_news = row && strcmp(row->says, says) != 0;
	bool is_other = row && strcmp(row->software, software) != 0;

	if (!row || (is_news && !set_says(row, says)))
		return false;
	row->heard_ms = now_ms;
	if (is_news)
		row->changed_ms = now_ms;
	/* It is shown, and nothing depends on it: no news. */
	set_software(row, software);
	if (is_news || is_other || is_stale(row, now_ms)) {
		row->confirmed_ms = now_ms;
		row->unwritten = true;
		conclude(issuers);
	}
	if (!issuers->store || !row->unwritten || row->in_flight ||
		(row->sent_ms && ch_mono_ms() - row->sent_ms < CH_ISSUERS_WRITE_MS))
		return is_news;
	*ret_sent = sent_new(issuers, row);
	row->in_flight = *ret_sent != NULL;
	row->sent_ms = ch_mono_ms();
	return is_news;
}

/* Once it is submitted it is the writer's, which may have freed it already. */
static void submit(struct ch_issuers *issuers, struct sent *sent)
{
	int rc = ch_store_submit(issuers->store, &sent->op);

	if (rc) {
		sent->op.rc = rc;
		written(&sent->op, sent);
	}
}

/* With the lock held. */
static bool take_unheard(struct ch_issuers *issuers, const char *id)
{
	struct row *row = find(issuers, id);
	bool unheard = row && row->unheard;

	if (row)
		row->unheard = false;
	return unheard;
}

/* Of a stranger's header, or a database's. */
static bool is_software(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len > 0 && len <= CH_STORE_SOFTWARE_MAX;
}

bool ch_issuers_hear(
	struct ch_issuers *issuers, const char *id, const json_t *lease, const char *software)
{
	json_t *says = issuers ? ch_says_from_lease(lease) : NULL;
	char *text = says ? json_dumps(says, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	struct sent *sent = NULL;
	bool is_news = false;

	json_decref(says);
	if (text && strlen(text) <= CH_STORE_SAYS_MAX_B) {
		pthread_mutex_lock(&issuers->lock);
		refresh(issuers);
		is_news = hear(issuers, id, text, is_software(software) ? software : "", &sent);
		is_news |= take_unheard(issuers, id);
		pthread_mutex_unlock(&issuers->lock);
	}
	free(text);
	if (sent)
		submit(issuers, sent);
	return is_news;
}

void ch_issuers_unheard(struct ch_issuers *issuers, const char *id)
{
	struct row *row;

	if (!issuers)
		return;
	pthread_mutex_lock(&issuers->lock);
	row = find(issuers, id);
	if (row)
		row->unheard = true;
	pthread_mutex_unlock(&issuers->lock);
}

json_t *ch_issuers_says(struct ch_issuers *issuers)
{
	json_t *says;

	if (!issuers)
		return NULL;
	pthread_mutex_lock(&issuers->lock);
	refresh(issuers);
	says = json_deep_copy(issuers->says);
	pthread_mutex_unlock(&issuers->lock);
	return says;
}

const char *ch_issuers_cas(struct ch_issuers *issuers, struct ch_arena *arena)
{
	const char *cas = NULL;

	if (!issuers)
		return NULL;
	pthread_mutex_lock(&issuers->lock);
	refresh(issuers);
	if (issuers->cas[0])
		cas = ch_arena_str(arena, issuers->cas);
	pthread_mutex_unlock(&issuers->lock);
	return cas;
}

static json_t *row_json(const struct row *row, int64_t now_ms)
{
	const char *names[CH_SAYS_PACES_MAX];
	json_t *says = json_loads(row->says, 0, NULL);
	size_t n = ch_says_cas(says, names);
	int64_t at_ms = row->heard_ms > row->confirmed_ms ? row->heard_ms : row->confirmed_ms;
	json_t *cas = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(cas, json_string(names[i]));
	json_decref(says);
	return json_pack("{s:s, s:o, s:s?, s:o}", "id", row->id, "cas", cas, "software",
		row->software[0] ? row->software : NULL, "heard_at",
		ch_present_time(at_ms < now_ms ? at_ms : now_ms));
}

json_t *ch_issuers_list(struct ch_issuers *issuers)
{
	json_t *array = json_array();

	if (!issuers)
		return array;
	pthread_mutex_lock(&issuers->lock);
	refresh(issuers);
	for (size_t i = 0; i < issuers->n; i++)
		(void)json_array_append_new(array, row_json(&issuers->rows[i], ch_now_ms()));
	pthread_mutex_unlock(&issuers->lock);
	return array;
}
