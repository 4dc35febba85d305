#include "store/db_sqlite.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MS 5000

struct sqlite_db {
	struct ch_db base; /* first */
	sqlite3 *db;
};

struct sqlite_stmt {
	struct ch_stmt base; /* first */
	sqlite3_stmt *stmt;
};

static const struct ch_db_driver driver;

sqlite3 *ch_db_sqlite_of(struct ch_db *db)
{
	return ((struct sqlite_db *)db)->db;
}

static sqlite3_stmt *stmt_of(struct ch_stmt *stmt)
{
	return ((struct sqlite_stmt *)stmt)->stmt;
}

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* Counting the memory in use takes a lock of the whole process for each allocation. */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int ch_db_sqlite_open(const char *path, int flags, struct ch_db **ret_db, struct ch_err *err)
{
	struct sqlite_db *db = calloc(1, sizeof(*db));
	int rc;

	if (!db)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	db->base.driver = &driver;
	pthread_once(&configured, configure);
	rc = sqlite3_open_v2(path, &db->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		rc = db->db ? ch_db_err(&db->base, path, err)
			    : ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
		ch_db_close(&db->base);
		return rc;
	}
	sqlite3_extended_result_codes(db->db, 1);
	sqlite3_busy_timeout(db->db, BUSY_MS);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	*ret_db = &db->base;
	return CH_OK;
}

static void sqlite_close(struct ch_db *db)
{
	sqlite3_close(ch_db_sqlite_of(db));
	free(db);
}

/* SQLite knows ENOSPC only.  A quota or a limit on the size of files ends as a plain write
 * error, and errno, which SQLite leaves as the write set it, tells them apart. */
static bool disk_is_full(int extended_rc)
{
	if (extended_rc != SQLITE_IOERR_WRITE && extended_rc != SQLITE_IOERR_SHMSIZE &&
		extended_rc != SQLITE_IOERR_FSYNC)
		return false;
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
}

static int sqlite_rc(struct ch_db *base)
{
	sqlite3 *db = ch_db_sqlite_of(base);

	switch (sqlite3_errcode(db) & 0xff) {
	case SQLITE_OK:
		return CH_OK;
	case SQLITE_FULL:
		return CH_EFULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return CH_ECORRUPT;
	case SQLITE_NOMEM:
		return CH_ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return CH_EAGAIN;
	case SQLITE_TOOBIG:
		return CH_ETOOBIG;
	default:
		return disk_is_full(sqlite3_extended_errcode(db)) ? CH_EFULL : CH_EIO;
	}
}

static const char *sqlite_text_of_error(struct ch_db *db)
{
	return sqlite3_errmsg(ch_db_sqlite_of(db));
}

static int sqlite_script(struct ch_db *db, const char *sql)
{
	return sqlite3_exec(ch_db_sqlite_of(db), sql, NULL, NULL, NULL) == SQLITE_OK
		       ? CH_OK
		       : sqlite_rc(db);
}

static int sqlite_prepare(
	struct ch_db *db, const char *sql, const char *fmt, struct ch_stmt **ret_stmt)
{
	struct sqlite_stmt *stmt = calloc(1, sizeof(*stmt));

	if (!stmt)
		return CH_ENOMEM;
	stmt->base.driver = &driver;
	if (sqlite3_prepare_v3(ch_db_sqlite_of(db), sql, -1, SQLITE_PREPARE_PERSISTENT,
		    &stmt->stmt, NULL) != SQLITE_OK) {
		int rc = sqlite_rc(db);

		free(stmt);
		return rc ? rc : CH_EIO;
	}
	*ret_stmt = &stmt->base;
	return CH_OK;
}

static void sqlite_drop(struct ch_stmt *stmt)
{
	sqlite3_finalize(stmt_of(stmt));
	free(stmt);
}

static int bind_arg(sqlite3_stmt *stmt, int at, const struct ch_db_arg *arg)
{
	if (arg->is_null)
		return sqlite3_bind_null(stmt, at);
	switch (arg->type) {
	case 'i':
	case 'l':
		return sqlite3_bind_int64(stmt, at, arg->i);
	case 't':
		return sqlite3_bind_text64(
			stmt, at, arg->bytes, arg->len, SQLITE_STATIC, SQLITE_UTF8);
	default:
		return sqlite3_bind_blob64(stmt, at, arg->bytes, arg->len, SQLITE_STATIC);
	}
}

static int sqlite_bind(
	struct ch_db *db, struct ch_stmt *stmt, const struct ch_db_arg *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bind_arg(stmt_of(stmt), (int)i + 1, &args[i]) != SQLITE_OK) {
			int rc = sqlite_rc(db);

			return rc ? rc : CH_EINVAL;
		}
	}
	return CH_OK;
}

static int sqlite_step(struct ch_db *db, struct ch_stmt *stmt)
{
	int rc = sqlite3_step(stmt_of(stmt));

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	rc = sqlite_rc(db);
	return rc ? rc : CH_EIO;
}

static int sqlite_run(struct ch_db *db, struct ch_stmt *stmt)
{
	int rc;

	do
		rc = sqlite_step(db, stmt);
	while (rc > 0);
	return rc;
}

static int sqlite_settle(struct ch_db *db)
{
	return CH_OK;
}

static void sqlite_reset(struct ch_stmt *stmt)
{
	sqlite3_reset(stmt_of(stmt));
	sqlite3_clear_bindings(stmt_of(stmt));
}

static int64_t sqlite_changes(struct ch_db *db)
{
	return sqlite3_changes(ch_db_sqlite_of(db));
}

static bool sqlite_in_transaction(struct ch_db *db)
{
	return !sqlite3_get_autocommit(ch_db_sqlite_of(db));
}

static bool sqlite_is_null(struct ch_stmt *stmt, int col)
{
	return sqlite3_column_type(stmt_of(stmt), col) == SQLITE_NULL;
}

static int64_t sqlite_i64(struct ch_stmt *stmt, int col)
{
	return sqlite3_column_int64(stmt_of(stmt), col);
}

static const void *sqlite_bytes(struct ch_stmt *base, int col, size_t *ret_len)
{
	sqlite3_stmt *stmt = stmt_of(base);
	const void *bytes = sqlite3_column_type(stmt, col) == SQLITE_BLOB
				    ? sqlite3_column_blob(stmt, col)
				    : sqlite3_column_text(stmt, col);

	*ret_len = (size_t)sqlite3_column_bytes(stmt, col);
	return bytes;
}

static const struct ch_db_driver driver = {
	.close = sqlite_close,
	.script = sqlite_script,
	.prepare = sqlite_prepare,
	.drop = sqlite_drop,
	.bind = sqlite_bind,
	.step = sqlite_step,
	.run = sqlite_run,
	.settle = sqlite_settle,
	.reset = sqlite_reset,
	.changes = sqlite_changes,
	.in_transaction = sqlite_in_transaction,
	.rc = sqlite_rc,
	.text_of_error = sqlite_text_of_error,
	.is_null = sqlite_is_null,
	.i64 = sqlite_i64,
	.bytes = sqlite_bytes,
};
