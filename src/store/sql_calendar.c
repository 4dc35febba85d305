/* The counts of planned renewals, and the choice of an hour. */
#include "store/sql_calendar.h"

#include <stdio.h>
#include <string.h>

#include "pace/retry.h"
#include "store/sql_read.h"

void ch_slots_changed(struct ch_slots *slots, int64_t slot)
{
	slots->touched = true;
	if (slots->n_dirty == CH_SLOTS_DIRTY_MAX)
		slots->loaded = false;
	else
		slots->dirty[slots->n_dirty++] = slot;
}

void ch_slots_begin(struct ch_slots *slots)
{
	slots->touched = false;
}

void ch_slots_rolled_back(struct ch_slots *slots)
{
	if (slots->touched)
		slots->loaded = false;
}

static int load_all(struct ch_work *w, struct ch_slots *slots)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc;

	ch_calendar_ring_init(&slots->ring, w->now);
	slots->n_dirty = 0;
	rc = ch_db_query(w->db, &stmt,
		"SELECT slot, n FROM renewal_slot WHERE slot >= ? AND slot < ?", "ii",
		slots->ring.first, slots->ring.first + CH_CALENDAR_RING_SLOTS);
	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		rc = CH_OK;
		ch_calendar_ring_set(
			&slots->ring, ch_db_i64(stmt, 0), (uint32_t)ch_db_i64(stmt, 1));
	}
	slots->loaded = rc == CH_OK && slots->is_told;
	return rc;
}

static int load_changed(struct ch_work *w, struct ch_slots *slots)
{
	int rc = CH_OK;

	ch_calendar_ring_turn(&slots->ring, w->now);
	while (!rc && slots->n_dirty > 0) {
		int64_t slot = slots->dirty[--slots->n_dirty];
		int64_t n = 0;

		rc = ch_db_get_i64(
			w->db, &n, "SELECT n FROM renewal_slot WHERE slot = ?", "i", slot);
		if (rc == CH_ENOTFOUND)
			rc = CH_OK;
		ch_calendar_ring_set(&slots->ring, slot, (uint32_t)n);
	}
	return rc;
}

int ch_work_plan(struct ch_work *w, int64_t from_ms, int64_t until_ms, int64_t not_before_ms,
	int64_t not_after_ms, uint64_t seed, int64_t *ret_at_ms)
{
	struct ch_slots *slots = w->slots;
	int64_t safe_ms =
		not_after_ms - (not_after_ms - not_before_ms) / 100 * CH_STORE_SAFE_PERCENT;
	struct ch_calendar_span span = {from_ms, until_ms < safe_ms ? until_ms : safe_ms};
	struct ch_calendar_source source = ch_calendar_ring_source(&slots->ring);
	char text[32];
	int rc;

	if (span.from_ms < w->now)
		span.from_ms = w->now;
	if (span.from_ms >= span.until_ms) {
		*ret_at_ms = span.until_ms > w->now ? span.until_ms : w->now;
		return CH_OK;
	}
	rc = slots->loaded ? load_changed(w, slots) : load_all(w, slots);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
	return rc ? rc : ch_calendar_choose(&source, &span, ch_spread(text, 0), ret_at_ms);
}

/* "CA/" of an account, which may have another key than then: that makes it no other account. */
static size_t ca_len(const char *account)
{
	const char *slash = strchr(account, '/');

	return slash ? (size_t)(slash - account) + 1 : 0;
}

/* Of a certificate that came from elsewhere, with nobody saying from where: a CA that is at one
 * address and signs under its own name. */
static bool is_signed_by(const char *issuer, const char *account)
{
	static const char host[] = "acme-v02.api.letsencrypt.org/";

	return strncmp(account, host, strlen(host)) == 0 &&
	       strstr(issuer, "O=Let's Encrypt,") != NULL;
}

/* from: the account that the certificate is of, or "CA/"; "": not known. */
static bool is_same_ca(const char *from, const char *issuer, const char *account)
{
	size_t len = ca_len(account);

	if (!*from)
		return is_signed_by(issuer, account);
	return ca_len(from) == len && memcmp(from, account, len) == 0;
}

