#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/sqlite_calendar.h"

#define DEFAULT_QUEUE 4096
#define DEFAULT_READERS 8

/* The lock is a file of its own: SQLite loses its locks when somebody in the process closes
 * another descriptor of the database. */
static int take_lock(const char *path, int *ret_fd, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = -1;
	char lock_path[4096];

	if ((size_t)snprintf(lock_path, sizeof(lock_path), "%s.lock", path) >=
		sizeof(lock_path))
		return ch_err_set(err, CH_EINVAL, "bad-database", "the path is too long");
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return ch_err_set(err, CH_EIO, "internal", "cannot open %.300s: %s", lock_path,
			strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return ch_err_set(err, CH_ECONFLICT, "database-in-use",
			"another certherd store uses %.300s: an SQLite database serves one",
			path);
	*ret_fd = fd;
	fd = -1;
	return CH_OK;
}

/* SQLite gives its -wal and -shm files the mode of the database. */
static int make_private(const char *path, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return ch_err_set(err, CH_EIO, "internal", "cannot open %.300s: %s", path,
			strerror(errno));
	return CH_OK;
}

static int open_writer(struct ch_sqlite *store, const char *path, struct ch_err *err)
{
	int rc = ch_sq_open(path, SQLITE_OPEN_READWRITE, &store->writer, err);

	if (rc)
		return rc;
	if (ch_sq_script(store->writer, "PRAGMA journal_mode = WAL;"
					"PRAGMA synchronous = FULL;"
					"PRAGMA cache_size = -32000;"
					"PRAGMA temp_store = MEMORY;"
					"PRAGMA secure_delete = FAST;"
					"PRAGMA wal_autocheckpoint = 16000;"
					"PRAGMA journal_size_limit = 67108864"))
		return ch_sq_err(store->writer, path, err);
	rc = ch_sqlite_migrate(store->writer, path, err);
	if (rc)
		return rc;
	store->slots = calloc(1, sizeof(*store->slots));
	if (!store->slots)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	ch_slots_watch(store->slots, store->writer);
	return CH_OK;
}

static int open_readers(struct ch_sqlite *store, const char *path, size_t n, struct ch_err *err)
{
	store->readers = calloc(n, sizeof(struct ch_sq *));
	if (!store->readers)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	for (; store->n_readers < n; store->n_readers++) {
		int rc = ch_sq_open(
			path, SQLITE_OPEN_READONLY, &store->readers[store->n_readers], err);

		if (rc)
			return rc;
		store->n_idle++;
	}
	return CH_OK;
}

static void sqlite_close(struct ch_store *base)
{
	struct ch_sqlite *store = ch_sqlite_of(base);

	ch_sqlite_writer_stop(store);
	for (size_t i = 0; i < store->n_idle; i++)
		ch_sq_close(store->readers[i]);
	free(store->readers);
	ch_sq_close(store->writer);
	free(store->slots);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_cond_destroy(&store->queue_cond);
	pthread_cond_destroy(&store->reader_cond);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

static void sqlite_on_commit(struct ch_store *base,
	void (*fn)(const struct ch_store_change *change, void *arg), void *arg)
{
	struct ch_sqlite *store = ch_sqlite_of(base);

	pthread_mutex_lock(&store->lock);
	store->on_commit = fn;
	store->on_commit_arg = arg;
	pthread_mutex_unlock(&store->lock);
}

static const struct ch_store_backend sqlite_backend = {
	.close = sqlite_close,
	.on_commit = sqlite_on_commit,
	.submit = ch_sqlite_submit,
	.get_domain = ch_sqlite_get_domain,
	.list_domains = ch_sqlite_list_domains,
	.get_history = ch_sqlite_get_history,
	.get_certs = ch_sqlite_get_certs,
	.get_order = ch_sqlite_get_order,
	.list_orders = ch_sqlite_list_orders,
	.read_feed = ch_sqlite_read_feed,
	.read_records = ch_sqlite_read_records,
	.pool_head = ch_sqlite_pool_head,
	.list_pools = ch_sqlite_list_pools,
	.list_edges = ch_sqlite_list_edges,
	.list_tickets = ch_sqlite_list_tickets,
	.list_alerts = ch_sqlite_list_alerts,
	.get_danger = ch_sqlite_get_danger,
	.get_rekey = ch_sqlite_get_rekey,
	.get_limits = ch_sqlite_get_limits,
	.next_ask = ch_sqlite_next_ask,
	.get_calendar = ch_sqlite_get_calendar,
	.next_due = ch_sqlite_next_due,
	.get_status = ch_sqlite_get_status,
	.get_figures = ch_sqlite_get_figures,
	.list_audit = ch_sqlite_list_audit,
};

static int open_parts(struct ch_sqlite *store, const char *path,
	const struct ch_store_options *options, struct ch_err *err)
{
	int rc = take_lock(path, &store->lock_fd, err);

	if (!rc)
		rc = make_private(path, err);
	if (!rc)
		rc = open_writer(store, path, err);
	if (!rc)
		rc = open_readers(store, path,
			options->readers ? options->readers : DEFAULT_READERS, err);
	if (!rc && ch_sqlite_writer_start(store))
		rc = ch_err_set(err, CH_EIO, "internal", "cannot start the writer thread");
	return rc;
}

int ch_sqlite_open(const char *path, const struct ch_store_options *options,
	struct ch_store **ret_store, struct ch_err *err)
{
	struct ch_sqlite *store = calloc(1, sizeof(*store));
	int rc;

	if (!store)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	store->base.backend = &sqlite_backend;
	store->lock_fd = -1;
	store->edge_timeout_ms = options->edge_timeout_ms;
	store->queue_max = options->queue_max ? options->queue_max : DEFAULT_QUEUE;
	store->queue_tail = &store->queue_head;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->queue_cond, NULL);
	pthread_cond_init(&store->reader_cond, NULL);
	rc = open_parts(store, path, options, err);
	if (rc) {
		sqlite_close(&store->base);
		return rc;
	}
	*ret_store = &store->base;
	return CH_OK;
}

int ch_sqlite_read_begin(struct ch_sqlite *store, struct ch_sq **ret_sq)
{
	struct ch_sq *sq;
	int rc;

	pthread_mutex_lock(&store->lock);
	while (!store->n_idle)
		pthread_cond_wait(&store->reader_cond, &store->lock);
	sq = store->readers[--store->n_idle];
	pthread_mutex_unlock(&store->lock);
	rc = ch_sq_run(sq, "BEGIN", "");
	if (rc) {
		ch_sqlite_read_end(store, sq);
		return rc;
	}
	*ret_sq = sq;
	return CH_OK;
}

/* A read transaction has nothing to lose: closing it cannot fail in a way that matters, and a
 * connection that is stuck says so at the next BEGIN. */
void ch_sqlite_read_end(struct ch_sqlite *store, struct ch_sq *sq)
{
	if (!sqlite3_get_autocommit(sq->db))
		(void)!ch_sq_run(sq, "COMMIT", "");
	pthread_mutex_lock(&store->lock);
	store->readers[store->n_idle++] = sq;
	pthread_cond_signal(&store->reader_cond);
	pthread_mutex_unlock(&store->lock);
}
