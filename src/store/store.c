/* Chooses the backend and hands every call to it. */
#include "base/clock.h"
#include "store/store.h"

#include <pthread.h>
#include <string.h>

#include "store/backend.h"

int ch_store_open(
	const struct ch_store_options *options, struct ch_store **ret_store, struct ch_err *err)
{
	const char *database = options->database;

	if (strncmp(database, "sqlite:", 7) == 0 && database[7])
		return ch_sqlite_open(database + 7, options, ret_store, err);
	if (strncmp(database, "postgresql://", 13) == 0 && database[13])
		return ch_postgres_open(database, options, ret_store, err);
	return ch_err_set(err, CH_EUNSUPPORTED, "bad-database",
		"the database is neither of the form sqlite:PATH nor postgresql://…");
}

void ch_store_close(struct ch_store *store)
{
	if (store)
		store->backend->close(store);
}

void ch_store_on_commit(struct ch_store *store,
	void (*fn)(const struct ch_store_change *change, void *arg), void *arg)
{
	store->backend->on_commit(store, fn, arg);
}

int ch_store_submit(struct ch_store *store, struct ch_store_op *op)
{
	memset(&op->err, 0, sizeof(op->err));
	op->rc = CH_OK;
	return store->backend->submit(store, op);
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void wake(struct ch_store_op *op, void *user)
{
	struct waiter *waiter = user;

	pthread_mutex_lock(&waiter->lock);
	waiter->done = true;
	pthread_cond_signal(&waiter->cond);
	pthread_mutex_unlock(&waiter->lock);
}

int ch_store_run(struct ch_store *store, struct ch_store_op *op)
{
	struct waiter waiter = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
	int rc;

	op->done = wake;
	op->user = &waiter;
	rc = ch_store_submit(store, op);
	if (rc == CH_OK) {
		pthread_mutex_lock(&waiter.lock);
		while (!waiter.done)
			pthread_cond_wait(&waiter.cond, &waiter.lock);
		pthread_mutex_unlock(&waiter.lock);
		rc = op->rc;
	}
	pthread_cond_destroy(&waiter.cond);
	pthread_mutex_destroy(&waiter.lock);
	return rc;
}

int ch_store_get_domain(struct ch_store *store, const char *name, struct ch_arena *arena,
	struct ch_store_domain *ret_domain)
{
	return store->backend->get_domain(store, name, arena, ret_domain);
}

int ch_store_list_domains(struct ch_store *store, const struct ch_store_domain_filter *filter,
	struct ch_arena *arena, struct ch_store_domain_page *ret_page)
{
	if (!filter->limit || filter->limit > CH_STORE_LIST_MAX)
		return CH_EINVAL;
	return store->backend->list_domains(store, filter, arena, ret_page);
}

int ch_store_get_history(struct ch_store *store, const char *name, size_t limit,
	struct ch_arena *arena, struct ch_store_event **ret_events, size_t *ret_n)
{
	if (!limit || limit > CH_STORE_LIST_MAX)
		return CH_EINVAL;
	return store->backend->get_history(store, name, limit, arena, ret_events, ret_n);
}

int ch_store_get_certs(struct ch_store *store, const char *name, struct ch_arena *arena,
	struct ch_store_certs *ret_certs)
{
	return store->backend->get_certs(store, name, arena, ret_certs);
}

int ch_store_get_order(struct ch_store *store, uint64_t id, struct ch_arena *arena,
	struct ch_store_order *ret_order)
{
	return store->backend->get_order(store, id, arena, ret_order);
}

int ch_store_list_orders(struct ch_store *store, const struct ch_store_order_filter *filter,
	struct ch_arena *arena, struct ch_store_order_page *ret_page)
{
	if (!filter->limit || filter->limit > CH_STORE_LIST_MAX)
		return CH_EINVAL;
	return store->backend->list_orders(store, filter, arena, ret_page);
}

int ch_store_read_feed(struct ch_store *store, const char *pool, uint64_t after,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info)
{
	return store->backend->read_feed(store, pool, NULL, after, row, arg, ret_info);
}

int ch_store_read_feed_as(struct ch_store *store, const char *pool, const char *edge,
	uint64_t after, int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info)
{
	return store->backend->read_feed(store, pool, edge, after, row, arg, ret_info);
}

int ch_store_read_records(struct ch_store *store, const struct ch_store_records_filter *filter,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_records_info *ret_info)
{
	if (!filter->limit || filter->limit > CH_STORE_RECORDS_MAX)
		return CH_EINVAL;
	return store->backend->read_records(store, filter, row, arg, ret_info);
}

int ch_store_pool_head(
	struct ch_store *store, const char *pool, struct ch_store_pool_head *ret_head)
{
	return store->backend->pool_head(store, pool, ret_head);
}

int ch_store_list_pools(struct ch_store *store, const char *pool, struct ch_arena *arena,
	struct ch_store_pool **ret_pools, size_t *ret_n)
{
	return store->backend->list_pools(store, pool, arena, ret_pools, ret_n);
}

int ch_store_list_edges(struct ch_store *store, struct ch_arena *arena,
	struct ch_store_edge **ret_edges, size_t *ret_n)
{
	return store->backend->list_edges(store, arena, ret_edges, ret_n);
}

int ch_store_list_tickets(struct ch_store *store, struct ch_arena *arena,
	struct ch_store_tickets **ret_list, size_t *ret_n)
{
	return store->backend->list_tickets(store, arena, ret_list, ret_n);
}

int ch_store_list_alerts(struct ch_store *store, bool closed_too, size_t limit,
	struct ch_arena *arena, struct ch_store_alert **ret_alerts, size_t *ret_n)
{
	return store->backend->list_alerts(store, closed_too, limit, arena, ret_alerts, ret_n);
}

int ch_store_list_issuers(struct ch_store *store, struct ch_arena *arena,
	struct ch_store_issuer **ret_issuers, size_t *ret_n)
{
	return store->backend->list_issuers(store, arena, ret_issuers, ret_n);
}

int ch_store_get_danger(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_danger *ret_danger)
{
	return store->backend->get_danger(store, arena, ret_danger);
}

int ch_store_get_rekey(struct ch_store *store, struct ch_store_rekey *ret_rekey)
{
	return store->backend->get_rekey(store, ret_rekey);
}

int ch_store_see_wanted(struct ch_store *store, const struct ch_op_wanted *wanted,
	struct ch_arena *arena, struct ch_store_wanted *ret_wanted)
{
	if (!wanted->n_names || wanted->n_names > CH_STORE_WANTED_MAX)
		return CH_EINVAL;
	return store->backend->see_wanted(store, wanted, arena, ret_wanted);
}

int ch_store_get_limits(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_limits *ret_limits)
{
	return store->backend->get_limits(store, arena, ret_limits);
}

int ch_store_get_line(struct ch_store *store, struct ch_store_line *ret_line)
{
	return store->backend->get_line(store, ret_line);
}

int ch_store_get_queue(struct ch_store *store, const struct ch_store_pace *paces,
	size_t n_paces, struct ch_arena *arena, struct ch_store_queue *ret_queue)
{
	return store->backend->get_queue(store, paces, n_paces, arena, ret_queue);
}

int ch_store_next_due(struct ch_store *store, int64_t *ret_at_ms)
{
	return store->backend->next_due(store, ret_at_ms);
}

int ch_store_next_ask(struct ch_store *store, const char *ca, int64_t *ret_at_ms)
{
	return store->backend->next_ask(store, ca, ret_at_ms);
}

int ch_store_get_calendar(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_calendar *ret_calendar)
{
	return store->backend->get_calendar(store, arena, ret_calendar);
}

int ch_store_get_status(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_status *ret_status)
{
	return store->backend->get_status(store, arena, ret_status);
}

const int64_t ch_store_ending_ms[CH_STORE_ENDING_N] = {CH_DAY_MS, 3 * CH_DAY_MS, 7 * CH_DAY_MS};

int ch_store_get_figures(struct ch_store *store, struct ch_store_figures *ret_figures)
{
	return store->backend->get_figures(store, ret_figures);
}

int ch_store_list_audit(struct ch_store *store, uint64_t before, size_t limit,
	struct ch_arena *arena, struct ch_store_audit **ret_entries, size_t *ret_n,
	uint64_t *ret_before)
{
	if (!limit || limit > CH_STORE_LIST_MAX)
		return CH_EINVAL;
	return store->backend->list_audit(
		store, before, limit, arena, ret_entries, ret_n, ret_before);
}
