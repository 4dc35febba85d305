#include "cli/sim_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/table.h"

#define PLAIN_EVERY_MS 5000
#define TTY_EVERY_MS 200
#define MONTH_MS (30 * CH_DAY_MS)
/* Of the time: more than that, and a limit is worth a letter to the CA. */
#define SHORT_PERCENT 5

void ch_sim_progress_begin(struct ch_sim_progress *p)
{
	*p = (struct ch_sim_progress){.began_ms = ch_mono_ms(), .tty = isatty(STDERR_FILENO)};
	p->shown_ms = p->began_ms;
}

void ch_sim_progress_show(void *arg, int64_t now_ms, int64_t span_ms, uint64_t orders)
{
	struct ch_sim_progress *p = arg;
	int64_t mono_ms = ch_mono_ms();
	int64_t spent_ms = mono_ms - p->began_ms;
	char left[CH_TIME_STR_B];

	if (mono_ms - p->shown_ms < (p->tty ? TTY_EVERY_MS : PLAIN_EVERY_MS))
		return;
	p->shown_ms = mono_ms;
	p->on_screen = p->tty;
	fprintf(stderr,
		"%sday %" PRId64 " of %" PRId64 " (%" PRId64 " %%), %" PRIu64
		" orders, %" PRId64 " days a minute, %s left%s",
		p->tty ? "\r" : "", now_ms / CH_DAY_MS, span_ms / CH_DAY_MS,
		100 * now_ms / span_ms, orders, now_ms / CH_DAY_MS * 60000 / (spent_ms + 1),
		ch_duration_str((int64_t)((double)spent_ms / (double)(now_ms + 1) *
					  (double)(span_ms - now_ms)),
			left),
		p->tty ? "\033[K" : "\n");
	fflush(stderr);
}

void ch_sim_progress_end(struct ch_sim_progress *p)
{
	if (p->on_screen)
		fputs("\r\033[K", stderr);
	p->on_screen = false;
}

static const char *at_str(const struct ch_scenario *s, int64_t ms, char text[CH_TIME_STR_B])
{
	(void)ch_time_str(s->start_ms + ms, text);
	text[16] = 0; /* to the minute */
	return text;
}

static void print_onboards(const struct ch_scenario *s, const struct ch_sim_result *r)
{
	static const char *const heads[] = {
		"ONBOARDING", ">NAMES", ">ISSUED", "FIRST", "LAST", "LONGEST WAIT"};
	CH_CLEANUP(ch_table_done) struct ch_table table = {.n_cols = 0};
	char text[CH_TIME_STR_B];

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	for (size_t i = 0; i < s->n_onboards; i++) {
		bool some = r->onboards[i].done > 0;

		ch_table_add(&table, s->onboards[i].label);
		ch_table_addf(&table, "%" PRIu32, s->onboards[i].names);
		ch_table_addf(&table, "%" PRIu64, r->onboards[i].done);
		ch_table_add(&table, some ? at_str(s, r->onboards[i].first_ms, text) : NULL);
		ch_table_add(&table, some ? at_str(s, r->onboards[i].last_ms, text) : NULL);
		ch_table_add(
			&table, some ? ch_duration_str(r->onboards[i].longest_ms, text) : NULL);
	}
	ch_table_print(&table, stdout);
}

void ch_sim_report_run(const struct ch_scenario *s, const struct ch_sim_result *r, double error)
{
	const struct ch_sim_expired *e = &r->expired;
	char text[CH_TIME_STR_B];
	bool exceeded = false;

	print_onboards(s, r);
	printf("\nOrders        %" PRIu64 ", %" PRIu64 " certificates, %" PRIu64
	       " failed, %" PRIu64 " tries met an outage\n",
		r->orders, r->certificates, r->failures, r->met_outage);
	printf("Expired       %" PRIu64, ch_sim_expired_sum(e));
	if (ch_sim_expired_sum(e))
		printf(": last met an outage %" PRIu64 ", a limit %" PRIu64
		       ", a failed validation %" PRIu64 ", had no turn %" PRIu64,
			e->by_outage, e->by_limit, e->by_failures, e->by_waiting);
	printf("\nWithout       %" PRIu64 " names have no certificate in the end\n",
		r->without);
	fputs("Limits        ", stdout);
	for (int i = 1; i < CH_SIM_LIMIT_COUNT; i++) {
		if (r->exceeded[i])
			printf("%s%s exceeded %" PRIu64 " times", exceeded ? ", " : "",
				ch_sim_limit_names[i], r->exceeded[i]);
		exceeded = exceeded || r->exceeded[i];
	}
	puts(exceeded ? "" : "none exceeded");
	printf("Busiest hour  %.2f of the centred 7-day mean, %s\n", r->busiest,
		at_str(s, (int64_t)r->busiest_hour * CH_HOUR_MS, text));
	if (error >= 0)
		printf("Forecast      off by %.1f %% at the 95th percentile\n", 100 * error);
}

