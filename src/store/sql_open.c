#include "store/sql_store.h"

#include <stdlib.h>

#include "base/mem.h"

#define DEFAULT_QUEUE 4096
#define DEFAULT_READERS 8

static void on_commit(struct ch_store *base,
	void (*fn)(const struct ch_store_change *change, void *arg), void *arg)
{
	struct ch_sql_store *store = ch_sql_of(base);

	pthread_mutex_lock(&store->lock);
	store->on_commit = fn;
	store->on_commit_arg = arg;
	pthread_mutex_unlock(&store->lock);
}

static const struct ch_store_backend backend = {
	.close = ch_sql_close,
	.on_commit = on_commit,
	.submit = ch_sql_submit,
	.get_domain = ch_sql_get_domain,
	.list_domains = ch_sql_list_domains,
	.get_history = ch_sql_get_history,
	.get_certs = ch_sql_get_certs,
	.get_order = ch_sql_get_order,
	.list_orders = ch_sql_list_orders,
	.read_feed = ch_sql_read_feed,
	.read_records = ch_sql_read_records,
	.pool_head = ch_sql_pool_head,
	.list_pools = ch_sql_list_pools,
	.list_edges = ch_sql_list_edges,
	.list_tickets = ch_sql_list_tickets,
	.list_alerts = ch_sql_list_alerts,
	.list_issuers = ch_sql_list_issuers,
	.get_danger = ch_sql_get_danger,
	.see_wanted = ch_sql_see_wanted,
	.get_rekey = ch_sql_get_rekey,
	.get_limits = ch_sql_get_limits,
	.get_line = ch_sql_get_line,
	.get_queue = ch_sql_get_queue,
	.next_ask = ch_sql_next_ask,
	.get_calendar = ch_sql_get_calendar,
	.next_due = ch_sql_next_due,
	.get_status = ch_sql_get_status,
	.get_figures = ch_sql_get_figures,
	.list_audit = ch_sql_list_audit,
};

void ch_sql_init(struct ch_sql_store *store, const struct ch_sql_kind *kind,
	const struct ch_store_options *options)
{
	pthread_condattr_t monotonic;

	store->base.backend = &backend;
	store->kind = kind;
	store->edge_timeout_ms = options->edge_timeout_ms;
	store->queue_max = options->queue_max ? options->queue_max : DEFAULT_QUEUE;
	store->queue_tail = &store->queue_head;
	pthread_mutex_init(&store->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store->queue_cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&store->reader_cond, NULL);
}

int ch_sql_open_readers(struct ch_sql_store *store, size_t n,
	int (*open)(struct ch_sql_store *store, struct ch_db **ret_db, struct ch_err *err),
	struct ch_err *err)
{
	if (n == 0)
		n = DEFAULT_READERS;
	store->readers = calloc(n, sizeof(struct ch_db *));
	if (!store->readers)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	for (; store->n_readers < n; store->n_readers++) {
		int rc = open(store, &store->readers[store->n_readers], err);

		if (rc)
			return rc;
		store->n_idle++;
	}
	return CH_OK;
}

void ch_sql_close(struct ch_store *base)
{
	struct ch_sql_store *store = ch_sql_of(base);

	ch_sql_writer_stop(store);
	for (size_t i = 0; i < store->n_idle; i++)
		ch_db_close(store->readers[i]);
	free(store->readers);
	ch_db_close(store->writer);
	free(store->slots);
	store->kind->close(store);
	pthread_cond_destroy(&store->queue_cond);
	pthread_cond_destroy(&store->reader_cond);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

int ch_sql_read_begin(struct ch_sql_store *store, struct ch_db **ret_db)
{
	struct ch_db *db;
	int rc;

	pthread_mutex_lock(&store->lock);
	while (!store->n_idle)
		pthread_cond_wait(&store->reader_cond, &store->lock);
	db = store->readers[--store->n_idle];
	pthread_mutex_unlock(&store->lock);
	rc = store->kind->mend(db);
	if (!rc)
		rc = ch_db_run(db, store->kind->begin_read, "");
	if (rc) {
		ch_sql_read_end(store, db);
		return rc;
	}
	*ret_db = db;
	return CH_OK;
}

/* A read transaction has nothing to lose: closing it cannot fail in a way that matters, and a
 * connection that is stuck says so at the next BEGIN. */
void ch_sql_read_end(struct ch_sql_store *store, struct ch_db *db)
{
	if (ch_db_in_transaction(db))
		(void)!ch_db_run(db, "COMMIT", "");
	pthread_mutex_lock(&store->lock);
	store->readers[store->n_idle++] = db;
	pthread_cond_signal(&store->reader_cond);
	pthread_mutex_unlock(&store->lock);
}
