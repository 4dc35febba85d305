#include "store/db.h"

#include <stdarg.h>
#include <string.h>

void ch_db_close(struct ch_db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < CH_DB_CACHE; i++)
		if (db->cache[i].stmt)
			db->driver->drop(db->cache[i].stmt);
	db->driver->close(db);
}

int ch_db_rc(struct ch_db *db)
{
	return db->driver->rc(db);
}

const char *ch_db_text_of_error(struct ch_db *db)
{
	return db->driver->text_of_error(db);
}

int ch_db_err(struct ch_db *db, const char *doing, struct ch_err *err)
{
	int rc = ch_db_rc(db);

	if (rc == CH_OK)
		rc = CH_EIO;
	return ch_err_set(err, rc, "internal", "%.300s: %s", doing, ch_db_text_of_error(db));
}

int ch_db_script(struct ch_db *db, const char *sql)
{
	return db->driver->script(db, sql);
}

static size_t slot_of(const char *sql)
{
	return (size_t)(((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 48) % CH_DB_CACHE;
}

static int find_stmt(
	struct ch_db *db, const char *sql, const char *fmt, struct ch_stmt **ret_stmt)
{
	size_t slot = slot_of(sql);

	for (size_t tries = 0; tries < CH_DB_CACHE; tries++, slot = (slot + 1) % CH_DB_CACHE) {
		int rc;

		if (db->cache[slot].sql == sql) {
			*ret_stmt = db->cache[slot].stmt;
			return CH_OK;
		}
		if (db->cache[slot].sql)
			continue;
		rc = db->driver->prepare(db, sql, fmt, &db->cache[slot].stmt);
		if (rc)
			return rc;
		db->cache[slot].sql = sql;
		*ret_stmt = db->cache[slot].stmt;
		return CH_OK;
	}
	return CH_ETOOBIG;
}

static int take_args(const char *fmt, va_list args, struct ch_db_arg *list, size_t *ret_n)
{
	size_t n = 0;

	for (; *fmt; fmt++, n++) {
		struct ch_db_arg *arg = &list[n];

		if (n == CH_DB_ARGS_MAX)
			return CH_EINVAL;
		*arg = (struct ch_db_arg){.type = *fmt == 'z' ? 'i' : *fmt};
		switch (*fmt) {
		case 'i':
		case 'l':
		case 'z':
			arg->i = va_arg(args, int64_t);
			arg->is_null = *fmt == 'z' && arg->i == 0;
			break;
		case 't':
			arg->bytes = va_arg(args, const char *);
			arg->is_null = !arg->bytes;
			arg->len = arg->bytes ? strlen(arg->bytes) : 0;
			break;
		case 'b':
			arg->bytes = va_arg(args, const void *);
			arg->is_null = !arg->bytes;
			arg->len = va_arg(args, size_t);
			break;
		default:
			return CH_EINVAL;
		}
	}
	*ret_n = n;
	return CH_OK;
}

int ch_db_query_args(struct ch_db *db, struct ch_stmt **ret_stmt, const char *sql,
	const char *fmt, const struct ch_db_arg *args, size_t n)
{
	struct ch_stmt *stmt = NULL;
	int rc = find_stmt(db, sql, fmt, &stmt);

	if (rc)
		return rc;
	if (stmt->is_busy)
		return CH_EINVAL;
	rc = db->driver->bind(db, stmt, args, n);
	if (rc)
		return rc;
	stmt->is_busy = true;
	*ret_stmt = stmt;
	return CH_OK;
}

static int query(struct ch_db *db, struct ch_stmt **ret_stmt, const char *sql, const char *fmt,
	va_list args)
{
	struct ch_db_arg list[CH_DB_ARGS_MAX];
	size_t n = 0;
	int rc = take_args(fmt, args, list, &n);

	return rc ? rc : ch_db_query_args(db, ret_stmt, sql, fmt, list, n);
}

int ch_db_query(
	struct ch_db *db, struct ch_stmt **ret_stmt, const char *sql, const char *fmt, ...)
{
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = query(db, ret_stmt, sql, fmt, args);
	va_end(args);
	return rc;
}

int ch_db_ask_args(struct ch_db *db, const char *sql, const char *fmt,
	const struct ch_db_arg *args, size_t n)
{
	struct ch_stmt *stmt = NULL;
	int rc = db->driver->ask ? find_stmt(db, sql, fmt, &stmt) : CH_OK;

	return rc || !db->driver->ask ? rc : db->driver->ask(db, stmt, args, n);
}

int ch_db_ask(struct ch_db *db, const char *sql, const char *fmt, ...)
{
	struct ch_db_arg list[CH_DB_ARGS_MAX];
	va_list args;
	size_t n;
	int rc;

	va_start(args, fmt);
	rc = take_args(fmt, args, list, &n);
	va_end(args);
	return rc ? rc : ch_db_ask_args(db, sql, fmt, list, n);
}

int ch_db_step(struct ch_db *db, struct ch_stmt *stmt)
{
	return db->driver->step(db, stmt);
}

int ch_db_run(struct ch_db *db, const char *sql, const char *fmt, ...)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = query(db, &stmt, sql, fmt, args);
	va_end(args);
	return rc ? rc : db->driver->run(db, stmt);
}

int ch_db_settle(struct ch_db *db)
{
	return db->driver->settle(db);
}

int ch_db_get_i64(struct ch_db *db, int64_t *ret_value, const char *sql, const char *fmt, ...)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = query(db, &stmt, sql, fmt, args);
	va_end(args);
	if (rc)
		return rc;
	rc = ch_db_step(db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 0 || ch_db_is_null(stmt, 0))
		return CH_ENOTFOUND;
	*ret_value = ch_db_i64(stmt, 0);
	return CH_OK;
}

