#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/sql_read.h"

/* Rows looked at for one page: a filter that fits few names must not read all of them. */
#define SCAN_MAX 10000
#define POLICY_COLUMNS (CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST)
#define KEYS_COLUMN (15 + POLICY_COLUMNS + CH_CERT_COLUMNS_N)

static void read_domain(
	struct ch_stmt *stmt, struct ch_arena *arena, struct ch_store_domain *domain, int *rc)
{
	char word[16];

	domain->name = ch_db_text(arena, stmt, 0, rc);
	domain->tenant = ch_db_text(arena, stmt, 1, rc);
	domain->pool = ch_db_text(arena, stmt, 2, rc);
	domain->www = (int)ch_db_i64(stmt, 3);
	domain->www_of = ch_db_text(arena, stmt, 4, rc);
	ch_db_copy(stmt, 5, word, sizeof(word), rc);
	if (ch_name_state_parse(word, &domain->state))
		*rc = CH_ECORRUPT;
	domain->reason.code = ch_db_text(arena, stmt, 6, rc);
	domain->reason.detail = ch_db_text(arena, stmt, 7, rc);
	ch_db_copy(stmt, 8, word, sizeof(word), rc);
	if (ch_actor_parse(word, &domain->reason.actor))
		*rc = CH_ECORRUPT;
	domain->next_at_ms = ch_db_i64(stmt, 9);
	domain->failures = ch_db_u64(stmt, 10);
	domain->version = ch_db_u64(stmt, 11);
	domain->order_id = ch_db_u64(stmt, 12);
	domain->created_at_ms = ch_db_i64(stmt, 13);
	domain->updated_at_ms = ch_db_i64(stmt, 14);
	for (int i = 0; i < POLICY_COLUMNS; i++) {
		const char *text = ch_db_text(arena, stmt, 15 + i, rc);

		domain->policy[CH_STORE_POLICY_FIRST + i] = text && *text ? text : NULL;
	}
	domain->cert = ch_db_read_cert(stmt, 15 + POLICY_COLUMNS, arena, rc);
	ch_db_copy(stmt, KEYS_COLUMN, word, sizeof(word), rc);
	if (ch_keys_parse(word, &domain->keys))
		*rc = CH_ECORRUPT;
	domain->checks_failed = ch_db_u64(stmt, KEYS_COLUMN + 1);
	domain->away_since_ms = ch_db_i64(stmt, KEYS_COLUMN + 2);
	domain->wanted_at_ms = ch_db_i64(stmt, KEYS_COLUMN + 7);
	domain->cas = ch_db_text(arena, stmt, KEYS_COLUMN + 3, rc);
	if (domain->cas && !*domain->cas)
		domain->cas = NULL;
}

static int read_second_cert(struct ch_db *db, uint64_t version, struct ch_arena *arena,
	const struct ch_store_cert **ret_cert)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT " CH_CERT_COLUMNS " FROM cert c WHERE c.version = ?", "i", version);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	*ret_cert = ch_db_read_cert(stmt, 0, arena, &rc);
	return rc;
}

/* Only for the few names that have one. */
static int read_second(struct ch_db *db, struct ch_arena *arena, struct ch_store_domain *domain,
	struct ch_store_second **ret_second)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_store_second *second = ch_arena_alloc(arena, sizeof(*second));
	char actor[16];
	uint64_t version;
	int rc = second ? ch_db_query(db, &stmt,
				  "SELECT second_code, second_detail, second_actor, second_at, "
				  "second_failures, second_cert FROM name WHERE name = ?",
				  "t", domain->name)
			: CH_ENOMEM;

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	*second = (struct ch_store_second){.reason.code = ch_db_text(arena, stmt, 0, &rc),
		.reason.detail = ch_db_text(arena, stmt, 1, &rc),
		.next_at_ms = ch_db_i64(stmt, 3),
		.failures = ch_db_u64(stmt, 4)};
	ch_db_copy(stmt, 2, actor, sizeof(actor), &rc);
	if (ch_actor_parse(actor, &second->reason.actor))
		rc = CH_ECORRUPT;
	if (second->reason.code && !*second->reason.code)
		second->reason = (struct ch_store_reason){
			"queued", "Comes after the first certificate.", CH_ACTOR_NOBODY};
	version = ch_db_u64(stmt, 5);
	if (!rc && version)
		rc = read_second_cert(db, version, arena, &second->cert);
	domain->second = *ret_second = second;
	return rc;
}

