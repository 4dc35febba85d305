/* SQLite: one process per file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/db_sqlite.h"
#include "store/migrations.h"
#include "store/sql_calendar.h"
#include "store/sqlite_lock.h"
#include "store/sqlite_migrate.h"

struct sqlite_store {
	struct ch_sql_store sql; /* first */
	int lock_fd;
	const char *path; /* while it is opened */
};

static struct sqlite_store *sqlite_of(struct ch_sql_store *store)
{
	return (struct sqlite_store *)store;
}

/* SQLite gives its -wal and -shm files the mode of the database. */
static int make_private(const char *path, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return ch_err_set(err,
			errno == EACCES || errno == EPERM || errno == EROFS ? CH_EAUTH : CH_EIO,
			"internal", "cannot open %.300s: %s", path, strerror(errno));
	return CH_OK;
}

static void note_change(
	void *arg, int what, const char *schema, const char *table, sqlite3_int64 rowid)
{
	if (strcmp(table, "renewal_slot") == 0)
		ch_slots_changed(arg, rowid);
}

static int open_writer(struct ch_sql_store *store, const char *path, struct ch_err *err)
{
	int rc = ch_db_sqlite_open(path, SQLITE_OPEN_READWRITE, &store->writer, err);

	if (rc)
		return rc;
	if (ch_db_script(store->writer, "PRAGMA journal_mode = WAL;"
					"PRAGMA synchronous = FULL;"
					"PRAGMA cache_size = -32000;"
					"PRAGMA temp_store = MEMORY;"
					"PRAGMA secure_delete = FAST;"
					"PRAGMA wal_autocheckpoint = 16000;"
					"PRAGMA journal_size_limit = 67108864"))
		return ch_db_err(store->writer, path, err);
	rc = ch_sqlite_migrate(store->writer, path, err);
	if (rc)
		return rc;
	store->slots = calloc(1, sizeof(*store->slots));
	if (!store->slots)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	store->slots->is_told = true;
	sqlite3_update_hook(ch_db_sqlite_of(store->writer), note_change, store->slots);
	return CH_OK;
}

static int open_reader(struct ch_sql_store *store, struct ch_db **ret_db, struct ch_err *err)
{
	return ch_db_sqlite_open(sqlite_of(store)->path, SQLITE_OPEN_READONLY, ret_db, err);
}

static int sqlite_mend(struct ch_db *db)
{
	return CH_OK;
}

static int nothing_to_do(struct ch_sql_store *store, struct ch_work *w)
{
	return CH_OK;
}

static void sqlite_close(struct ch_sql_store *store)
{
	if (sqlite_of(store)->lock_fd >= 0)
		close(sqlite_of(store)->lock_fd);
}

static const struct ch_sql_kind sqlite_kind = {
	.begin_read = "BEGIN",
	.begin_write = "BEGIN IMMEDIATE",
	.schema = "PRAGMA user_version",
	.knows = &ch_migrations_sqlite_n,
	.mend = sqlite_mend,
	.begun = nothing_to_do,
	.to_commit = nothing_to_do,
	.close = sqlite_close,
};

static int open_parts(
	struct sqlite_store *store, const struct ch_store_options *options, struct ch_err *err)
{
	int rc = ch_sqlite_lock(store->path, &store->lock_fd, err);

	if (!rc)
		rc = make_private(store->path, err);
	if (!rc)
		rc = open_writer(&store->sql, store->path, err);
	if (!rc)
		rc = ch_sql_open_readers(&store->sql, options->readers, open_reader, err);
	if (!rc && ch_sql_writer_start(&store->sql))
		rc = ch_err_set(err, CH_EIO, "internal", "cannot start the writer thread");
	return rc;
}

int ch_sqlite_open(const char *path, const struct ch_store_options *options,
	struct ch_store **ret_store, struct ch_err *err)
{
	struct sqlite_store *store = calloc(1, sizeof(*store));
	int rc;

	if (!store)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	ch_sql_init(&store->sql, &sqlite_kind, options);
	store->lock_fd = -1;
	store->path = path;
	rc = open_parts(store, options, err);
	store->path = NULL;
	if (rc) {
		ch_sql_close(&store->sql.base);
		return rc;
	}
	*ret_store = &store->sql.base;
	return CH_OK;
}
