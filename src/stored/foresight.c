#include "stored/foresight.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sync.h"
#include "stored/says.h"

#define EVERY_MS CH_MINUTE_MS
#define LEAST_MS (2 * CH_SECOND_MS)
/* When asked: not more than a five-hundredth of a core. */
#define COST_PART 500

/* A name in line. */
struct place {
	uint64_t hash; /* the salted one */
	int64_t at_ms;
	uint32_t ahead;
	uint32_t limit;
};

/* A look ahead: never changed once it is there. */
struct view {
	struct ch_arena *arena;
	struct ch_foresight_report report;
	struct place *places; /* by hash */
	size_t n_places;
};

struct ch_foresight {
	struct ch_store *store;
	struct ch_issuers *issuers;
	pthread_t thread;
	uint64_t salt;
	struct ch_sync sync; /* over all below */
	bool stopping;
	bool asked;
	bool changed; /* what issuers say, since the last look */
	struct view view;
	int64_t looked_ms; /* on the monotonic clock */
	int64_t cost_ms;
};

static uint64_t hash(const struct ch_foresight *f, const char *name)
{
	uint64_t h = f->salt;

	for (; *name; name++) {
		h = (h ^ (unsigned char)*name) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

static int by_hash(const void *a, const void *b)
{
	uint64_t x = ((const struct place *)a)->hash;
	uint64_t y = ((const struct place *)b)->hash;

	return (x > y) - (x < y);
}

static int keep_places(
	struct ch_foresight *f, const struct ch_store_queue *queue, struct view *view)
{
	const struct ch_forecast *forecast = &queue->forecast;

	view->n_places = forecast->n_items;
	view->places = ch_arena_array(view->arena, view->n_places + 1, sizeof(*view->places));
	if (!view->places)
		return CH_ENOMEM;
	for (size_t i = 0; i < view->n_places; i++)
		view->places[i] = (struct place){.hash = hash(f, queue->names[i]),
			.at_ms = forecast->items[i].at_ms,
			.ahead = forecast->items[i].ahead,
			.limit = forecast->items[i].limit};
	qsort(view->places, view->n_places, sizeof(*view->places), by_hash);
	return CH_OK;
}

/* Those domains for which most names wait, most first. */
static size_t pick_domains(
	const struct ch_forecast *forecast, uint32_t ret_ids[CH_FORESIGHT_DOMAINS])
{
	const struct ch_forecast_bucket *domains = forecast->domains;
	size_t n = 0;

	for (uint32_t id = 1; id < forecast->n_domains; id++) {
		size_t at = n;

		if (!domains[id].short_until_ms)
			continue;
		if (n == CH_FORESIGHT_DOMAINS &&
			domains[ret_ids[--at]].waiting >= domains[id].waiting)
			continue;
		for (; at > 0 && domains[ret_ids[at - 1]].waiting < domains[id].waiting; at--)
			ret_ids[at] = ret_ids[at - 1];
		ret_ids[at] = id;
		n += n < CH_FORESIGHT_DOMAINS;
	}
	return n;
}

static const char *ca_of(struct ch_arena *arena, const struct ch_store_pace *pace)
{
	return pace->ca ? ch_arena_str(arena, pace->ca)
			: ch_arena_fmt(arena, "%.*s", (int)strcspn(pace->account, "/"),
				  pace->account);
}

static int keep_buckets(const struct ch_store_queue *queue, const struct ch_store_pace *paces,
	struct view *view)
{
	const struct ch_forecast *forecast = &queue->forecast;
	uint32_t ids[CH_FORESIGHT_DOMAINS];
	size_t n_domains = pick_domains(forecast, ids);
	struct ch_foresight_bucket *list = ch_arena_array(
		view->arena, forecast->n_accounts + n_domains + 1, sizeof(*list));
	size_t n = 0;

	for (uint32_t i = 0; list && i < forecast->n_accounts; i++) {
		if (!forecast->accounts[i].limit.size)
			continue;
		list[n] = (struct ch_foresight_bucket){.paced = CH_PACED_ACCOUNT,
			.of = ch_arena_str(view->arena, paces[i].account),
			.ca = ca_of(view->arena, &paces[i]),
			.renewals_count = i == 0 && paces[i].renewals_count,
			.bucket = forecast->accounts[i]};
		if (!list[n].of || !list[n].ca)
			return CH_ENOMEM;
		n++;
	}
	for (size_t i = 0; list && i < n_domains; i++) {
		list[n] = (struct ch_foresight_bucket){.paced = CH_PACED_DOMAIN,
			.of = ch_arena_str(view->arena, queue->domains[ids[i]]),
			.ca = ca_of(view->arena, &paces[0]),
			.bucket = forecast->domains[ids[i]],
			.tail_ms = queue->tails_ms[ids[i]]};
		if (!list[n].of || !list[n].ca)
			return CH_ENOMEM;
		n++;
	}
	view->report.buckets = list;
	view->report.n_buckets = n;
	return list ? CH_OK : CH_ENOMEM;
}

/* What is kept is small beside what it was made of, which is freed. */
static int make_view(struct ch_foresight *f, const json_t *says, struct view *view)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_pace paces[CH_SAYS_PACES_MAX];
	size_t n_paces = 0;
	struct ch_store_queue queue;
	struct ch_foresight_report *report = &view->report;
	int rc = ch_arena_new(CH_STORE_QUEUE_B, &arena);

	if (!rc)
		rc = ch_says_paces(says, arena, paces, &n_paces);
	if (!rc)
		rc = ch_store_get_queue(f->store, paces, n_paces, arena, &queue);
	if (!rc)
		rc = ch_forecast_run(&queue.forecast);
	if (!rc)
		rc = keep_places(f, &queue, view);
	if (!rc)
		rc = keep_buckets(&queue, paces, view);
	if (rc)
		return rc;
	report->now_ms = queue.forecast.now_ms;
	report->waiting = queue.waiting;
	report->more = queue.waiting > queue.forecast.n_items;
	memcpy(report->classes, queue.forecast.classes, sizeof(report->classes));
	report->account_short_ms = queue.forecast.account_short_ms;
	report->domain_short_ms = queue.forecast.domain_short_ms;
	report->n_cas = n_paces;
	for (size_t i = 0; i < n_paces; i++)
		for (int k = 0; k < CH_PACED_COUNT; k++)
			report->limited |= paces[i].limits[k].size != 0;
	return CH_OK;
}

/* With the lock held, which it gives up meanwhile. */
static void look(struct ch_foresight *f)
{
	json_auto_t *says = NULL;
	struct view view = {.arena = NULL};
	int64_t began_ms = ch_mono_ms();
	int rc;

	f->asked = false;
	f->changed = false;
	pthread_mutex_unlock(&f->sync.lock);
	says = ch_issuers_says(f->issuers);
	view.report.known = says != NULL;
	rc = ch_arena_new(CH_STORE_QUEUE_B, &view.arena);
	if (!rc)
		rc = make_view(f, says, &view);
	pthread_mutex_lock(&f->sync.lock);
	if (rc) {
		ch_log_warn("turns were not looked for: %s", ch_rc_str(rc));
		ch_arena_free(view.arena);
	} else {
		ch_arena_free(f->view.arena);
		f->view = view;
	}
	f->looked_ms = ch_mono_ms();
	f->cost_ms = f->looked_ms - began_ms;
}

/* When the next look is due. */
static int64_t due_ms(const struct ch_foresight *f)
{
	int64_t wait_ms = f->cost_ms * COST_PART;

	if (!f->asked && !f->changed)
		return f->looked_ms + EVERY_MS;
	if (f->changed || wait_ms < LEAST_MS)
		wait_ms = LEAST_MS;
	return f->looked_ms + (wait_ms < EVERY_MS ? wait_ms : EVERY_MS);
}

static void *run(void *arg)
{
	struct ch_foresight *f = arg;

	pthread_mutex_lock(&f->sync.lock);
	look(f);
	while (!f->stopping) {
		int64_t left_ms = due_ms(f) - ch_mono_ms();

		if (left_ms <= 0)
			look(f);
		else
			ch_sync_wait(&f->sync, left_ms);
	}
	pthread_mutex_unlock(&f->sync.lock);
	return NULL;
}

int ch_foresight_start(struct ch_store *store, struct ch_issuers *issuers,
	struct ch_foresight **ret_foresight, struct ch_err *err)
{
	struct ch_foresight *f = calloc(1, sizeof(*f));

	if (!f || getrandom(&f->salt, sizeof(f->salt), 0) != sizeof(f->salt) ||
		ch_sync_init(&f->sync)) {
		free(f);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	f->store = store;
	f->issuers = issuers;
	if (pthread_create(&f->thread, NULL, run, f)) {
		ch_sync_done(&f->sync);
		free(f);
		return ch_err_set(err, CH_EAGAIN, "threads", "cannot start a thread");
	}
	*ret_foresight = f;
	return CH_OK;
}

void ch_foresight_stop(struct ch_foresight *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->sync.lock);
	f->stopping = true;
	pthread_cond_signal(&f->sync.changed);
	pthread_mutex_unlock(&f->sync.lock);
	pthread_join(f->thread, NULL);
	ch_sync_done(&f->sync);
	ch_arena_free(f->view.arena);
	free(f);
}

void ch_foresight_wake(struct ch_foresight *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->sync.lock);
	f->changed = true;
	pthread_cond_signal(&f->sync.changed);
	pthread_mutex_unlock(&f->sync.lock);
}