/* Of the first or of the second certificate; version 0: none yet. */
static int read_standby(struct ch_db *db, const char *name, bool second, const char *wanted,
	uint64_t version, struct ch_arena *arena, const struct ch_store_standby **ret_standby)
{
	static const char of_first[] =
		"SELECT n.standby_code, n.standby_detail, n.standby_actor, "
		"n.standby_at, n.standby_failures FROM name n WHERE n.name = ?";
	static const char of_second[] =
		"SELECT n.second_standby_code, n.second_standby_detail, "
		"n.second_standby_actor, n.second_standby_at, n.second_standby_failures "
		"FROM name n WHERE n.name = ?";
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_store_standby *standby = ch_arena_alloc(arena, sizeof(*standby));
	char actor[16];
	int rc = standby ? ch_db_query(db, &stmt, second ? of_second : of_first, "t", name)
			 : CH_ENOMEM;

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	*standby = (struct ch_store_standby){.wanted = wanted,
		.reason.code = ch_db_text(arena, stmt, 0, &rc),
		.reason.detail = ch_db_text(arena, stmt, 1, &rc),
		.next_at_ms = ch_db_i64(stmt, 3),
		.failures = ch_db_u64(stmt, 4)};
	ch_db_copy(stmt, 2, actor, sizeof(actor), &rc);
	if (ch_actor_parse(actor, &standby->reason.actor))
		rc = CH_ECORRUPT;
	/* Of one that was put live the name has the word of when it was ready. */
	if (standby->reason.code &&
		(!*standby->reason.code || (!version && !strcmp(standby->reason.code, "ok"))))
		standby->reason = (struct ch_store_reason){"queued",
			"Comes after the live certificate, when everything else that is due "
			"has "
			"been done.",
			CH_ACTOR_NOBODY};
	if (!rc && version)
		rc = read_second_cert(db, version, arena, &standby->cert);
	if (!rc && standby->cert) {
		standby->ca = standby->cert->ca;
		standby->ready = standby->cert->not_after_ms > ch_now_ms();
	}
	*ret_standby = standby;
	return rc;
}

static int load_standbys(struct ch_db *db, struct ch_stmt *stmt, struct ch_arena *arena,
	struct ch_store_domain *domain, struct ch_store_second *second)
{
	int rc = CH_OK;
	const char *wanted = ch_db_text(arena, stmt, KEYS_COLUMN + 4, &rc);
	uint64_t version = ch_db_u64(stmt, KEYS_COLUMN + 5);

	if (wanted && (!*wanted || strcmp(wanted, CH_STORE_STANDBY_NONE) == 0))
		wanted = NULL;
	if (!rc && (wanted || version))
		rc = read_standby(
			db, domain->name, false, wanted, version, arena, &domain->standby);
	version = ch_db_u64(stmt, KEYS_COLUMN + 6);
	if (!rc && second && (wanted || version))
		rc = read_standby(
			db, domain->name, true, wanted, version, arena, &second->standby);
	return rc;
}

