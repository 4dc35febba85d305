#include "pace/forecast.h"

#include <string.h>

#include "base/mem.h"

#define ALL ((1u << CH_CLASS_COUNT) - 1)

const int64_t ch_forecast_level_ms[CH_FORECAST_LEVELS] = {CH_HOUR_MS, CH_DAY_MS, 7 * CH_DAY_MS};

struct run {
	struct ch_forecast *f;
	struct ch_sched *sched;
	int64_t now_ms;
	uint32_t done;
	size_t levels; /* that are written */
};

static int64_t ready_ms(const struct ch_forecast_bucket *b, int64_t now_ms)
{
	return ch_bucket_ready_at_ms(&b->after, &b->limit, 1, now_ms);
}

/* When somebody in that line can be served, and by which account (NULL: without one). */
static struct ch_forecast_bucket *account_for(
	const struct run *run, unsigned line, int64_t *ret_at_ms)
{
	struct ch_forecast_bucket *next = NULL;

	*ret_at_ms = run->now_ms;
	for (uint32_t i = 0; i < run->f->n_accounts; i++) {
		int64_t at_ms;

		if (!(run->f->lines[line] & (1u << i)))
			continue;
		at_ms = ready_ms(&run->f->accounts[i], run->now_ms);
		if (next && at_ms >= *ret_at_ms)
			continue;
		next = &run->f->accounts[i];
		*ret_at_ms = at_ms;
	}
	return next;
}

/* Which of the lines in which somebody waits can be served now, and when the next of them can
 * (INT64_MAX: nobody waits). */
static unsigned lines_ready(const struct run *run, int64_t *ret_next_ms)
{
	unsigned waiting = ch_sched_lines(run->sched);
	unsigned ready = 0;

	*ret_next_ms = INT64_MAX;
	for (unsigned line = 0; line < run->f->n_lines; line++) {
		int64_t at_ms;

		if (!(waiting & (1u << line)))
			continue;
		(void)account_for(run, line, &at_ms);
		if (at_ms <= run->now_ms)
			ready |= 1u << line;
		if (at_ms < *ret_next_ms)
			*ret_next_ms = at_ms;
	}
	return ready;
}

static void write_level(
	struct ch_forecast_bucket *list, uint32_t n, size_t which, int64_t at_ms)
{
	for (uint32_t i = 0; i < n; i++)
		list[i].left[which] = ch_bucket_level(&list[i].after, &list[i].limit, at_ms);
}

static void go_to(struct run *run, int64_t at_ms)
{
	struct ch_forecast *f = run->f;

	for (; run->levels < CH_FORECAST_LEVELS; run->levels++) {
		int64_t level_ms = f->now_ms + ch_forecast_level_ms[run->levels];

		if (level_ms >= at_ms)
			break;
		write_level(f->accounts, f->n_accounts, run->levels, level_ms);
		write_level(f->domains, f->n_domains, run->levels, level_ms);
	}
	run->now_ms = at_ms;
}

static int64_t again_ms(void *arg, uint32_t key, int64_t now_ms)
{
	const struct ch_forecast *f = arg;

	/* The first one that is woken takes the next token. */
	return ready_ms(&f->domains[key], now_ms) + f->domains[key].limit.refill_us / 1000;
}

static void count(struct run *run, const struct ch_forecast_item *item)
{
	struct ch_forecast_class *class = &run->f->classes[item->class];

	if (class->n_done++ == 0)
		class->first_ms = item->at_ms;
	if (class->n_done == (class->n + 1) / 2)
		class->half_ms = item->at_ms;
	if (class->n_done == class->n)
		class->done_ms = item->at_ms;
	class->limits[item->limit]++;
}

static void have_turn(struct run *run, uint32_t id, struct ch_forecast_bucket *account)
{
	struct ch_forecast *f = run->f;
	struct ch_forecast_item *item = &f->items[id];
	struct ch_forecast_bucket *domain = &f->domains[item->domain];

	if (account)
		(void)ch_bucket_take(&account->after, &account->limit, run->now_ms);
	(void)ch_bucket_take(&domain->after, &domain->limit, run->now_ms);
	item->at_ms = run->now_ms;
	item->ahead = run->done++;
	if (item->limit == CH_FORECAST_NONE && run->now_ms > f->now_ms)
		item->limit = CH_FORECAST_ACCOUNT;
	if (item->limit == CH_FORECAST_ACCOUNT && account)
		account->short_until_ms = run->now_ms;
	if (item->limit == CH_FORECAST_DOMAIN) {
		domain->short_until_ms = run->now_ms;
		f->domain_short_ms = run->now_ms - f->now_ms;
	}
	count(run, item);
}

