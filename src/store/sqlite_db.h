/* One SQLite connection: prepared statements by their text, bound arguments, mapped errors. */
#ifndef CH_STORE_SQLITE_DB_H
#define CH_STORE_SQLITE_DB_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"

#define CH_SQ_CACHE 256

struct ch_sq {
	sqlite3 *db;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} cache[CH_SQ_CACHE]; /* by the address of the text, which must be a literal */
};

/* flags: SQLITE_OPEN_READWRITE or SQLITE_OPEN_READONLY.  One thread at a time. */
CH_MUST int ch_sq_open(const char *path, int flags, struct ch_sq **ret_sq, struct ch_err *err);
void ch_sq_close(struct ch_sq *sq);

/* The last error of the connection as enum ch_rc: CH_EFULL, CH_ECORRUPT, CH_ENOMEM, CH_EAGAIN,
 * else CH_EIO. */
int ch_sq_rc(struct ch_sq *sq);
/* The same with SQLite's own words; returns the rc. */
int ch_sq_err(struct ch_sq *sq, const char *doing, struct ch_err *err);

/* Runs a script that returns nothing of interest. */
CH_MUST int ch_sq_script(struct ch_sq *sq, const char *sql);

/* A prepared statement with its arguments, from the cache.  fmt, one letter per argument:
 *   i  int64_t or uint64_t      z  the same, 0 is bound as NULL
 *   t  const char * (NULL: NULL)
 *   b  const void *, size_t (NULL: NULL)
 * Text and bytes are borrowed until the statement is reset (CH_AUTO_STMT).  The same literal
 * must not be queried again before that. */
CH_MUST int ch_sq_query(
	struct ch_sq *sq, sqlite3_stmt **ret_stmt, const char *sql, const char *fmt, ...);
/* 1: a row; 0: the end; or a negative enum ch_rc. */
CH_MUST int ch_sq_step(struct ch_sq *sq, sqlite3_stmt *stmt);
/* Query, steps to the end, resets. */
CH_MUST int ch_sq_run(struct ch_sq *sq, const char *sql, const char *fmt, ...);
/* One integer of one row; CH_ENOTFOUND when there is no row or it is NULL. */
CH_MUST int ch_sq_get_i64(
	struct ch_sq *sq, int64_t *ret_value, const char *sql, const char *fmt, ...);
/* Rows that the last statement changed. */
int64_t ch_sq_changes(struct ch_sq *sq);

void ch_sq_reset_p(sqlite3_stmt **stmt);
#define CH_AUTO_STMT CH_CLEANUP(ch_sq_reset_p)

/* Columns into the arena.  A failed allocation or text of a wrong kind is latched in *rc. */
const char *ch_sq_text(struct ch_arena *arena, sqlite3_stmt *stmt, int col, int *rc);
const uint8_t *ch_sq_blob(
	struct ch_arena *arena, sqlite3_stmt *stmt, int col, size_t *ret_len, int *rc);
/* Bytes of exactly this length; anything else latches CH_ECORRUPT. */
void ch_sq_bytes(sqlite3_stmt *stmt, int col, uint8_t *ret_bytes, size_t len, int *rc);
/* Text into a fixed buffer, NULL as ""; longer text latches CH_ECORRUPT. */
void ch_sq_copy(sqlite3_stmt *stmt, int col, char *ret_text, size_t size_b, int *rc);
uint64_t ch_sq_u64(sqlite3_stmt *stmt, int col);

#endif