int ch_db_domain_load(struct ch_db *db, const char *name, struct ch_arena *arena,
	struct ch_store_domain *ret_domain)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_store_domain domain = {0};
	struct ch_store_second *second = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT n.name, n.tenant, n.pool, n.www, n.www_of, n.state, n.code, n.detail, "
		"n.actor, iif(o.id IS NULL OR o.state = 'confirming', min(n.next_at, "
		"coalesce(iif(n.cert IS NULL OR n.failures > 0, NULL, n.second_at), "
		"n.next_at)), "
		"o.next_at), "
		"n.failures, n.version, n.order_id, n.created_at, "
		"n.updated_at, n.upstream, n.hsts, n.redirect, " CH_CERT_COLUMNS
		", n.keys, n.checks_failed, n.away_since, n.cas, "
		"coalesce(nullif(n.standby, ''), (SELECT ca FROM standby_default)), "
		"n.standby_cert, n.second_standby_cert, n.wanted_at FROM name n LEFT JOIN "
		"orders o "
		"ON "
		"o.id = n.order_id "
		"LEFT JOIN cert c ON c.version = n.cert WHERE n.name = ?",
		"t", name);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	read_domain(stmt, arena, &domain, &rc);
	if (!rc && ch_keys_both(domain.keys))
		rc = read_second(db, arena, &domain, &second);
	if (!rc)
		rc = load_standbys(db, stmt, arena, &domain, second);
	if (!rc)
		*ret_domain = domain;
	return rc;
}

int ch_sql_get_domain(struct ch_store *base, const char *name, struct ch_arena *arena,
	struct ch_store_domain *ret_domain)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = ch_db_domain_load(db, name, arena, ret_domain);
	ch_sql_read_end(store, db);
	return rc;
}

/* Whether the query below leaves rows that do not fit. */
static bool is_rest(const struct ch_store_domain_filter *filter)
{
	bool by_actor = filter->has_actor && filter->actor != CH_ACTOR_NOBODY;

	return filter->pool || (filter->has_actor && !by_actor) ||
	       (filter->tenant != NULL) + by_actor + filter->has_state > 1;
}

/* Where the list begins, as one bound: of two SQLite seeks by either, and reads over the rest.
 * No character of a name is below the one that follows what it comes after. */
static void begin_of(
	const struct ch_store_domain_filter *filter, char ret_from[CH_NAME_MAX + 2])
{
	const char *prefix = filter->prefix ? filter->prefix : "";

	snprintf(ret_from, CH_NAME_MAX + 2, "%s%s", filter->after ? filter->after : "",
		filter->after ? "\x01" : "");
	if (strcmp(prefix, ret_from) > 0)
		snprintf(ret_from, CH_NAME_MAX + 2, "%s", prefix);
}

/* The index that leaves the fewest rows for the rest of the filter.  from: borrowed by the
 * statement. */
static int query_names(struct ch_db *db, const struct ch_store_domain_filter *filter,
	const char *from, struct ch_stmt **ret_stmt)
{
	int64_t most = is_rest(filter) ? SCAN_MAX + 1 : (int64_t)filter->limit + 1;

	if (filter->tenant)
		return ch_db_query(db, ret_stmt,
			"SELECT name, state, actor, pool FROM name INDEXED BY name_tenant "
			"WHERE tenant = ? AND name >= ? ORDER BY name LIMIT ?",
			"tti", filter->tenant, from, most);
	if (filter->has_actor && filter->actor != CH_ACTOR_NOBODY)
		return ch_db_query(db, ret_stmt,
			"SELECT name, state, actor, pool FROM name INDEXED BY name_actor "
			"WHERE actor = ? AND actor <> 'nobody' AND name >= ? "
			"ORDER BY name LIMIT ?",
			"tti", ch_actor_str(filter->actor), from, most);
	if (filter->has_state)
		return ch_db_query(db, ret_stmt,
			"SELECT name, state, actor, pool FROM name INDEXED BY name_state "
			"WHERE state = ? AND name >= ? ORDER BY name LIMIT ?",
			"tti", ch_name_state_str(filter->state), from, most);
	return ch_db_query(db, ret_stmt,
		"SELECT name, state, actor, pool FROM name WHERE name >= ? "
		"ORDER BY name LIMIT ?",
		"ti", from, most);
}

static bool equals(struct ch_stmt *stmt, int col, const char *text)
{
	const char *value = (const char *)ch_db_col_text(stmt, col);

	return value && strcmp(value, text) == 0;
}

static bool matches(struct ch_stmt *stmt, const struct ch_store_domain_filter *filter)
{
	return (!filter->has_state || equals(stmt, 1, ch_name_state_str(filter->state))) &&
	       (!filter->has_actor || equals(stmt, 2, ch_actor_str(filter->actor))) &&
	       (!filter->pool || equals(stmt, 3, filter->pool));
}

