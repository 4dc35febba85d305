/* When those who wait have their turn, and how full the buckets will be. */
#include "base/clock.h"
#include "store/pace.h"
#include "stored/foresight.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

#define PART_DAYS 30
/* A limit that is short for longer is worth a letter to the CA. */
#define ACCOUNT_SHORT_MS CH_DAY_MS
#define DOMAIN_SHORT_MS CH_DAY_MS

static const char *const class_words[CH_CLASS_COUNT] = {
	"danger", "renewal", "visitor", "new", "backlog"};

json_t *ch_expected_json(const struct ch_expected *e)
{
	return json_pack("{s:o, s:s?, s:o}", "at", ch_present_time(e->at_ms), "limit", e->limit,
		"ahead", e->ahead < 0 ? json_null() : json_integer(e->ahead));
}

/* The limit for which most of them wait. */
static const char *decides(const struct ch_forecast_class *class)
{
	if (class->limits[CH_FORECAST_DOMAIN] > class->limits[CH_FORECAST_ACCOUNT])
		return ch_paced_str(CH_PACED_DOMAIN);
	return class->limits[CH_FORECAST_ACCOUNT] ? ch_paced_str(CH_PACED_ACCOUNT) : NULL;
}

static json_t *classes_json(const struct ch_foresight_report *r)
{
	json_t *list = json_array();

	for (int i = 0; list && i < CH_CLASS_COUNT; i++) {
		const struct ch_forecast_class *class = &r->classes[i];

		if (!class->n)
			continue;
		(void)json_array_append_new(list,
			json_pack("{s:s, s:I, s:o, s:o, s:o, s:s?}", "class", class_words[i],
				"waiting", (json_int_t) class->n, "first_at",
				ch_present_time(class->first_ms), "half_at",
				ch_present_time(class->half_ms), "done_at",
				ch_present_time(class->done_ms), "limit", decides(class)));
	}
	return list;
}

static json_t *bucket_json(const struct ch_foresight_bucket *b, int64_t now_ms)
{
	const struct ch_forecast_bucket *f = &b->bucket;
	int64_t short_ms = b->tail_ms > now_ms && b->tail_ms > f->short_until_ms
				   ? b->tail_ms
				   : f->short_until_ms;
	int64_t full_ms = (f->after.tat_us + 999) / 1000;
	char limit[CH_LIMIT_TEXT_B];

	return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o}", "limit",
		ch_paced_str(b->paced), "of", b->of, "allowed", ch_limit_str(&f->limit, limit),
		"waiting", b->paced == CH_PACED_DOMAIN ? json_integer(f->waiting) : json_null(),
		"left", (json_int_t)ch_bucket_level(&f->bucket, &f->limit, now_ms),
		"left_in_an_hour", (json_int_t)f->left[0], "left_in_a_day",
		(json_int_t)f->left[1], "left_in_a_week", (json_int_t)f->left[2], "short_until",
		ch_present_time(short_ms), "full_at",
		ch_present_time(full_ms > now_ms ? full_ms : now_ms));
}

static json_t *buckets_json(const struct ch_foresight_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < r->n_buckets; i++)
		(void)json_array_append_new(list, bucket_json(&r->buckets[i], r->now_ms));
	return list;
}

/* The days of the calendar in parts of 30, from today. */
static json_t *renewals_json(const struct ch_store_calendar *c)
{
	int64_t part_ms = PART_DAYS * CH_DAY_MS;
	int64_t at_ms = ch_now_ms() / CH_DAY_MS * CH_DAY_MS;
	json_t *list = json_array();

	for (size_t i = 0; list && i < c->n_days; at_ms += part_ms) {
		uint64_t n = 0;
		uint64_t most = 0;

		for (; i < c->n_days && c->days[i].at_ms < at_ms + part_ms; i++) {
			n += c->days[i].n;
			most = c->days[i].n > most ? c->days[i].n : most;
		}
		(void)json_array_append_new(list,
			json_pack("{s:o, s:I, s:I}", "from", ch_present_time(at_ms), "renewals",
				(json_int_t)n, "busiest_day", (json_int_t)most));
	}
	return list;
}