int64_t ch_db_changes(struct ch_db *db)
{
	return db->driver->changes(db);
}

bool ch_db_in_transaction(struct ch_db *db)
{
	return db->driver->in_transaction(db);
}

void ch_db_reset_p(struct ch_stmt **stmt)
{
	if (!*stmt)
		return;
	(*stmt)->driver->reset(*stmt);
	(*stmt)->is_busy = false;
}

bool ch_db_is_null(struct ch_stmt *stmt, int col)
{
	return stmt->driver->is_null(stmt, col);
}

int64_t ch_db_i64(struct ch_stmt *stmt, int col)
{
	return stmt->driver->i64(stmt, col);
}

uint64_t ch_db_u64(struct ch_stmt *stmt, int col)
{
	return (uint64_t)ch_db_i64(stmt, col);
}

const char *ch_db_col_text(struct ch_stmt *stmt, int col)
{
	size_t len;

	return ch_db_is_null(stmt, col) ? NULL : stmt->driver->bytes(stmt, col, &len);
}

const void *ch_db_col_blob(struct ch_stmt *stmt, int col)
{
	size_t len;
	const void *bytes = stmt->driver->bytes(stmt, col, &len);

	return len ? bytes : NULL;
}

size_t ch_db_col_len(struct ch_stmt *stmt, int col)
{
	size_t len;

	(void)stmt->driver->bytes(stmt, col, &len);
	return len;
}

const char *ch_db_text(struct ch_arena *arena, struct ch_stmt *stmt, int col, int *rc)
{
	const char *text = ch_db_col_text(stmt, col);
	const char *copy;

	if (!text)
		return NULL;
	copy = ch_arena_copy(arena, text, ch_db_col_len(stmt, col));
	if (!copy)
		*rc = CH_ENOMEM;
	return copy;
}

const uint8_t *ch_db_blob(
	struct ch_arena *arena, struct ch_stmt *stmt, int col, size_t *ret_len, int *rc)
{
	const void *bytes = ch_db_col_blob(stmt, col);
	size_t len = ch_db_col_len(stmt, col);
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

void ch_db_bytes(struct ch_stmt *stmt, int col, uint8_t *ret_bytes, size_t len, int *rc)
{
	const void *bytes = ch_db_col_blob(stmt, col);

	if (!bytes || ch_db_col_len(stmt, col) != len) {
		*rc = CH_ECORRUPT;
		memset(ret_bytes, 0, len);
		return;
	}
	memcpy(ret_bytes, bytes, len);
}

void ch_db_copy(struct ch_stmt *stmt, int col, char *ret_text, size_t size_b, int *rc)
{
	const char *text = ch_db_col_text(stmt, col);
	size_t len = text ? ch_db_col_len(stmt, col) : 0;

	ret_text[0] = '\0';
	if (!text)
		return;
	if (len >= size_b) {
		*rc = CH_ECORRUPT;
		return;
	}
	memcpy(ret_text, text, len + 1);
}