static json_t *onboards_json(const struct ch_scenario *s, const struct ch_sim_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_onboards; i++)
		(void)json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "label",
				s->onboards[i].label, "names", (json_int_t)s->onboards[i].names,
				"issued", (json_int_t)r->onboards[i].done, "first_ms",
				(json_int_t)r->onboards[i].first_ms, "last_ms",
				(json_int_t)r->onboards[i].last_ms, "longest_wait_ms",
				(json_int_t)r->onboards[i].longest_ms));
	return list;
}

void ch_sim_report_run_json(
	const struct ch_scenario *s, const struct ch_sim_result *r, double error)
{
	CH_AUTO_JSON json_t *limits = json_object();
	CH_AUTO_JSON json_t *all = NULL;

	for (int i = 1; i < CH_SIM_LIMIT_COUNT; i++)
		(void)json_object_set_new(limits, ch_sim_limit_names[i],
			json_integer((json_int_t)r->exceeded[i]));
	all = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I}, s:O, s:f, s:I, "
			"s:o, s:o}",
		"names", (json_int_t)r->names, "orders", (json_int_t)r->orders, "certificates",
		(json_int_t)r->certificates, "failures", (json_int_t)r->failures, "met_outage",
		(json_int_t)r->met_outage, "without", (json_int_t)r->without, "expired",
		"outage", (json_int_t)r->expired.by_outage, "limit",
		(json_int_t)r->expired.by_limit, "failures", (json_int_t)r->expired.by_failures,
		"waiting", (json_int_t)r->expired.by_waiting, "exceeded", limits, "busiest",
		r->busiest, "busiest_hour", (json_int_t)r->busiest_hour, "onboardings",
		onboards_json(s, r), "forecast_error",
		error < 0 ? json_null() : json_real(error));
	ch_json_print(all);
}

/* The hours of a month: the mean and the most. */
static double load_of(
	const struct ch_sim_result *r, size_t first, size_t end, uint32_t *ret_most)
{
	double sum = 0;

	*ret_most = 0;
	for (size_t h = first; h < end; h++) {
		sum += r->hours[h];
		*ret_most = r->hours[h] > *ret_most ? r->hours[h] : *ret_most;
	}
	return sum / (double)(end - first);
}

static size_t month_end(const struct ch_sim_result *r, size_t first)
{
	size_t end = first + (size_t)(MONTH_MS / CH_HOUR_MS);

	return end < r->n_hours ? end : r->n_hours;
}

static void print_load(const struct ch_scenario *s, const struct ch_sim_result *r)
{
	static const char *const heads[] = {"30 DAYS FROM", ">ORDERS AN HOUR", ">BUSIEST"};
	CH_CLEANUP(ch_table_done) struct ch_table table = {.n_cols = 0};
	char text[CH_TIME_STR_B];
	uint32_t most;

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	for (size_t h = 0; h < r->n_hours; h = month_end(r, h)) {
		double mean = load_of(r, h, month_end(r, h), &most);

		ch_table_add(&table, at_str(s, (int64_t)h * CH_HOUR_MS, text));
		ch_table_addf(&table, "%.1f", mean);
		ch_table_addf(&table, "%" PRIu32, most);
	}
	ch_table_print(&table, stdout);
}

static int64_t short_percent(const struct ch_scenario *s, const struct ch_sim_result *r)
{
	return 100 * r->account_short_ms / s->span_ms;
}