static bool past_prefix(struct ch_stmt *stmt, const struct ch_store_domain_filter *filter)
{
	const char *name = (const char *)ch_db_col_text(stmt, 0);

	return filter->prefix &&
	       (!name || strncmp(name, filter->prefix, strlen(filter->prefix)) != 0);
}

/* Collects the names of the page; *ret_after as in the page. */
static int scan_names(struct ch_db *db, const struct ch_store_domain_filter *filter,
	struct ch_arena *arena, const char **names, size_t *ret_n, const char **ret_after)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char from[CH_NAME_MAX + 2];
	char last[CH_NAME_MAX + 1] = "";
	size_t n = 0;
	int rc;

	begin_of(filter, from);
	rc = query_names(db, filter, from, &stmt);
	for (size_t scanned = 0; !rc; scanned++) {
		rc = ch_db_step(db, stmt);
		if (rc <= 0 || past_prefix(stmt, filter))
			break;
		rc = CH_OK;
		if (n == filter->limit || scanned == SCAN_MAX) {
			*ret_after = ch_arena_str(arena, last);
			*ret_n = n;
			return *ret_after ? CH_OK : CH_ENOMEM;
		}
		ch_db_copy(stmt, 0, last, sizeof(last), &rc);
		if (matches(stmt, filter))
			names[n++] = ch_db_text(arena, stmt, 0, &rc);
	}
	if (rc < 0)
		return rc;
	*ret_after = NULL;
	*ret_n = n;
	return CH_OK;
}

static int list_domains(struct ch_db *db, const struct ch_store_domain_filter *filter,
	struct ch_arena *arena, struct ch_store_domain_page *page)
{
	const char **names = ch_arena_array(arena, filter->limit, sizeof(*names));
	int rc = names ? scan_names(db, filter, arena, names, &page->n_domains, &page->after)
		       : CH_ENOMEM;

	if (rc)
		return rc;
	page->domains = ch_arena_array(arena, page->n_domains, sizeof(*page->domains));
	if (!page->domains)
		return CH_ENOMEM;
	for (size_t i = 0; !rc && i < page->n_domains; i++)
		rc = ch_db_domain_load(db, names[i], arena, &page->domains[i]);
	return rc;
}

int ch_sql_list_domains(struct ch_store *base, const struct ch_store_domain_filter *filter,
	struct ch_arena *arena, struct ch_store_domain_page *ret_page)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_domain_page page = {0};
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = list_domains(db, filter, arena, &page);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_page = page;
	return rc;
}

static int read_history(struct ch_db *db, const char *name, size_t limit,
	struct ch_arena *arena, struct ch_store_event *events, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ch_db_query(db, &stmt,
		"SELECT at, event, detail, actor FROM history WHERE name = ? "
		"ORDER BY id DESC LIMIT ?",
		"ti", name, (int64_t)limit);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		struct ch_store_event *event = &events[n++];
		char actor[16];

		rc = CH_OK;
		event->at_ms = ch_db_i64(stmt, 0);
		event->event = ch_db_text(arena, stmt, 1, &rc);
		event->detail = ch_db_text(arena, stmt, 2, &rc);
		ch_db_copy(stmt, 3, actor, sizeof(actor), &rc);
		if (ch_actor_parse(actor, &event->actor))
			rc = CH_ECORRUPT;
	}
	if (!rc)
		*ret_n = n;
	return rc;
}

int ch_sql_get_history(struct ch_store *base, const char *name, size_t limit,
	struct ch_arena *arena, struct ch_store_event **ret_events, size_t *ret_n)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_event *events = ch_arena_array(arena, limit, sizeof(*events));
	struct ch_db *db;
	int rc;

	if (!events)
		return CH_ENOMEM;
	rc = ch_sql_read_begin(store, &db);
	if (rc)
		return rc;
	rc = read_history(db, name, limit, arena, events, ret_n);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_events = events;
	return rc;
}