/* Nobody can be served now.  False: nor later. */
static bool wait(struct run *run, int64_t line_ms)
{
	struct ch_forecast *f = run->f;
	int64_t wake_ms = ch_sched_next_wake_ms(run->sched);
	int64_t next_ms = line_ms < wake_ms ? line_ms : wake_ms;

	if (next_ms == INT64_MAX || next_ms > f->now_ms + CH_FORECAST_SPAN_MS)
		return false;
	if (line_ms != INT64_MAX)
		f->account_short_ms += next_ms - run->now_ms;
	go_to(run, next_ms);
	return true;
}

/* False: nobody has a turn any more. */
static bool step(struct run *run)
{
	struct ch_forecast *f = run->f;
	struct ch_forecast_bucket *domain;
	int64_t domain_ms;
	int64_t line_ms;
	unsigned lines;
	uint32_t id;

	ch_sched_wake(run->sched, run->now_ms, again_ms, f);
	lines = lines_ready(run, &line_ms);
	if (!lines)
		return wait(run, line_ms);
	id = ch_sched_take_of(run->sched, ALL, lines);
	domain = &f->domains[f->items[id].domain];
	domain_ms = ready_ms(domain, run->now_ms);
	if (domain_ms > run->now_ms) {
		f->items[id].limit = CH_FORECAST_DOMAIN;
		ch_sched_park(run->sched, id, f->items[id].domain, domain_ms);
	} else {
		have_turn(run, id,
			account_for(run, f->tenants[f->items[id].tenant].line, &line_ms));
	}
	return true;
}

static void begin_bucket(struct ch_forecast_bucket *b)
{
	b->after = b->bucket;
	b->waiting = 0;
	b->short_until_ms = 0;
}

static void begin(struct run *run)
{
	struct ch_forecast *f = run->f;

	memset(f->classes, 0, sizeof(f->classes));
	f->account_short_ms = 0;
	f->domain_short_ms = 0;
	for (int i = 0; i < CH_CLASS_COUNT; i++)
		f->classes[i].first_ms = f->classes[i].half_ms = f->classes[i].done_ms =
			INT64_MAX;
	for (uint32_t i = 0; i < f->n_accounts; i++)
		begin_bucket(&f->accounts[i]);
	for (uint32_t i = 0; i < f->n_domains; i++)
		begin_bucket(&f->domains[i]);
	ch_sched_set_turn(run->sched, f->turn);
	for (uint32_t i = 0; i < f->n_tenants; i++) {
		const struct ch_forecast_tenant *tenant = &f->tenants[i];

		ch_sched_set_line(run->sched, i, tenant->line);
		ch_sched_set_place(run->sched, i, (enum ch_class)tenant->class, tenant->place);
	}
	for (uint32_t i = 0; i < f->n_items; i++) {
		struct ch_forecast_item *item = &f->items[i];

		item->at_ms = INT64_MAX;
		item->ahead = UINT32_MAX;
		item->limit = CH_FORECAST_NONE;
		f->classes[item->class].n++;
		f->domains[item->domain].waiting++;
		ch_sched_add(run->sched, i, item->tenant, (enum ch_class)item->class, false);
	}
}

/* Who has no turn within the span has the last one's place, or a later one. */
static void finish(struct run *run)
{
	struct ch_forecast *f = run->f;

	go_to(run, INT64_MAX);
	for (uint32_t i = 0; i < f->n_items; i++) {
		struct ch_forecast_item *item = &f->items[i];

		if (item->at_ms != INT64_MAX)
			continue;
		item->ahead = run->done;
		if (item->limit == CH_FORECAST_NONE)
			item->limit = CH_FORECAST_ACCOUNT;
		if (item->limit == CH_FORECAST_DOMAIN)
			f->domain_short_ms = CH_FORECAST_SPAN_MS;
		f->classes[item->class].limits[item->limit]++;
	}
}

int ch_forecast_run(struct ch_forecast *f)
{
	struct run run = {.f = f, .now_ms = f->now_ms};
	int rc = ch_sched_new_lines(
		f->n_items, f->n_tenants, f->n_domains, f->n_lines, &run.sched);

	if (rc)
		return rc;
	begin(&run);
	while (step(&run))
		;
	finish(&run);
	ch_sched_free(run.sched);
	return CH_OK;
}