static const char *limit_to_raise(const struct ch_scenario *s, const struct ch_sim_result *r)
{
	if (short_percent(s, r) >= SHORT_PERCENT)
		return ch_sim_limit_names[CH_SIM_LIMIT_ACCOUNT];
	return r->parked ? ch_sim_limit_names[CH_SIM_LIMIT_DOMAIN] : NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* When so many of the names of an onboarding had their turn. */
static int64_t turn_ms(const int64_t *sorted, uint32_t n, unsigned percent)
{
	return sorted[(size_t)((uint64_t)(n - 1) * percent / 100)];
}

static const unsigned shares[] = {0, 25, 50, 75, 95, 100};

static void each_turn(const struct ch_scenario *s, const int64_t *first_ms,
	void (*each)(
		const struct ch_scenario *s, size_t onboard, const int64_t *sorted, void *arg),
	void *arg)
{
	CH_AUTO_FREE int64_t *sorted = malloc(s->n_names * sizeof(*sorted));
	uint32_t at = 0;

	for (size_t i = 0; sorted && i < s->n_onboards; i++) {
		uint32_t n = s->onboards[i].names;

		for (uint32_t k = 0; k < n; k++)
			sorted[k] = first_ms[at + k] < 0 ? INT64_MAX : first_ms[at + k];
		qsort(sorted, n, sizeof(*sorted), compare);
		each(s, i, sorted, arg);
		at += n;
	}
}

static void turn_row(
	const struct ch_scenario *s, size_t onboard, const int64_t *sorted, void *arg)
{
	struct ch_table *table = arg;
	char text[CH_TIME_STR_B];

	ch_table_add(table, s->onboards[onboard].label);
	for (size_t i = 0; i < CH_ARRAY_LEN(shares); i++) {
		int64_t ms = turn_ms(sorted, s->onboards[onboard].names, shares[i]);

		ch_table_add(table, ms == INT64_MAX ? "later" : at_str(s, ms, text));
	}
}

void ch_sim_report_forecast(
	const struct ch_scenario *s, const struct ch_sim_result *r, const int64_t *first_ms)
{
	static const char *const heads[] = {
		"ONBOARDING", "FIRST", "25 %", "50 %", "75 %", "95 %", "LAST"};
	CH_CLEANUP(ch_table_done) struct ch_table table = {.n_cols = 0};
	const char *raise = limit_to_raise(s, r);

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	each_turn(s, first_ms, turn_row, &table);
	ch_table_print(&table, stdout);
	putchar('\n');
	print_load(s, r);
	printf("\nNew names wait for orders_per_account %" PRId64
	       " %% of the time, names waited for certificates_per_domain %" PRIu64 " times.\n",
		short_percent(s, r), r->parked);
	if (raise)
		printf("Ask the CA to raise %s.\n", raise);
	else
		puts("No limit needs to be raised.");
}

static void turn_json(
	const struct ch_scenario *s, size_t onboard, const int64_t *sorted, void *arg)
{
	json_t *turns = json_object();
	char key[16];

	for (size_t i = 0; i < CH_ARRAY_LEN(shares); i++) {
		int64_t ms = turn_ms(sorted, s->onboards[onboard].names, shares[i]);
		char text[CH_TIME_STR_B];

		snprintf(key, sizeof(key), "%u", shares[i]);
		(void)json_object_set_new(turns, key,
			ms == INT64_MAX ? json_null()
					: json_string(ch_time_str(s->start_ms + ms, text)));
	}
	(void)json_array_append_new(
		arg, json_pack("{s:s, s:I, s:o}", "label", s->onboards[onboard].label, "names",
			     (json_int_t)s->onboards[onboard].names, "turns", turns));
}

void ch_sim_report_forecast_json(
	const struct ch_scenario *s, const struct ch_sim_result *r, const int64_t *first_ms)
{
	CH_AUTO_JSON json_t *turns = json_array();
	CH_AUTO_JSON json_t *load = json_array();
	CH_AUTO_JSON json_t *all = NULL;
	const char *raise = limit_to_raise(s, r);
	uint32_t most;

	each_turn(s, first_ms, turn_json, turns);
	for (size_t h = 0; h < r->n_hours; h = month_end(r, h)) {
		double mean = load_of(r, h, month_end(r, h), &most);
		char text[CH_TIME_STR_B];

		(void)json_array_append_new(
			load, json_pack("{s:s, s:f, s:I}", "from",
				      ch_time_str(s->start_ms + (int64_t)h * CH_HOUR_MS, text),
				      "orders_an_hour", mean, "busiest", (json_int_t)most));
	}
	all = json_pack("{s:O, s:O, s:I, s:I, s:s?}", "onboardings", turns, "load", load,
		"account_short_percent", (json_int_t)short_percent(s, r), "waited_for_domain",
		(json_int_t)r->parked, "raise", raise);
	ch_json_print(all);
}