/* As sql_publish.c writes them. */
static void join(const char *const *names, size_t n, char *ret_text, size_t size_b)
{
	bool swap = n > 1 && (strlen(names[0]) > strlen(names[1]) ||
				     (strlen(names[0]) == strlen(names[1]) &&
					     strcmp(names[0], names[1]) > 0));

	snprintf(ret_text, size_b, "%s%s%s", names[swap], n > 1 ? " " : "",
		n > 1 ? names[!swap] : "");
}

int ch_work_live_cert(struct ch_work *w, uint64_t version, const char *account,
	const char *const *names, size_t n_names, struct ch_live_cert *ret_live)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char text[2 * (CH_NAME_MAX + 1)];
	struct ch_live_cert live = {.danger_ms = INT64_MAX};
	int rc = CH_OK;

	join(names, n_names, text, sizeof(text));
	if (version)
		rc = ch_db_query(w->db, &stmt,
			"SELECT names = ?2, iif(paced = ?3, ari_id, NULL), "
			"ari_start <= ?4 AND ari_end > ?4, not_before, not_after, "
			"coalesce(paced, ari_ca || '/', ''), issuer FROM cert "
			"WHERE version = ?1",
			"itti", version, text, account, w->now);
	if (!rc && version)
		rc = ch_db_step(w->db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		rc = CH_OK;
		live.same = ch_db_i64(stmt, 0) && is_same_ca(ch_db_col_text(stmt, 5),
							  ch_db_col_text(stmt, 6), account);
		if (live.same)
			ch_db_copy(stmt, 1, live.ari_id, sizeof(live.ari_id), &rc);
		live.in_window = live.ari_id[0] && (int)ch_db_i64(stmt, 2);
		live.danger_ms = ch_calendar_danger_ms(ch_db_i64(stmt, 3), ch_db_i64(stmt, 4));
	}
	if (!rc)
		*ret_live = live;
	return rc;
}

struct reading {
	struct ch_store_slot days[CH_STORE_CALENDAR_DAYS];
	struct ch_store_slot hours[CH_STORE_CALENDAR_HOURS];
	struct ch_store_calendar calendar;
};

static void take_day(struct reading *r, int64_t slot, uint64_t n)
{
	int64_t at_ms = slot * CH_CALENDAR_SLOT_MS / CH_DAY_MS * CH_DAY_MS;
	struct ch_store_calendar *calendar = &r->calendar;

	if (calendar->n_days > 0 && r->days[calendar->n_days - 1].at_ms == at_ms)
		r->days[calendar->n_days - 1].n += n;
	else if (calendar->n_days == CH_STORE_CALENDAR_DAYS)
		calendar->later += n;
	else
		r->days[calendar->n_days++] = (struct ch_store_slot){at_ms, n};
}

static void take_hour(struct reading *r, int64_t slot, uint64_t n)
{
	size_t at = r->calendar.n_hours;

	if (at == CH_STORE_CALENDAR_HOURS && r->hours[at - 1].n >= n)
		return;
	if (at == CH_STORE_CALENDAR_HOURS)
		at--;
	else
		r->calendar.n_hours++;
	for (; at > 0 && r->hours[at - 1].n < n; at--)
		r->hours[at] = r->hours[at - 1];
	r->hours[at] = (struct ch_store_slot){slot * CH_CALENDAR_SLOT_MS, n};
}

static int read_slots(struct ch_db *db, int64_t now_ms, struct reading *r)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, "SELECT slot, n FROM renewal_slot ORDER BY slot", "");

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		int64_t slot = ch_db_i64(stmt, 0);
		uint64_t n = ch_db_u64(stmt, 1);

		rc = CH_OK;
		r->calendar.total += n;
		if (slot < ch_calendar_slot(now_ms)) {
			r->calendar.overdue += n;
			continue;
		}
		take_day(r, slot, n);
		take_hour(r, slot, n);
	}
	return rc;
}

int ch_sql_get_calendar(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_calendar *ret_calendar)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct reading *r = ch_arena_alloc(arena, sizeof(*r));
	struct ch_db *db;
	int rc = r ? ch_sql_read_begin(store, &db) : CH_ENOMEM;

	if (rc)
		return rc;
	memset(r, 0, sizeof(*r));
	rc = read_slots(db, ch_now_ms(), r);
	ch_sql_read_end(store, db);
	if (rc)
		return rc;
	r->calendar.days = r->days;
	r->calendar.hours = r->hours;
	*ret_calendar = r->calendar;
	return CH_OK;
}
