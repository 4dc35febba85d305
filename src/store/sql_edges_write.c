/* CH_OP_EDGE_ACK, CH_OP_EDGE_FORGET, and how far the edges are with an order's names. */
#include <string.h>

#include "store/sql_work.h"

#define EDGES_MAX 100000

struct edge_seen {
	const char *id; /* "edge/<pool>/<id>" */
	uint64_t seq;	/* 0 in another epoch */
	struct edge_seen *next;
};

struct ch_work_edges {
	const char *pool;
	struct edge_seen *first;
	size_t n;
};

static const char edges_sql[] = "SELECT id, seq, epoch FROM edge WHERE pool = ? AND "
				"seen_at >= ? ORDER BY id LIMIT ?";
static const char newest_sql[] =
	"SELECT max(seq) FROM edge_record WHERE name IN (?1, ?1 || '/6', ?1 || '/7') AND "
	"pool = ?2";

int ch_work_edges_ask(struct ch_work *w, const char *pool, const struct ch_order_names *names)
{
	int rc = ch_db_ask(
		w->db, edges_sql, "tii", pool, w->now - w->edge_timeout_ms, (int64_t)EDGES_MAX);

	for (size_t i = 0; !rc && i < names->n; i++) {
		const char *name = names->rows[i].name;

		if (names->rows[i].gone)
			continue;
		rc = ch_work_held_ask(w, pool, name);
		if (!rc)
			rc = ch_db_ask(w->db, newest_sql, "tt", name, pool);
	}
	return rc;
}

static int load_edges(struct ch_work *w, const char *pool, struct ch_work_edges *edges)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_arena *arena = w->op->arena;
	struct edge_seen **tail = &edges->first;
	int rc = ch_db_query(w->db, &stmt, edges_sql, "tii", pool, w->now - w->edge_timeout_ms,
		(int64_t)EDGES_MAX);

	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		struct edge_seen *edge = ch_arena_alloc(arena, sizeof(*edge));
		uint8_t epoch[CH_EPOCH_B];

		rc = CH_OK;
		if (!edge)
			return CH_ENOMEM;
		edge->id = ch_arena_fmt(
			arena, "edge/%s/%s", pool, (const char *)ch_db_col_text(stmt, 0));
		if (!edge->id)
			return CH_ENOMEM;
		ch_db_bytes(stmt, 2, epoch, sizeof(epoch), &rc);
		if (memcmp(epoch, w->epoch, sizeof(epoch)) == 0)
			edge->seq = ch_db_u64(stmt, 1);
		*tail = edge;
		tail = &edge->next;
		edges->n++;
	}
	return rc;
}

/* Orders of one lease are mostly of one pool: its edges are read once. */
static int edges_of(struct ch_work *w, const char *pool, struct ch_work_edges **ret_edges)
{
	struct ch_work_edges *edges = w->edges;
	int rc;

	if (edges && strcmp(edges->pool, pool) == 0) {
		*ret_edges = edges;
		return CH_OK;
	}
	edges = ch_arena_alloc(w->op->arena, sizeof(*edges));
	if (!edges)
		return CH_ENOMEM;
	edges->pool = ch_arena_str(w->op->arena, pool);
	if (!edges->pool)
		return CH_ENOMEM;
	rc = load_edges(w, pool, edges);
	if (rc)
		return rc;
	w->edges = edges;
	*ret_edges = edges;
	return CH_OK;
}

/* The sequence number that an edge must have reached: none can while a record is held back. */
static int needed_seq(struct ch_work *w, const char *pool, const struct ch_order_names *names,
	uint64_t *ret_seq, struct ch_store_reason *ret_held)
{
	uint64_t needed = 0;

	for (size_t i = 0; i < names->n; i++) {
		int64_t seq;
		bool held;
		int rc;

		if (names->rows[i].gone)
			continue;
		rc = ch_work_held_reason(w, pool, names->rows[i].name, &held, ret_held);
		if (rc)
			return rc;
		if (held) {
			needed = UINT64_MAX;
			continue;
		}
		rc = ch_db_get_i64(w->db, &seq, newest_sql, "tt", names->rows[i].name, pool);
		if (rc)
			return rc == CH_ENOTFOUND ? CH_ECORRUPT : rc;
		if ((uint64_t)seq > needed)
			needed = (uint64_t)seq;
	}
	*ret_seq = needed;
	return CH_OK;
}

