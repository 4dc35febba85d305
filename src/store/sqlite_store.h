/* The SQLite backend: one process per file, one writer thread that commits many operations
 * together (sqlite_writer.c), a few connections for reading (sqlite_open.c). */
#ifndef CH_STORE_SQLITE_STORE_H
#define CH_STORE_SQLITE_STORE_H

#include <pthread.h>

#include "store/backend.h"
#include "store/sqlite_db.h"

struct ch_sqlite {
	struct ch_store base; /* first */
	int lock_fd;
	int64_t edge_timeout_ms;
	void (*on_commit)(const struct ch_store_change *change, void *arg);
	void *on_commit_arg;

	struct ch_sq *writer;	/* the writer thread's alone, */
	struct ch_slots *slots; /* and these: sqlite_calendar.h */
	pthread_t thread;
	bool thread_runs;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t queue_cond;
	struct ch_store_op *queue_head;
	struct ch_store_op **queue_tail;
	size_t queue_len;
	size_t queue_max;
	bool closing;

	pthread_cond_t reader_cond;
	struct ch_sq **readers; /* the idle ones, n_idle of them */
	size_t n_idle;
	size_t n_readers;
};

static inline struct ch_sqlite *ch_sqlite_of(struct ch_store *store)
{
	return (struct ch_sqlite *)store;
}

/* ---- sqlite_writer.c ---- */
CH_MUST int ch_sqlite_writer_start(struct ch_sqlite *store);
void ch_sqlite_writer_stop(struct ch_sqlite *store);
int ch_sqlite_submit(struct ch_store *base, struct ch_store_op *op);

/* ---- sqlite_open.c: a read transaction on an idle connection ---- */
CH_MUST int ch_sqlite_read_begin(struct ch_sqlite *store, struct ch_sq **ret_sq);
void ch_sqlite_read_end(struct ch_sqlite *store, struct ch_sq *sq);

/* ---- sqlite_migrate.c: brings the schema to this program's version.  CH_EUNSUPPORTED ---- */
CH_MUST int ch_sqlite_migrate(struct ch_sq *sq, const char *path, struct ch_err *err);

/* ---- the reads of the backend's table ---- */
int ch_sqlite_get_domain(struct ch_store *base, const char *name, struct ch_arena *arena,
	struct ch_store_domain *ret_domain);
int ch_sqlite_list_domains(struct ch_store *base, const struct ch_store_domain_filter *filter,
	struct ch_arena *arena, struct ch_store_domain_page *ret_page);
int ch_sqlite_get_history(struct ch_store *base, const char *name, size_t limit,
	struct ch_arena *arena, struct ch_store_event **ret_events, size_t *ret_n);
int ch_sqlite_get_certs(struct ch_store *base, const char *name, struct ch_arena *arena,
	const struct ch_store_cert **ret_current, const struct ch_store_cert **ret_previous,
	const struct ch_store_cert **ret_second);
int ch_sqlite_get_order(struct ch_store *base, uint64_t id, struct ch_arena *arena,
	struct ch_store_order *ret_order);
int ch_sqlite_list_orders(struct ch_store *base, const struct ch_store_order_filter *filter,
	struct ch_arena *arena, struct ch_store_order_page *ret_page);
int ch_sqlite_read_feed(struct ch_store *base, const char *pool, const char *edge,
	uint64_t after, int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info);
int ch_sqlite_read_records(struct ch_store *base, const struct ch_store_records_filter *filter,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_records_info *ret_info);
int ch_sqlite_pool_head(
	struct ch_store *base, const char *pool, struct ch_store_pool_head *ret_head);
int ch_sqlite_list_pools(struct ch_store *base, const char *pool, struct ch_arena *arena,
	struct ch_store_pool **ret_pools, size_t *ret_n);
int ch_sqlite_list_edges(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_edge **ret_edges, size_t *ret_n);
int ch_sqlite_list_tickets(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_tickets **ret_list, size_t *ret_n);
int ch_sqlite_list_alerts(struct ch_store *base, bool closed_too, size_t limit,
	struct ch_arena *arena, struct ch_store_alert **ret_alerts, size_t *ret_n);
int ch_sqlite_get_danger(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_danger *ret_danger);
int ch_sqlite_get_rekey(struct ch_store *base, struct ch_store_rekey *ret_rekey);
int ch_sqlite_get_limits(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_limits *ret_limits);
int ch_sqlite_next_ask(struct ch_store *base, const char *ca, int64_t *ret_at_ms);
int ch_sqlite_get_calendar(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_calendar *ret_calendar);
int ch_sqlite_next_due(struct ch_store *base, int64_t *ret_at_ms);
int ch_sqlite_get_status(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_status *ret_status);
int ch_sqlite_get_figures(struct ch_store *base, struct ch_store_figures *ret_figures);
int ch_sqlite_list_audit(struct ch_store *base, uint64_t before, size_t limit,
	struct ch_arena *arena, struct ch_store_audit **ret_entries, size_t *ret_n,
	uint64_t *ret_before);

#endif
