/* store/queue.h: one walk over the names in line. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "store/queue.h"
#include "store/sql_pace.h"
#include "store/sql_read.h"
#include "wire/name.h"

#define EMPTY UINT32_MAX

/* Registered domains to numbers: an open table, with a hash that strangers cannot foresee. */
struct table {
	uint32_t *slots;
	size_t mask;
	uint64_t salt;
};

struct reading {
	struct ch_db *db;
	struct ch_arena *arena;
	struct ch_store_queue *queue;
	struct ch_forecast *f;
	struct table table;
	const char *ca; /* of the first account; not terminated */
	int ca_len;
	struct ch_limit domain_limit;
	uint32_t cap;
	int64_t *served; /* by tenant */
	const char **tenants;
	const char **cas;
	struct ch_op_lease lease;	   /* with which the accounts come */
	const char *lines[CH_SCHED_LINES]; /* the lists of CAs, as names have them */
};

static uint64_t hash(uint64_t salt, const char *text, size_t len)
{
	uint64_t h = salt;

	for (size_t i = 0; i < len; i++) {
		h = (h ^ (unsigned char)text[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

/* The slot of a domain, or the free one where it belongs. */
static uint32_t *find(struct reading *r, const char *domain, size_t len)
{
	size_t at = hash(r->table.salt, domain, len) & r->table.mask;

	for (;; at = (at + 1) & r->table.mask) {
		uint32_t id = r->table.slots[at];

		if (id == EMPTY || (strncmp(r->queue->domains[id], domain, len) == 0 &&
					   !r->queue->domains[id][len]))
			return &r->table.slots[at];
	}
}

static int init(struct reading *r)
{
	size_t slots = 1;

	while (slots < 2 * ((size_t)r->cap + 1))
		slots *= 2;
	r->f->items = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->f->items));
	r->f->tenants = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->f->tenants));
	r->f->domains = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->f->domains));
	r->queue->names = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->queue->names));
	r->queue->domains = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->queue->domains));
	r->queue->tails_ms = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->queue->tails_ms));
	r->tenants = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->tenants));
	r->cas = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->cas));
	r->served = ch_arena_array(r->arena, r->cap + 1, sizeof(*r->served));
	r->table.slots = ch_arena_array(r->arena, slots, sizeof(*r->table.slots));
	if (!r->f->items || !r->f->tenants || !r->f->domains || !r->queue->names ||
		!r->queue->domains || !r->queue->tails_ms || !r->tenants || !r->cas ||
		!r->served || !r->table.slots)
		return CH_ENOMEM;
	memset(r->table.slots, 0xff, slots * sizeof(*r->table.slots));
	r->table.mask = slots - 1;
	r->f->n_domains = 1;
	return CH_OK;
}

static int read_bucket(struct reading *r, const char *key, const struct ch_limit *wanted,
	struct ch_forecast_bucket *b)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int64_t tat_us = 0;
	struct ch_limit kept = {0};
	int rc = ch_db_query(
		r->db, &stmt, "SELECT tat, size, refill FROM bucket WHERE key = ?", "t", key);

	if (!rc)
		rc = ch_db_step(r->db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		tat_us = ch_db_i64(stmt, 0);
		kept.size = (uint32_t)ch_db_i64(stmt, 1);
		kept.refill_us = ch_db_i64(stmt, 2);
	}
	b->limit = wanted->size ? ch_limit_with_margin(wanted) : *wanted;
	b->bucket.tat_us = tat_us;
	/* A CA taught a limit that nobody has configured. */
	if (!wanted->size && kept.size == 1 && kept.refill_us == 1 &&
		tat_us > r->f->now_ms * 1000)
		b->limit = kept;
	return CH_OK;
}

static int read_accounts(struct reading *r, const struct ch_store_pace *paces, size_t n)
{
	r->f->accounts = ch_arena_array(r->arena, n + 1, sizeof(*r->f->accounts));
	if (!r->f->accounts)
		return CH_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		char *key = ch_arena_fmt(r->arena, "account:%s", paces[i].account);
		int rc = key ? read_bucket(r, key, &paces[i].limits[CH_PACED_ACCOUNT],
				       &r->f->accounts[i])
			     : CH_ENOMEM;

		if (rc)
			return rc;
	}
	r->f->n_accounts = (uint32_t)n;
	return CH_OK;
}

