/* CH_OP_PUT. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/sql_ahead.h"
#include "store/sql_pace.h"
#include "wire/policy.h"

#define QUEUED "Waits for its first order."
/* Who brings a first certificate may have a second one, too. */
#define SECOND_WAIT_MS (10 * CH_MINUTE_MS)

static void reject(struct ch_store_put_item *item, const char *detail)
{
	item->result = CH_PUT_REJECTED;
	item->problem = "bad-field";
	item->detail = detail;
}

/* What an item asks of a name, or what the name has. */
struct settings {
	const char *tenant;
	const char *pool;
	const char *policy[CH_POLICY_TAG_COUNT]; /* from CH_STORE_POLICY_FIRST on */
	enum ch_keys keys;
	const char *cas;
	const char *standby;
};

static struct settings wanted(
	const struct ch_store_put_item *item, const struct ch_name_row *row)
{
	struct settings s = {
		.tenant = item->tenant ? item->tenant : row->tenant,
		.pool = item->pool ? item->pool : row->pool,
		.keys = item->has_keys ? item->keys : row->keys,
		.cas = item->cas ? item->cas : row->cas,
		.standby = item->standby ? item->standby : row->standby,
	};

	for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++)
		s.policy[tag] = item->policy[tag] ? item->policy[tag] : row->policy[tag];
	return s;
}

/* The www name's share of its first name's settings: all but the redirect. */
static struct settings shared(const struct settings *s, const char *redirect)
{
	struct settings share = *s;

	share.policy[CH_POLICY_REDIRECT] = redirect;
	return share;
}

static bool policy_differs(const struct ch_name_row *row, const struct settings *s)
{
	for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++)
		if (strcmp(row->policy[tag], s->policy[tag]) != 0)
			return true;
	return strcmp(row->tenant, s->tenant) != 0;
}

/* Where a name is inserted: by a batch of several, or with a certificate. */
struct occasion {
	bool imported;
	uint64_t version; /* of the certificate; 0: none */
};

static struct occasion usual(const struct ch_work *w)
{
	return (struct occasion){.imported = w->op->u.put.n_items > 1};
}

static struct ch_name_row fresh_row(const char *name, const struct settings *s)
{
	struct ch_name_row row = {.keys = s->keys};

	snprintf(row.name, sizeof(row.name), "%s", name);
	snprintf(row.tenant, sizeof(row.tenant), "%s", s->tenant);
	snprintf(row.pool, sizeof(row.pool), "%s", s->pool);
	for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++)
		snprintf(row.policy[tag], sizeof(row.policy[tag]), "%s", s->policy[tag]);
	return row;
}

static int insert_name(struct ch_work *w, const char *name, const struct settings *s, bool www,
	const char *www_of, struct occasion at)
{
	struct ch_name_row row = fresh_row(name, s);
	uint64_t version = at.version;
	int rc = version ? ch_work_come_back(w, s->pool, name)
			 : ch_work_emit_plain(w, s->pool, name, CH_RECORD_NAME, &version);

	if (!rc)
		rc = ch_db_run(w->db,
			"INSERT INTO name (name, tenant, pool, www, www_of, state, code, "
			"detail, actor, next_at, failures, version, solo, upstream, hsts, "
			"redirect, created_at, updated_at, keys, second_at, imported, "
			"cas, standby) "
			"VALUES (?1, ?2, ?3, ?4, ?5, 'pending', 'queued', ?6, 'nobody', ?7, 0, "
			"?8, 0, ?9, ?10, ?11, ?7, ?7, ?12, iif(?13, ?17, NULL), ?14, ?15, ?16)",
			"tttittiittttiitti", name, s->tenant, s->pool, (int64_t)www, www_of,
			QUEUED, w->now, version, s->policy[CH_POLICY_UPSTREAM],
			s->policy[CH_POLICY_HSTS], s->policy[CH_POLICY_REDIRECT],
			ch_keys_str(s->keys), (int64_t)ch_keys_both(s->keys),
			(int64_t)at.imported, s->cas, s->standby,
			version == at.version ? w->now + SECOND_WAIT_MS : w->now);
	ch_ahead_changed(w, CH_AHEAD_NAME, name);
	if (!rc)
		rc = ch_work_forget_holder(w, name);
	if (!rc)
		rc = ch_work_emit_policy_of(w, &row);
	if (!rc)
		rc = ch_work_history(w, name, "created", "Registered.", CH_ACTOR_NOBODY);
	ch_work_due(w, w->now);
	return rc;
}