/* With the lock held. */
static void ask(struct ch_foresight *f)
{
	if (f->asked)
		return;
	f->asked = true;
	pthread_cond_signal(&f->sync.changed);
}

static int find_place(struct ch_foresight *f, const char *name, struct ch_expected *expected)
{
	struct place key = {.hash = hash(f, name)};
	const struct place *place;
	int rc = CH_ENOTFOUND;

	pthread_mutex_lock(&f->sync.lock);
	ask(f);
	place = f->view.n_places
			? bsearch(&key, f->view.places, f->view.n_places, sizeof(key), by_hash)
			: NULL;
	if (place && f->view.report.known) {
		expected->at_ms = place->at_ms;
		expected->ahead = place->ahead;
		expected->limit = place->limit == CH_FORECAST_NONE ? NULL
				  : place->limit == CH_FORECAST_DOMAIN
					  ? ch_paced_str(CH_PACED_DOMAIN)
					  : ch_paced_str(CH_PACED_ACCOUNT);
		rc = CH_OK;
	}
	pthread_mutex_unlock(&f->sync.lock);
	return rc;
}

int ch_foresight_name(struct ch_foresight *f, const struct ch_store_domain *domain,
	struct ch_expected *ret_expected)
{
	const char *code = domain->reason.code ? domain->reason.code : "";