int ch_work_edges_state(struct ch_work *w, const char *pool, const struct ch_order_names *names,
	struct ch_store_edges_state *ret_state)
{
	struct ch_store_edges_state state = {0};
	struct ch_work_edges *edges;
	const char **behind;
	uint64_t needed;
	int rc = edges_of(w, pool, &edges);

	if (!rc)
		rc = needed_seq(w, pool, names, &needed, &state.held);
	if (rc)
		return rc;
	behind = ch_arena_array(w->op->arena, CH_STORE_BEHIND_MAX, sizeof(*behind));
	if (!behind)
		return CH_ENOMEM;
	state.known = edges->n;
	state.ready = edges->n > 0;
	state.behind = behind;
	for (const struct edge_seen *edge = edges->first; edge; edge = edge->next) {
		if (edge->seq >= needed) {
			state.caught_up++;
			continue;
		}
		state.ready = false;
		if (state.n_behind < CH_STORE_BEHIND_MAX)
			behind[state.n_behind++] = edge->id;
	}
	*ret_state = state;
	return CH_OK;
}

int ch_work_order_answer(struct ch_work *w, const struct ch_order_row *order,
	struct ch_store_order_answer *ret_answer)
{
	struct ch_store_order_answer answer = {
		.id = order->id, .fence = order->fence, .state = order->state};
	struct ch_order_names names;
	int rc = CH_OK;

	if (!order->ended_at) {
		rc = ch_order_names_load(w->db, order->id, &names);
		if (!rc)
			rc = ch_work_edges_ask(w, order->pool, &names);
		if (!rc)
			rc = ch_work_edges_state(w, order->pool, &names, &answer.edges);
	}
	if (!rc)
		*ret_answer = answer;
	return rc;
}

static int check_ack(struct ch_work *w, const struct ch_op_edge_ack *ack)
{
	if (memcmp(ack->epoch, w->epoch, CH_EPOCH_B) == 0 && ack->seq > w->tx.head)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-cursor",
			"the cursor is ahead of the feed");
	return CH_OK;
}

int ch_work_edge_ack(struct ch_work *w, struct ch_op_edge_ack *ack)
{
	const char *error = ack->error ? ch_work_cut(w, ack->error, CH_STORE_DETAIL_MAX) : NULL;
	int rc = check_ack(w, ack);

	if (!rc)
		rc = ch_work_canary_ack(w, ack);
	if (rc)
		return rc;
	w->tx.changed = true;
	w->tx.change.acks = true;
	return ch_db_run(w->db,
		"INSERT INTO edge (pool, id, epoch, seq, names, software, error, seen_at) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (pool, id) DO UPDATE SET "
		"epoch = ?3, seq = ?4, names = ?5, software = ?6, error = ?7, seen_at = ?8",
		"ttbiitti", ack->pool, ack->id, ack->epoch, sizeof(ack->epoch), ack->seq,
		ack->names, ch_work_cut(w, ack->software, CH_STORE_DETAIL_MAX), error, w->now);
}

int ch_work_edge_forget(struct ch_work *w, const struct ch_op_edge_forget *forget)
{
	const char *target = ch_arena_fmt(w->op->arena, "edge/%s/%s", forget->pool, forget->id);
	int rc;

	if (!target)
		return CH_ENOMEM;
	rc = ch_db_run(w->db, "DELETE FROM edge WHERE pool = ? AND id = ?", "tt", forget->pool,
		forget->id);
	if (rc)
		return rc;
	if (!ch_db_changes(w->db))
		return ch_err_set(
			&w->op->err, CH_ENOTFOUND, "edge-not-found", "there is no %s", target);
	return ch_work_audit(w, "edge.forget", target);
}