/* Removed from the old pool's edges, begun again in the new one: what was sealed for the old
 * pool cannot be opened in the new one. */
static int move_name(struct ch_work *w, const struct ch_name_row *row, const char *pool)
{
	uint64_t version;
	int rc = ch_work_detach(w, row->name, row->order_id);

	if (!rc)
		rc = ch_work_emit_plain(w, row->pool, row->name, CH_RECORD_TOMBSTONE, &version);
	if (!rc)
		rc = ch_work_emit_plain(w, pool, row->name, CH_RECORD_NAME, &version);
	if (!rc)
		rc = ch_work_forget_certs(w, row->name);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET pool = ?1, version = ?2, order_id = NULL, solo = 0, "
			"cert = NULL, prev_cert = NULL, not_after = NULL, danger_at = NULL, "
			"failures = 0, "
			"second_cert = NULL, second_prev = NULL, second_failures = 0, "
			"standby_cert = NULL, standby_at = NULL, standby_failures = 0, "
			"second_standby_cert = NULL, second_standby_at = NULL, "
			"second_standby_failures = 0, second_standby_code = '', "
			"second_at = iif(state = 'paused' OR keys NOT LIKE '%+rsa', NULL, ?3), "
			"state = iif(state = 'paused', 'paused', 'pending'), "
			"next_at = iif(state = 'paused', NULL, ?3), code = 'queued', "
			"detail = ?4, actor = 'nobody', updated_at = ?3 WHERE name = ?5",
			"tiitt", pool, version, w->now, QUEUED, row->name);
	if (!rc)
		rc = ch_work_history(w, row->name, "moved", pool, CH_ACTOR_NOBODY);
	ch_work_due(w, w->now);
	return rc;
}

/* Holds from the next order on; what waits for a CA of the list before need not any more. */
static int change_cas(struct ch_work *w, const struct ch_name_row *row, const char *cas)
{
	int rc = CH_OK;

	if (strcmp(row->cas, cas) == 0)
		return CH_OK;
	rc = ch_pace_forget(w, row->name);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET cas = ?1, "
			"next_at = iif(next_at IS NOT NULL AND order_id IS NULL AND "
			"(code = 'ca-unknown' OR code LIKE 'ca-limit-%'), ?2, next_at), "
			"second_at = iif(second_at IS NOT NULL AND order_id IS NULL AND "
			"(second_code = 'ca-unknown' OR second_code LIKE 'ca-limit-%'), ?2, "
			"second_at), updated_at = ?2 WHERE name = ?3",
			"tit", cas, w->now, row->name);
	ch_work_due(w, w->now);
	return rc;
}

/* Brings a name to these settings. */
static int follow(struct ch_work *w, const struct ch_name_row *row, const struct settings *s)
{
	bool moves = strcmp(row->pool, s->pool) != 0;
	bool differs = policy_differs(row, s);
	int rc = moves ? move_name(w, row, s->pool) : CH_OK;

	if (!rc && differs)
		rc = ch_db_run(w->db,
			"UPDATE name SET tenant = ?, upstream = ?, hsts = ?, redirect = ?, "
			"updated_at = ? WHERE name = ?",
			"ttttit", s->tenant, s->policy[CH_POLICY_UPSTREAM],
			s->policy[CH_POLICY_HSTS], s->policy[CH_POLICY_REDIRECT], w->now,
			row->name);
	if (!rc && (moves || differs))
		rc = ch_work_emit_policy(w, row->name);
	if (!rc)
		rc = change_cas(w, row, s->cas);
	if (!rc)
		rc = ch_work_change_standby(w, row, s->standby);
	if (!rc)
		rc = ch_work_change_keys(w, row->name, s->keys);
	return rc;
}

static bool differ(const struct ch_name_row *row, const struct settings *s)
{
	return policy_differs(row, s) || strcmp(s->pool, row->pool) != 0 ||
	       s->keys != row->keys || strcmp(s->cas, row->cas) != 0 ||
	       strcmp(s->standby, row->standby) != 0;
}

/* Names what differs; of whose it is, and who serves it, what it was and is too. */
static int tell_change(
	struct ch_work *w, const struct ch_name_row *row, bool www, const struct settings *s)
{
	CH_AUTO_BUF struct ch_buf text = {.max_b = 1024};
	const char *between = ": ";
	const struct {
		const char *what;
		bool differs;
	} others[] = {
		{"www", www != row->www},
		{"keys", s->keys != row->keys},
		{"cas", strcmp(s->cas, row->cas) != 0},
		{"standby", strcmp(s->standby, row->standby) != 0},
	};