	if (!f || domain->order_id || !domain->next_at_ms)
		return CH_ENOTFOUND;
	if (strcmp(code, "ca-limit-account") == 0)
		return find_place(f, domain->name, ret_expected);
	if (strcmp(code, "ca-limit-domain") != 0 && strcmp(code, "ca-limit-set") != 0)
		return CH_ENOTFOUND;
	/* It has been promised a turn of its own. */
	*ret_expected = (struct ch_expected){.at_ms = domain->next_at_ms,
		.limit = strcmp(code, "ca-limit-domain") == 0 ? ch_paced_str(CH_PACED_DOMAIN)
							      : ch_paced_str(CH_PACED_SET),
		.ahead = -1};
	return CH_OK;
}

int ch_foresight_report(
	struct ch_foresight *f, struct ch_arena *arena, struct ch_foresight_report *ret_report)
{
	struct ch_foresight_bucket *list;
	struct ch_foresight_report report = {0};
	int rc = CH_OK;

	if (!f) {
		*ret_report = report;
		return CH_OK;
	}
	pthread_mutex_lock(&f->sync.lock);
	ask(f);
	report = f->view.report;
	list = ch_arena_array(arena, report.n_buckets + 1, sizeof(*list));
	for (size_t i = 0; list && i < report.n_buckets; i++) {
		list[i] = report.buckets[i];
		list[i].of = ch_arena_str(arena, report.buckets[i].of);
		list[i].ca = ch_arena_str(arena, report.buckets[i].ca);
		rc = list[i].of && list[i].ca ? rc : CH_ENOMEM;
	}
	pthread_mutex_unlock(&f->sync.lock);
	report.buckets = list;
	if (!list || rc)
		return CH_ENOMEM;
	*ret_report = report;
	return CH_OK;
}
