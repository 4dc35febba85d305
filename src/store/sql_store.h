/* A backend over SQL, SQLite or PostgreSQL: one writer thread that commits many operations
 * together (sql_writer.c), a few connections for reading (sql_open.c).  What the two do in ways
 * of their own is in struct ch_sql_kind. */
#ifndef CH_STORE_SQL_STORE_H
#define CH_STORE_SQL_STORE_H

#include <pthread.h>

#include "store/backend.h"
#include "store/db.h"

struct ch_sql_store;
struct ch_work;

struct ch_sql_kind {
	const char *begin_read;
	const char *begin_write;
	const char *schema;    /* a query for the number of the schema */
	const unsigned *knows; /* this program's own */
	/* Between transactions: a lost connection is made anew.  CH_EAGAIN: it cannot be. */
	int (*mend)(struct ch_db *db);
	/* Counts what the database has refused so far: for one that is asked much ahead and
	 * waited for little.  NULL: it answers at once. */
	uint64_t (*refusals)(struct ch_db *db);
	/* Within the writer's transaction: right after it began, and before it is committed. */
	int (*begun)(struct ch_sql_store *store, struct ch_work *w);
	int (*to_commit)(struct ch_sql_store *store, struct ch_work *w);
	/* It was rolled back as a whole; NULL: nothing to do. */
	void (*rolled_back)(struct ch_sql_store *store);
	/* After writer and readers are closed. */
	void (*close)(struct ch_sql_store *store);
};

/* What makes the writer go on at once: any operation, one that is not to wait, many. */
enum ch_sql_awaits { CH_AWAITS_ANY, CH_AWAITS_HASTE, CH_AWAITS_CROWD };

struct ch_sql_store {
	struct ch_store base; /* first */
	const struct ch_sql_kind *kind;
	int64_t edge_timeout_ms;
	void (*on_commit)(const struct ch_store_change *change, void *arg);
	void *on_commit_arg;

	struct ch_db *writer;	/* the writer thread's alone, */
	struct ch_slots *slots; /* and these: sql_calendar.h */
	unsigned careful;	/* and this: batches in which each operation is settled */
	pthread_t thread;
	bool thread_runs;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t queue_cond;
	struct ch_store_op *queue_head;
	struct ch_store_op **queue_tail;
	size_t queue_len;
	size_t queue_hasty; /* of them: somebody waits for the answer */
	size_t queue_max;
	enum ch_sql_awaits awaits;
	bool closing;

	pthread_cond_t reader_cond;
	struct ch_db **readers; /* the idle ones, n_idle of them */
	size_t n_idle;
	size_t n_readers;
};

static inline struct ch_sql_store *ch_sql_of(struct ch_store *store)
{
	return (struct ch_sql_store *)store;
}

/* ---- sql_writer.c ---- */
CH_MUST int ch_sql_writer_start(struct ch_sql_store *store);
void ch_sql_writer_stop(struct ch_sql_store *store);
int ch_sql_submit(struct ch_store *base, struct ch_store_op *op);
/* Tells whoever waits for changes. */
void ch_sql_announce(struct ch_sql_store *store, const struct ch_store_change *change);

/* ---- sql_open.c ---- */
/* A backend's own struct, which begins with *store and is all zero: it has writer and slots
 * when this is called, and is freed by ch_sql_close or, when that fails, by it too. */
void ch_sql_init(struct ch_sql_store *store, const struct ch_sql_kind *kind,
	const struct ch_store_options *options);
CH_MUST int ch_sql_open_readers(struct ch_sql_store *store, size_t n,
	int (*open)(struct ch_sql_store *store, struct ch_db **ret_db, struct ch_err *err),
	struct ch_err *err);
void ch_sql_close(struct ch_store *base);

/* A read transaction on an idle connection. */
CH_MUST int ch_sql_read_begin(struct ch_sql_store *store, struct ch_db **ret_db);
void ch_sql_read_end(struct ch_sql_store *store, struct ch_db *db);

/* ---- the reads of the backend's table ---- */
int ch_sql_get_domain(struct ch_store *base, const char *name, struct ch_arena *arena,
	struct ch_store_domain *ret_domain);
int ch_sql_list_domains(struct ch_store *base, const struct ch_store_domain_filter *filter,
	struct ch_arena *arena, struct ch_store_domain_page *ret_page);
int ch_sql_get_history(struct ch_store *base, const char *name, size_t limit,
	struct ch_arena *arena, struct ch_store_event **ret_events, size_t *ret_n);
int ch_sql_get_certs(struct ch_store *base, const char *name, struct ch_arena *arena,
	struct ch_store_certs *ret_certs);
int ch_sql_get_order(struct ch_store *base, uint64_t id, struct ch_arena *arena,
	struct ch_store_order *ret_order);
int ch_sql_list_orders(struct ch_store *base, const struct ch_store_order_filter *filter,
	struct ch_arena *arena, struct ch_store_order_page *ret_page);
int ch_sql_read_feed(struct ch_store *base, const char *pool, const char *edge, uint64_t after,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info);
int ch_sql_read_records(struct ch_store *base, const struct ch_store_records_filter *filter,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_records_info *ret_info);
int ch_sql_pool_head(
	struct ch_store *base, const char *pool, struct ch_store_pool_head *ret_head);
int ch_sql_list_pools(struct ch_store *base, const char *pool, struct ch_arena *arena,
	struct ch_store_pool **ret_pools, size_t *ret_n);
int ch_sql_list_edges(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_edge **ret_edges, size_t *ret_n);
int ch_sql_list_tickets(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_tickets **ret_list, size_t *ret_n);
int ch_sql_list_alerts(struct ch_store *base, bool closed_too, size_t limit,
	struct ch_arena *arena, struct ch_store_alert **ret_alerts, size_t *ret_n);
int ch_sql_list_issuers(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_issuer **ret_issuers, size_t *ret_n);
int ch_sql_get_danger(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_danger *ret_danger);
int ch_sql_see_wanted(struct ch_store *base, const struct ch_op_wanted *wanted,
	struct ch_arena *arena, struct ch_store_wanted *ret_wanted);
int ch_sql_get_rekey(struct ch_store *base, struct ch_store_rekey *ret_rekey);
int ch_sql_get_queue(struct ch_store *base, const struct ch_store_pace *paces, size_t n_paces,
	struct ch_arena *arena, struct ch_store_queue *ret_queue);
int ch_sql_get_limits(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_limits *ret_limits);
int ch_sql_get_line(struct ch_store *base, struct ch_store_line *ret_line);
int ch_sql_next_ask(struct ch_store *base, const char *ca, int64_t *ret_at_ms);
int ch_sql_get_calendar(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_calendar *ret_calendar);
int ch_sql_next_due(struct ch_store *base, int64_t *ret_at_ms);
int ch_sql_get_status(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_status *ret_status);
int ch_sql_get_figures(struct ch_store *base, struct ch_store_figures *ret_figures);
int ch_sql_list_audit(struct ch_store *base, uint64_t before, size_t limit,
	struct ch_arena *arena, struct ch_store_audit **ret_entries, size_t *ret_n,
	uint64_t *ret_before);

#endif