	ch_buf_add_str(&text, "Settings changed");
	if (strcmp(s->tenant, row->tenant) != 0) {
		ch_buf_addf(&text, "%stenant from %s to %s", between, row->tenant, s->tenant);
		between = ", ";
	}
	if (strcmp(s->pool, row->pool) != 0) {
		ch_buf_addf(&text, "%spool from %s to %s", between, row->pool, s->pool);
		between = ", ";
	}
	for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++) {
		if (strcmp(row->policy[tag], s->policy[tag]) == 0)
			continue;
		ch_buf_addf(&text, "%s%s", between, ch_policy_word((enum ch_policy_tag)tag));
		between = ", ";
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(others); i++) {
		if (!others[i].differs)
			continue;
		ch_buf_addf(&text, "%s%s", between, others[i].what);
		between = ", ";
	}
	if (ch_buf_add_str(&text, "."))
		return CH_ENOMEM;
	return ch_work_history(w, row->name, "changed", ch_buf_str(&text), CH_ACTOR_NOBODY);
}

static int follow_mate(struct ch_work *w, const char *name, const struct settings *s)
{
	struct settings share;
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, name, &row);

	if (rc)
		return rc;
	share = shared(s, row.policy[CH_POLICY_REDIRECT]);
	rc = follow(w, &row, &share);
	return rc || !differ(&row, &share) ? rc : tell_change(w, &row, row.www, &share);
}

/* Registers the www name, or takes in the one that is there. */
static int join_www(
	struct ch_work *w, const char *name, const struct settings *s, struct occasion at)
{
	struct settings share = shared(s, "");
	char www[CH_NAME_MAX + 1];
	struct ch_name_row row;
	int rc;

	snprintf(www, sizeof(www), "www.%s", name);
	rc = ch_ahead_row(w, www, &row);
	if (rc == CH_ENOTFOUND)
		return insert_name(w, www, &share, false, name, at);
	ch_ahead_changed(w, CH_AHEAD_NAME, www);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET www_of = ?, updated_at = ? WHERE name = ?", "tit",
			name, w->now, www);
	return rc ? rc : follow_mate(w, www, s);
}

static int part_www(struct ch_work *w, const struct ch_name_row *row)
{
	char www[CH_NAME_MAX + 1];

	ch_name_row_mate(row, www);
	return ch_db_run(w->db, "UPDATE name SET www_of = NULL, updated_at = ? WHERE name = ?",
		"it", w->now, www);
}

static int change_www(
	struct ch_work *w, const struct ch_name_row *row, bool www, const struct settings *s)
{
	int rc = www ? join_www(w, row->name, s, usual(w)) : part_www(w, row);

	return rc ? rc
		  : ch_db_run(w->db, "UPDATE name SET www = ?, updated_at = ? WHERE name = ?",
			    "iit", (int64_t)www, w->now, row->name);
}

static int change_name(
	struct ch_work *w, const struct ch_name_row *row, struct ch_store_put_item *item)
{
	struct settings s = wanted(item, row);
	bool www = item->www == CH_TRI_KEEP ? row->www : item->www == CH_TRI_YES;
	char mate[CH_NAME_MAX + 1];
	int rc = CH_OK;

	if (!differ(row, &s) && www == row->www)
		return CH_OK;
	item->changed = true;
	ch_name_row_mate(row, mate);
	ch_ahead_changed(w, CH_AHEAD_NAME, row->name);
	ch_ahead_changed(w, CH_AHEAD_NAME, mate);
	rc = follow(w, row, &s);
	if (!rc && www != row->www)
		rc = change_www(w, row, www, &s);
	else if (!rc && mate[0] && !row->www_of[0])
		rc = follow_mate(w, mate, &s);
	if (!rc)
		rc = tell_change(w, row, www, &s);
	return rc ? rc : ch_work_audit(w, "domain.change", row->name);
}

static int create_name(struct ch_work *w, const struct ch_store_put_item *item,
	enum ch_keys keys, struct occasion at)
{
	const struct ch_name_row fresh = {
		.tenant = CH_STORE_LABEL_DEFAULT, .pool = CH_STORE_LABEL_DEFAULT, .keys = keys};
	struct settings s = wanted(item, &fresh);
	bool www = item->www == CH_TRI_YES;
	int rc = insert_name(w, item->name, &s, www, NULL, at);

