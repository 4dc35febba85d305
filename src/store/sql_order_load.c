#include <string.h>

#include "base/clock.h"
#include "pace/calendar.h"
#include "store/sql_work.h"

#define REKEY_WITHIN_MS (4 * CH_HOUR_MS)

static void read_private(
	struct ch_stmt *stmt, struct ch_arena *arena, struct ch_store_order *order, int *rc)
{
	order->acme = ch_db_text(arena, stmt, 14, rc);
	order->csr = ch_db_blob(arena, stmt, 15, &order->csr_len, rc);
	order->sealed = ch_db_blob(arena, stmt, 16, &order->sealed_len, rc);
	order->has_leaf = !ch_db_is_null(stmt, 17);
	if (order->has_leaf)
		ch_db_bytes(stmt, 17, order->leaf_sha256, sizeof(order->leaf_sha256), rc);
}

static void read_order(struct ch_stmt *stmt, int64_t now, struct ch_arena *arena,
	struct ch_store_order *order, int *rc)
{
	char word[16];

	order->id = ch_db_u64(stmt, 0);
	order->fence = ch_db_u64(stmt, 1);
	ch_db_copy(stmt, 2, word, sizeof(word), rc);
	if (ch_order_state_parse(word, &order->state))
		*rc = CH_ECORRUPT;
	order->pool = ch_db_text(arena, stmt, 3, rc);
	order->attempts = ch_db_u64(stmt, 4);
	order->renewal = ch_db_i64(stmt, 5);
	order->next_at_ms = ch_db_i64(stmt, 6);
	order->reason.code = ch_db_text(arena, stmt, 7, rc);
	order->reason.detail = ch_db_text(arena, stmt, 8, rc);
	ch_db_copy(stmt, 9, word, sizeof(word), rc);
	if (order->reason.code && ch_actor_parse(word, &order->reason.actor))
		*rc = CH_ECORRUPT;
	order->lease_until_ms = ch_db_i64(stmt, 11);
	if (order->lease_until_ms > now)
		order->lease_issuer = ch_db_text(arena, stmt, 10, rc);
	else
		order->lease_until_ms = 0;
	order->old.version = ch_db_u64(stmt, 18);
	ch_db_copy(stmt, 19, word, sizeof(word), rc);
	if (ch_key_type_parse(word, &order->key))
		*rc = CH_ECORRUPT;
	order->second = ch_db_i64(stmt, 20);
	order->account = ch_db_text(arena, stmt, 21, rc);
	order->replaces = ch_db_text(arena, stmt, 22, rc);
	order->standby = ch_db_i64(stmt, 23);
	order->old_second.version = ch_db_u64(stmt, 24);
	order->created_at_ms = ch_db_i64(stmt, 12);
	order->updated_at_ms = ch_db_i64(stmt, 13);
}

/* The turn of `rekey`: it has to be replaced within a few hours after it, since a CA is going
 * to revoke it.  Of times that are over the next one holds: it may not have been revoked, and
 * ends some day. */
int64_t ch_db_needed_by(struct ch_stmt *stmt, int first, int64_t now)
{
	const struct ch_calendar_cert cert = {.not_before_ms = ch_db_i64(stmt, first),
		.not_after_ms = ch_db_i64(stmt, first + 1),
		.ari_start_ms = ch_db_i64(stmt, first + 2),
		.ari_end_ms = ch_db_i64(stmt, first + 3)};
	int64_t turn_ms = ch_db_i64(stmt, first + 4);
	int64_t by_ms = cert.not_after_ms ? ch_calendar_needed_by_ms(&cert) : 0;
	int64_t rekey_ms = turn_ms ? turn_ms + REKEY_WITHIN_MS : 0;

	if (by_ms <= now)
		by_ms = cert.not_after_ms;
	if (rekey_ms && (!by_ms || (rekey_ms < by_ms && rekey_ms > now)))
		by_ms = rekey_ms;
	return by_ms;
}

static const char names_sql[] =
	"SELECT o.name, o.gone, iif(?3, iif(?2, n.second_standby_failures, "
	"n.standby_failures), iif(?2, n.second_failures, n.failures)), "
	"iif(?2 OR ?3, 0, n.checks_failed), n.away_since, nullif(n.cas, ''), "
	"c.not_before, c.not_after, c.ari_start, c.ari_end, r.at FROM order_name o "
	"LEFT JOIN name n ON n.name = o.name "
	"LEFT JOIN cert c ON NOT ?3 AND c.version = iif(?2, n.second_cert, n.cert) "
	"LEFT JOIN rekey r ON NOT ?3 AND r.name = o.name AND r.second = iif(?2, 1, 0) "
	"WHERE o.order_id = ?1 "
	"ORDER BY length(o.name), o.name";
static const char order_sql[] =
	"SELECT id, fence, state, pool, attempts, renewal, next_at, code, detail, "
	"actor, "
	"lease_issuer, lease_until, created_at, updated_at, acme, csr, sealed, "
	"leaf_sha256, rollback, key, second, paced, replaces, standby, "
	"rollback_second FROM orders WHERE id = ?";

int ch_db_order_ask(struct ch_db *db, uint64_t id, bool second, bool standby)
{
	int rc = ch_db_ask(db, order_sql, "i", id);

	return rc ? rc : ch_db_ask(db, names_sql, "ill", id, (int64_t)second, (int64_t)standby);
}

static int read_names(
	struct ch_db *db, int64_t now, struct ch_arena *arena, struct ch_store_order *order)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, names_sql, "ill", order->id, (int64_t)order->second,
		(int64_t)order->standby);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		struct ch_store_order_name *name = &order->names[order->n_names];

		if (order->n_names++ == CH_STORE_ORDER_NAMES_MAX)
			return CH_ECORRUPT;
		rc = CH_OK;
		name->name = ch_db_text(arena, stmt, 0, &rc);
		name->gone = ch_db_i64(stmt, 1);
		name->failures = ch_db_u64(stmt, 2);
		name->checks_failed = ch_db_u64(stmt, 3);
		name->away_since_ms = ch_db_i64(stmt, 4);
		name->needed_by_ms = ch_db_needed_by(stmt, 6, now);
		if (!order->cas)
			order->cas = ch_db_text(arena, stmt, 5, &rc);
	}
	return rc;
}

static int read_row(struct ch_db *db, uint64_t id, int64_t now, bool private_parts,
	struct ch_arena *arena, struct ch_store_order *order)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, order_sql, "i", id);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	read_order(stmt, now, arena, order, &rc);
	if (private_parts)
		read_private(stmt, arena, order, &rc);
	return rc;
}

int ch_db_order_load(struct ch_db *db, uint64_t id, int64_t now, bool private_parts,
	struct ch_arena *arena, struct ch_store_order *ret_order)
{
	struct ch_store_order order = {0};
	int rc = read_row(db, id, now, private_parts, arena, &order);

	if (!rc)
		rc = read_names(db, now, arena, &order);
	if (!rc)
		*ret_order = order;
	return rc;
}