/* Which of the accounts the names with this list may use. */
static unsigned accounts_of(const struct reading *r, const char *cas)
{
	struct ch_pace_list list;
	unsigned bits = 0;

	ch_pace_list(&r->lease, cas, &list);
	for (size_t i = 0; i < list.n; i++) {
		size_t at = list.list[i] == &r->lease.pace
				    ? 0
				    : (size_t)(list.list[i] - r->lease.fallback) + 1;

		if (at < r->f->n_accounts)
			bits |= 1u << at;
	}
	return bits;
}

/* More lists than there are lines are taken for the first one. */
static uint8_t line_of(struct reading *r, const char *cas)
{
	for (unsigned line = 0; cas && line < r->f->n_lines; line++)
		if (strcmp(r->lines[line], cas) == 0)
			return (uint8_t)line;
	if (!cas || r->f->n_lines == CH_SCHED_LINES)
		return 0;
	r->lines[r->f->n_lines] = cas;
	r->f->lines[r->f->n_lines] = accounts_of(r, cas);
	return (uint8_t)r->f->n_lines++;
}

/* In the order of the names in line, so that these find theirs by going on. */
static int read_tenants(struct reading *r)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(r->db, &stmt,
		"SELECT class, tenant, cas, served FROM turn WHERE n > 0 "
		"ORDER BY class, tenant, cas",
		"");

	while (!rc && (rc = ch_db_step(r->db, stmt)) == 1) {
		uint32_t id = r->f->n_tenants;
		int64_t class = ch_db_i64(stmt, 0);

		rc = class < 0 || class >= CH_CLASS_COUNT ? CH_ECORRUPT : CH_OK;
		if (rc || id == r->cap)
			break;
		r->f->tenants[id].class = (uint8_t) class;
		r->tenants[id] = ch_db_text(r->arena, stmt, 1, &rc);
		r->cas[id] = ch_db_text(r->arena, stmt, 2, &rc);
		r->f->tenants[id].line = line_of(r, r->cas[id]);
		r->served[id] = ch_db_i64(stmt, 3);
		r->f->n_tenants++;
	}
	return rc;
}

static int by_turn(const void *a, const void *b, void *arg)
{
	const struct reading *r = arg;
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	if (r->f->tenants[x].class != r->f->tenants[y].class)
		return r->f->tenants[x].class < r->f->tenants[y].class ? -1 : 1;
	if (r->served[x] != r->served[y])
		return r->served[x] < r->served[y] ? -1 : 1;
	if (strcmp(r->cas[x], r->cas[y]) != 0)
		return strcmp(r->cas[x], r->cas[y]);
	return (x > y) - (x < y);
}

static int place_tenants(struct reading *r)
{
	uint32_t *order = ch_arena_array(r->arena, r->f->n_tenants + 1, sizeof(*order));

	if (!order)
		return CH_ENOMEM;
	for (uint32_t i = 0; i < r->f->n_tenants; i++)
		order[i] = i;
	qsort_r(order, r->f->n_tenants, sizeof(*order), by_turn, r);
	for (uint32_t i = 0; i < r->f->n_tenants; i++)
		r->f->tenants[order[i]].place = i;
	return CH_OK;
}

static int domain_of(struct reading *r, const char *name, uint32_t *ret_id)
{
	char domain[CH_NAME_TEXT_B];
	uint32_t *slot;

	*ret_id = 0;
	if (!r->domain_limit.size || ch_name_registered(name, domain))
		return CH_OK;
	slot = find(r, domain, strlen(domain));
	if (*slot == EMPTY) {
		uint32_t id = r->f->n_domains;

		r->queue->domains[id] = ch_arena_str(r->arena, domain);
		if (!r->queue->domains[id])
			return CH_ENOMEM;
		r->f->domains[id].limit = r->domain_limit;
		r->f->n_domains++;
		*slot = id;
	}
	*ret_id = *slot;
	return CH_OK;
}

static bool is_turn_of(const struct reading *r, uint32_t tenant, int64_t class, const char *of,
	const char *cas)
{
	return r->f->tenants[tenant].class == class && strcmp(r->tenants[tenant], of) == 0 &&
	       strcmp(r->cas[tenant], cas) == 0;
}

