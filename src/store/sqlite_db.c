#include "store/sqlite_db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define BUSY_MS 5000

int ch_sq_open(const char *path, int flags, struct ch_sq **ret_sq, struct ch_err *err)
{
	struct ch_sq *sq = calloc(1, sizeof(*sq));
	int rc;

	if (!sq)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	rc = sqlite3_open_v2(path, &sq->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		rc = sq->db ? ch_sq_err(sq, path, err)
			    : ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
		ch_sq_close(sq);
		return rc;
	}
	sqlite3_extended_result_codes(sq->db, 1);
	sqlite3_busy_timeout(sq->db, BUSY_MS);
	sqlite3_db_config(sq->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(sq->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	*ret_sq = sq;
	return CH_OK;
}

void ch_sq_close(struct ch_sq *sq)
{
	if (!sq)
		return;
	for (size_t i = 0; i < CH_SQ_CACHE; i++)
		sqlite3_finalize(sq->cache[i].stmt);
	sqlite3_close(sq->db);
	free(sq);
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

int ch_sq_rc(struct ch_sq *sq)
{
	switch (sqlite3_errcode(sq->db) & 0xff) {
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
		return disk_is_full(sqlite3_extended_errcode(sq->db)) ? CH_EFULL : CH_EIO;
	}
}

int ch_sq_err(struct ch_sq *sq, const char *doing, struct ch_err *err)
{
	int rc = ch_sq_rc(sq);

	if (rc == CH_OK)
		rc = CH_EIO;
	return ch_err_set(err, rc, "internal", "%.300s: %s", doing, sqlite3_errmsg(sq->db));
}

int ch_sq_script(struct ch_sq *sq, const char *sql)
{
	return sqlite3_exec(sq->db, sql, NULL, NULL, NULL) == SQLITE_OK ? CH_OK : ch_sq_rc(sq);
}

static size_t slot_of(const char *sql)
{
	return (size_t)(((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 56) % CH_SQ_CACHE;
}

static int find_stmt(struct ch_sq *sq, const char *sql, sqlite3_stmt **ret_stmt)
{
	size_t slot = slot_of(sql);

	for (size_t tries = 0; tries < CH_SQ_CACHE; tries++, slot = (slot + 1) % CH_SQ_CACHE) {
		if (sq->cache[slot].sql == sql) {
			*ret_stmt = sq->cache[slot].stmt;
			return CH_OK;
		}
		if (sq->cache[slot].sql)
			continue;
		if (sqlite3_prepare_v3(sq->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
			    &sq->cache[slot].stmt, NULL) != SQLITE_OK)
			return ch_sq_rc(sq);
		sq->cache[slot].sql = sql;
		*ret_stmt = sq->cache[slot].stmt;
		return CH_OK;
	}
	return CH_ETOOBIG;
}

static int bind_bytes(sqlite3_stmt *stmt, int at, const void *bytes, size_t len)
{
	if (!bytes)
		return sqlite3_bind_null(stmt, at);
	return sqlite3_bind_blob64(stmt, at, bytes, len, SQLITE_STATIC);
}

static int bind_int(sqlite3_stmt *stmt, int at, int64_t value, bool zero_is_null)
{
	if (zero_is_null && value == 0)
		return sqlite3_bind_null(stmt, at);
	return sqlite3_bind_int64(stmt, at, value);
}

static int bind_args(sqlite3_stmt *stmt, const char *fmt, va_list args)
{
	int rc = SQLITE_OK;

	for (int at = 1; *fmt && rc == SQLITE_OK; fmt++, at++) {
		const void *bytes;

		switch (*fmt) {
		case 'i':
		case 'z':
			rc = bind_int(stmt, at, va_arg(args, int64_t), *fmt == 'z');
			break;
		case 't':
			rc = sqlite3_bind_text(
				stmt, at, va_arg(args, const char *), -1, SQLITE_STATIC);
			break;
		case 'b':
			bytes = va_arg(args, const void *);
			rc = bind_bytes(stmt, at, bytes, va_arg(args, size_t));
			break;
		default:
			rc = SQLITE_MISUSE;
		}
	}
	return rc;
}

static int query(struct ch_sq *sq, sqlite3_stmt **ret_stmt, const char *sql, const char *fmt,
	va_list args)
{
	sqlite3_stmt *stmt = NULL;
	int rc = find_stmt(sq, sql, &stmt);

	if (rc)
		return rc;
	if (sqlite3_stmt_busy(stmt))
		return CH_EINVAL;
	if (bind_args(stmt, fmt, args) != SQLITE_OK) {
		rc = ch_sq_rc(sq);
		return rc ? rc : CH_EINVAL;
	}
	*ret_stmt = stmt;
	return CH_OK;
}

int ch_sq_query(
	struct ch_sq *sq, sqlite3_stmt **ret_stmt, const char *sql, const char *fmt, ...)
{
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = query(sq, ret_stmt, sql, fmt, args);
	va_end(args);
	return rc;
}

int ch_sq_step(struct ch_sq *sq, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	rc = ch_sq_rc(sq);
	return rc ? rc : CH_EIO;
}

int ch_sq_run(struct ch_sq *sq, const char *sql, const char *fmt, ...)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = query(sq, &stmt, sql, fmt, args);
	va_end(args);
	while (rc == CH_OK) {
		rc = ch_sq_step(sq, stmt);
		if (rc <= 0)
			return rc;
		rc = CH_OK;
	}
	return rc;
}

int ch_sq_get_i64(struct ch_sq *sq, int64_t *ret_value, const char *sql, const char *fmt, ...)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = query(sq, &stmt, sql, fmt, args);
	va_end(args);
	if (rc)
		return rc;
	rc = ch_sq_step(sq, stmt);
	if (rc < 0)
		return rc;
	if (rc == 0 || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
		return CH_ENOTFOUND;
	*ret_value = sqlite3_column_int64(stmt, 0);
	return CH_OK;
}

int64_t ch_sq_changes(struct ch_sq *sq)
{
	return sqlite3_changes(sq->db);
}

void ch_sq_reset_p(sqlite3_stmt **stmt)
{
	if (!*stmt)
		return;
	sqlite3_reset(*stmt);
	sqlite3_clear_bindings(*stmt);
}

const char *ch_sq_text(struct ch_arena *arena, sqlite3_stmt *stmt, int col, int *rc)
{
	const char *text = (const char *)sqlite3_column_text(stmt, col);
	const char *copy;

	if (!text)
		return NULL;
	copy = ch_arena_copy(arena, text, (size_t)sqlite3_column_bytes(stmt, col));
	if (!copy)
		*rc = CH_ENOMEM;
	return copy;
}

const uint8_t *ch_sq_blob(
	struct ch_arena *arena, sqlite3_stmt *stmt, int col, size_t *ret_len, int *rc)
{
	const void *bytes = sqlite3_column_blob(stmt, col);
	size_t len = (size_t)sqlite3_column_bytes(stmt, col);
	const uint8_t *copy;

	*ret_len = 0;
	if (!bytes)
		return NULL;
	copy = ch_arena_copy(arena, bytes, len);
	if (!copy) {
		*rc = CH_ENOMEM;
		return NULL;
	}
	*ret_len = len;
	return copy;
}

void ch_sq_bytes(sqlite3_stmt *stmt, int col, uint8_t *ret_bytes, size_t len, int *rc)
{
	const void *bytes = sqlite3_column_blob(stmt, col);

	if (!bytes || (size_t)sqlite3_column_bytes(stmt, col) != len) {
		*rc = CH_ECORRUPT;
		memset(ret_bytes, 0, len);
		return;
	}
	memcpy(ret_bytes, bytes, len);
}

void ch_sq_copy(sqlite3_stmt *stmt, int col, char *ret_text, size_t size_b, int *rc)
{
	const char *text = (const char *)sqlite3_column_text(stmt, col);
	size_t len = (size_t)sqlite3_column_bytes(stmt, col);

	ret_text[0] = '\0';
	if (!text)
		return;
	if (len >= size_b) {
		*rc = CH_ECORRUPT;
		return;
	}
	memcpy(ret_text, text, len + 1);
}

uint64_t ch_sq_u64(sqlite3_stmt *stmt, int col)
{
	return (uint64_t)sqlite3_column_int64(stmt, col);
}
