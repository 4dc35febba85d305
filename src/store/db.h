/* One connection to a database: prepared statements by their text, bound arguments, mapped
 * errors.  The text is SQL that SQLite and PostgreSQL both take, with ? or ?N for arguments;
 * db_sqlite.c and db_postgres.c are the drivers. */
#ifndef CH_STORE_DB_H
#define CH_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"

#define CH_DB_CACHE 512
#define CH_DB_ARGS_MAX 64

struct ch_db;
struct ch_stmt;

struct ch_db_arg {
	char type; /* 'i', 'l', 't' or 'b' */
	bool is_null;
	int64_t i;
	const void *bytes; /* of 't' and 'b'; borrowed */
	size_t len;
};

/* What a driver provides; its connection begins with struct ch_db and its statement with
 * struct ch_stmt. */
struct ch_db_driver {
	void (*close)(struct ch_db *db);
	int (*script)(struct ch_db *db, const char *sql);
	int (*prepare)(
		struct ch_db *db, const char *sql, const char *fmt, struct ch_stmt **ret);
	void (*drop)(struct ch_stmt *stmt);
	/* Begins it. */
	int (*bind)(
		struct ch_db *db, struct ch_stmt *stmt, const struct ch_db_arg *args, size_t n);
	/* As ch_db_ask; NULL: there is no way to save. */
	int (*ask)(
		struct ch_db *db, struct ch_stmt *stmt, const struct ch_db_arg *args, size_t n);
	/* 1: a row; 0: the end. */
	int (*step)(struct ch_db *db, struct ch_stmt *stmt);
	/* After bind, of a statement whose rows do not matter: may be told of an error later,
	 * by settle at the latest. */
	int (*run)(struct ch_db *db, struct ch_stmt *stmt);
	int (*settle)(struct ch_db *db);
	void (*reset)(struct ch_stmt *stmt);
	int64_t (*changes)(struct ch_db *db);
	bool (*in_transaction)(struct ch_db *db);
	int (*rc)(struct ch_db *db);
	const char *(*text_of_error)(struct ch_db *db);
	bool (*is_null)(struct ch_stmt *stmt, int col);
	int64_t (*i64)(struct ch_stmt *stmt, int col);
	/* Text with a NUL behind it, which len does not count. */
	const void *(*bytes)(struct ch_stmt *stmt, int col, size_t *ret_len);
};

struct ch_stmt {
	const struct ch_db_driver *driver;
	bool is_busy; /* from bind to reset */
};

struct ch_db {
	const struct ch_db_driver *driver;
	struct {
		const char *sql;
		struct ch_stmt *stmt;
	} cache[CH_DB_CACHE]; /* by the address of the text, which must be a literal */
};

void ch_db_close(struct ch_db *db);

/* The last error of the connection as enum ch_rc: CH_EFULL, CH_ECORRUPT, CH_ENOMEM, CH_EAGAIN,
 * else CH_EIO. */
int ch_db_rc(struct ch_db *db);
/* The same in the database's own words, borrowed until the next call. */
const char *ch_db_text_of_error(struct ch_db *db);
/* Both; returns the rc. */
int ch_db_err(struct ch_db *db, const char *doing, struct ch_err *err);

/* Runs a script that returns nothing of interest. */
CH_MUST int ch_db_script(struct ch_db *db, const char *sql);

/* A prepared statement with its arguments, from the cache.  fmt, one letter per argument:
 *   i  int64_t or uint64_t      z  the same, 0 is bound as NULL
 *   t  const char * (NULL: NULL)
 *   l  the same as i, where a condition is wanted: true or false
 *   b  const void *, size_t (NULL: NULL)
 * Text and bytes are borrowed until the statement is reset (CH_AUTO_STMT).  The same literal
 * must not be queried again before that. */
CH_MUST int ch_db_query(
	struct ch_db *db, struct ch_stmt **ret_stmt, const char *sql, const char *fmt, ...);
/* The same with a list; the text, too, must stay where it is for as long as the connection. */
CH_MUST int ch_db_query_args(struct ch_db *db, struct ch_stmt **ret_stmt, const char *sql,
	const char *fmt, const struct ch_db_arg *args, size_t n);
/* Says that this will soon be queried, with the same arguments: a database that is far away is
 * asked at once, along with what else is, and the query then need not wait for it.  Whatever is
 * written before the query is in its answer all the same. */
CH_MUST int ch_db_ask(struct ch_db *db, const char *sql, const char *fmt, ...);
CH_MUST int ch_db_ask_args(struct ch_db *db, const char *sql, const char *fmt,
	const struct ch_db_arg *args, size_t n);
/* 1: a row; 0: the end; or a negative enum ch_rc. */
CH_MUST int ch_db_step(struct ch_db *db, struct ch_stmt *stmt);
/* A statement that returns nothing.  CH_OK may come before the database has answered: what it
 * refuses is then said by a later call on this connection, at the latest by ch_db_settle. */
CH_MUST int ch_db_run(struct ch_db *db, const char *sql, const char *fmt, ...);
/* Waits for the answers to all that was run. */
CH_MUST int ch_db_settle(struct ch_db *db);
/* One integer of one row; CH_ENOTFOUND when there is no row or it is NULL. */
CH_MUST int ch_db_get_i64(
	struct ch_db *db, int64_t *ret_value, const char *sql, const char *fmt, ...);
/* Rows that the last statement changed; waits for its answer. */
int64_t ch_db_changes(struct ch_db *db);
/* Also when it has failed and only a roll-back is possible. */
bool ch_db_in_transaction(struct ch_db *db);

void ch_db_reset_p(struct ch_stmt **stmt);
#define CH_AUTO_STMT CH_CLEANUP(ch_db_reset_p)

/* Columns of the row that step found, borrowed until the next step or reset. */
bool ch_db_is_null(struct ch_stmt *stmt, int col);
int64_t ch_db_i64(struct ch_stmt *stmt, int col); /* NULL: 0 */
uint64_t ch_db_u64(struct ch_stmt *stmt, int col);
const char *ch_db_col_text(struct ch_stmt *stmt, int col); /* NULL: NULL */
const void *ch_db_col_blob(struct ch_stmt *stmt, int col); /* NULL, or empty: NULL */
size_t ch_db_col_len(struct ch_stmt *stmt, int col);

/* Columns into the arena.  A failed allocation or text of a wrong kind is latched in *rc. */
const char *ch_db_text(struct ch_arena *arena, struct ch_stmt *stmt, int col, int *rc);
const uint8_t *ch_db_blob(
	struct ch_arena *arena, struct ch_stmt *stmt, int col, size_t *ret_len, int *rc);
/* Bytes of exactly this length; anything else latches CH_ECORRUPT. */
void ch_db_bytes(struct ch_stmt *stmt, int col, uint8_t *ret_bytes, size_t len, int *rc);
/* Text into a fixed buffer, NULL as ""; longer text latches CH_ECORRUPT. */
void ch_db_copy(struct ch_stmt *stmt, int col, char *ret_text, size_t size_b, int *rc);

#endif