static int read_names(struct reading *r)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	uint32_t tenant = 0;
	int rc = ch_db_query(r->db, &stmt,
		"SELECT class, tenant, cas, name FROM waiting "
		"ORDER BY class, tenant, cas, since, name LIMIT ?",
		"i", (int64_t)r->cap);

	while (!rc && (rc = ch_db_step(r->db, stmt)) == 1) {
		int64_t class = ch_db_i64(stmt, 0);
		const char *of = ch_db_col_text(stmt, 1);
		const char *cas = ch_db_col_text(stmt, 2);
		struct ch_forecast_item *item = &r->f->items[r->f->n_items];

		rc = CH_OK;
		while (tenant < r->f->n_tenants && !is_turn_of(r, tenant, class, of, cas))
			tenant++;
		if (tenant == r->f->n_tenants)
			return CH_ECORRUPT;
		item->class = (uint8_t) class;
		item->tenant = tenant;
		r->queue->names[r->f->n_items] = ch_db_text(r->arena, stmt, 3, &rc);
		if (!rc)
			rc = domain_of(r, r->queue->names[r->f->n_items], &item->domain);
		r->f->n_items++;
	}
	return rc;
}

/* Buckets that are not full; of each domain that somebody in line has. */
static int read_domains(struct reading *r)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char *from = ch_arena_fmt(r->arena, "domain:%.*s:", r->ca_len, r->ca);
	char *until = ch_arena_fmt(r->arena, "domain:%.*s;", r->ca_len, r->ca);
	int rc;

	if (!r->domain_limit.size || r->f->n_domains == 1)
		return CH_OK;
	if (!from || !until)
		return CH_ENOMEM;
	rc = ch_db_query(r->db, &stmt,
		"SELECT key, tat, tail FROM bucket WHERE key >= ? AND key < ?", "tt", from,
		until);
	while (!rc && (rc = ch_db_step(r->db, stmt)) == 1) {
		const char *key = ch_db_col_text(stmt, 0);
		const char *domain = key + strlen(from);
		uint32_t *slot = find(r, domain, strlen(domain));

		rc = CH_OK;
		if (*slot == EMPTY)
			continue;
		r->f->domains[*slot].bucket.tat_us = ch_db_i64(stmt, 1);
		r->queue->tails_ms[*slot] = ch_db_i64(stmt, 2);
	}
	return rc;
}

static int read_queue(struct reading *r, const struct ch_store_pace *paces, size_t n)
{
	int64_t waiting = 0;
	int64_t turns = 0;
	int rc = ch_db_get_i64(
		r->db, &waiting, "SELECT n FROM counter WHERE key = 'waiting'", "");

	if (!rc)
		rc = ch_db_get_i64(
			r->db, &turns, "SELECT n FROM counter WHERE key = 'turns'", "");
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	r->queue->waiting = (uint64_t)waiting;
	r->f->turn = (uint64_t)turns;
	r->cap = waiting < CH_STORE_QUEUE_MAX ? (uint32_t)waiting : CH_STORE_QUEUE_MAX;
	rc = init(r);
	if (!rc)
		rc = read_accounts(r, paces, n);
	if (!rc)
		rc = read_tenants(r);
	if (!rc)
		rc = place_tenants(r);
	if (!rc)
		rc = read_names(r);
	return rc ? rc : read_domains(r);
}

int ch_sql_get_queue(struct ch_store *base, const struct ch_store_pace *paces, size_t n_paces,
	struct ch_arena *arena, struct ch_store_queue *ret_queue)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_queue queue = {.waiting = 0};
	struct reading r = {.arena = arena, .queue = &queue, .f = &queue.forecast};
	int rc;

	if (getrandom(&r.table.salt, sizeof(r.table.salt), 0) != sizeof(r.table.salt))
		return CH_EIO;
	r.f->now_ms = ch_now_ms();
	if (n_paces > 1 + CH_STORE_FALLBACK_MAX)
		n_paces = 1 + CH_STORE_FALLBACK_MAX;
	for (size_t i = 0; i < n_paces; i++)
		*(i ? &r.lease.fallback[i - 1] : &r.lease.pace) = paces[i];
	r.lease.n_fallback = n_paces ? n_paces - 1 : 0;
	if (n_paces) {
		const struct ch_limit *limit = &paces[0].limits[CH_PACED_DOMAIN];

		r.ca = paces[0].account;
		r.ca_len = (int)strcspn(r.ca, "/");
		r.domain_limit = limit->size ? ch_limit_with_margin(limit) : *limit;
	}
	rc = ch_sql_read_begin(store, &r.db);
	if (rc)
		return rc;
	rc = read_queue(&r, paces, n_paces);
	ch_sql_read_end(store, r.db);
	if (!rc)
		*ret_queue = queue;
	return rc;
}