	if (!rc && www)
		rc = join_www(w, item->name, &s, at);
	return rc ? rc : ch_work_audit(w, "domain.create", item->name);
}

int ch_work_create_adopted(struct ch_work *w, const struct ch_store_put_item *item,
	enum ch_keys keys, uint64_t version)
{
	return create_name(
		w, item, keys, (struct occasion){.imported = true, .version = version});
}

static bool may_have_www(struct ch_store_put_item *item)
{
	if (strncmp(item->name, "www.", 4) == 0)
		reject(item, "www: the name is a www name itself");
	else if (strncmp(item->name, "*.", 2) == 0)
		reject(item, "www: a wildcard covers its www name already");
	else if (strlen(item->name) + 4 > CH_NAME_MAX)
		reject(item, "www: the name with www. in front would be too long");
	else
		return true;
	return false;
}

/* Whether a www name is to differ from its first name. */
static bool leaves_its_group(
	const struct ch_name_row *row, const struct ch_store_put_item *item)
{
	struct settings s = wanted(item, row);

	s.policy[CH_POLICY_REDIRECT] = row->policy[CH_POLICY_REDIRECT];
	return differ(row, &s);
}

static int check_cas(struct ch_work *w, struct ch_store_put_item *item, const char *known,
	const struct ch_name_row *row, bool *ret_refused)
{
	const char *detail;
	int rc = ch_work_judge_cas(w, item, known, row, &detail);

	*ret_refused = !rc && detail;
	if (*ret_refused) {
		item->result = CH_PUT_REJECTED;
		item->problem = "ca-unknown";
		item->detail = detail;
	}
	return rc;
}

/* What is as it was is not looked at: it must not stand in the way of other changes. */
static int check_redirect(struct ch_work *w, struct ch_store_put_item *item,
	const struct ch_name_row *row, bool *ret_refused)
{
	const char *redirect = item->policy[CH_POLICY_REDIRECT];
	const char *why = NULL;
	int rc = CH_OK;

	if (redirect && strcmp(redirect, row->policy[CH_POLICY_REDIRECT]) != 0)
		rc = ch_work_check_redirect(w, item->name, redirect, &why);
	*ret_refused = !rc && why;
	if (*ret_refused)
		reject(item, why);
	return rc;
}

static int put_item(
	struct ch_work *w, struct ch_store_put_item *item, const struct ch_op_put *put)
{
	struct ch_name_row row;
	const char *tenant;
	bool refused;
	bool is_new;
	int rc;

	item->problem = NULL;
	item->detail = NULL;
	item->changed = false;
	if (item->www == CH_TRI_YES && !may_have_www(item))
		return CH_OK;
	rc = ch_ahead_row(w, item->name, &row);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	is_new = rc == CH_ENOTFOUND;
	if (is_new)
		row = (struct ch_name_row){.tenant = CH_STORE_LABEL_DEFAULT};
	tenant = item->tenant ? item->tenant : row.tenant;
	rc = ch_work_check_claim(w, item, tenant, &refused);
	if (!rc && !refused)
		rc = check_cas(w, item, put->known_cas, &row, &refused);
	if (!rc && !refused)
		rc = check_redirect(w, item, &row, &refused);
	if (rc || refused)
		return rc;
	if (is_new) {
		item->result = CH_PUT_CREATED;
		return create_name(w, item, put->keys, usual(w));
	}
	if (row.www_of[0] && leaves_its_group(&row, item)) {
		reject(item, "tenant, pool, upstream, hsts, keys, cas, standby: the name "
			     "shares these with "
			     "the name "
			     "without www.; change that one");
		return CH_OK;
	}
	item->result = CH_PUT_EXISTS;
	return change_name(w, &row, item);
}

int ch_work_put(struct ch_work *w, struct ch_op_put *put)
{
	int rc;

	if (!put->n_items || put->n_items > CH_STORE_PUT_MAX)
		return ch_err_set(&w->op->err, CH_ETOOBIG, "batch-too-large",
			"1 to %d names at a time", CH_STORE_PUT_MAX);
	rc = ch_ahead_ask(w, put->items, put->n_items);
	for (size_t i = 0; !rc && i < put->n_items; i++)
		rc = put_item(w, &put->items[i], put);
	return rc;
}