struct advice {
	const char *raise; /* NULL: nothing */
	const char *ca;	   /* NULL: there is one only */
};

/* Until when names are foreseen to wait for it. */
static int64_t short_until_ms(const struct ch_foresight_bucket *b)
{
	return b->tail_ms > b->bucket.short_until_ms ? b->tail_ms : b->bucket.short_until_ms;
}

/* Of this kind the one that is short for longest; NULL: there is none. */
static const struct ch_foresight_bucket *shortest(
	const struct ch_foresight_report *r, enum ch_paced paced)
{
	const struct ch_foresight_bucket *found = NULL;

	for (size_t i = 0; i < r->n_buckets; i++) {
		const struct ch_foresight_bucket *b = &r->buckets[i];

		if (b->paced == paced && (!found || short_until_ms(b) > short_until_ms(found)))
			found = b;
	}
	return found;
}

/* The first CA's account, where renewals take tokens of it, on a day that has too many. */
static const struct ch_foresight_bucket *too_few_for_renewals(
	const struct ch_foresight_report *r, const struct ch_store_calendar *c)
{
	const struct ch_foresight_bucket *b = r->n_buckets ? &r->buckets[0] : NULL;

	if (!b || b->paced != CH_PACED_ACCOUNT || !b->renewals_count)
		return NULL;
	for (size_t i = 0; i < c->n_days; i++)
		if ((int64_t)c->days[i].n > CH_DAY_MS * 1000 / b->bucket.limit.refill_us)
			return b;
	return NULL;
}

static struct advice advise(
	const struct ch_foresight_report *r, const struct ch_store_calendar *c)
{
	const struct ch_foresight_bucket *account = r->account_short_ms > ACCOUNT_SHORT_MS
							    ? shortest(r, CH_PACED_ACCOUNT)
							    : too_few_for_renewals(r, c);
	const struct ch_foresight_bucket *domain = shortest(r, CH_PACED_DOMAIN);
	struct advice advice = {NULL, NULL};

	if (account)
		advice = (struct advice){"orders_per_account", account->ca};
	else if (domain && (domain->tail_ms > r->now_ms + DOMAIN_SHORT_MS ||
				   r->domain_short_ms > DOMAIN_SHORT_MS))
		advice = (struct advice){"certificates_per_domain", domain->ca};
	if (r->n_cas < 2)
		advice.ca = NULL;
	return advice;
}

/* Names of which the report knows nothing: that nobody has looked at, or that have come into
 * the line since it was made. */
static uint64_t uncounted(const struct ch_foresight_report *r, const struct ch_store_line *now)
{
	return now->unseen + (now->waiting > r->waiting ? now->waiting - r->waiting : 0);
}

void ch_handle_forecast(struct ch_req *req)
{
	struct ch_foresight_report r;
	struct ch_store_line line;
	struct ch_store_calendar c;
	struct advice advice;
	int rc = ch_foresight_report(req->service->foresight, req->arena, &r);

	if (!rc)
		rc = ch_store_get_calendar(req->service->store, req->arena, &c);
	if (!rc)
		rc = ch_store_get_line(req->service->store, &line);
	if (rc) {
		ch_req_fail_rc(req, rc, "look ahead");
		return;
	}
	advice = advise(&r, &c);
	ch_req_json(req, 200,
		json_pack("{s:o, s:o, s:I, s:I, s:b, s:o, s:o, s:o, s:s?, s:s?}", "computed_at",
			ch_present_time(r.now_ms), "limited",
			r.known ? json_boolean(r.limited) : json_null(), "waiting",
			(json_int_t)r.waiting, "uncounted", (json_int_t)uncounted(&r, &line),
			"more", r.more, "classes", classes_json(&r), "buckets",
			buckets_json(&r), "renewals", renewals_json(&c), "raise", advice.raise,
			"raise_ca", advice.ca));
}
