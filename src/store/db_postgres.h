/* The driver for PostgreSQL, by libpq in pipeline mode: what returns nothing is sent on without
 * waiting for the answer. */
#ifndef CH_STORE_DB_POSTGRES_H
#define CH_STORE_DB_POSTGRES_H

#include <libpq-fe.h>

#include "store/db.h"

/* pg_type.dat */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25
};

/* url: as libpq takes it.  setup: a script that each connection runs when it is made, borrowed
 * for as long as it lives.  One thread at a time.  CH_EAGAIN: the server is away. */
CH_MUST int ch_db_postgres_open(
	const char *url, const char *setup, struct ch_db **ret_db, struct ch_err *err);

/* Between transactions: connects anew when the connection is lost.  CH_EAGAIN: the server is
 * away. */
CH_MUST int ch_db_postgres_mend(struct ch_db *db);
/* Counts the times it was connected, from 1. */
uint64_t ch_db_postgres_times(struct ch_db *db);
/* Counts statements that the server refused, and connections that were lost. */
uint64_t ch_db_postgres_refusals(struct ch_db *db);
/* How often answers were waited for, so far: each time takes as long as the way there and back.
 */
uint64_t ch_db_postgres_trips(struct ch_db *db);

/* For tests: what is remembered is asked for all the same, and the process ends when the answer
 * has become another one. */
extern bool ch_db_postgres_doubts;

/* Runs fn on the connection outside of pipeline mode; what it returns is the connection's
 * error, with libpq's words. */
CH_MUST int ch_db_postgres_plain(
	struct ch_db *db, int (*fn)(PGconn *conn, void *arg), void *arg);

/* ---- db_postgres_notify.c ---- */
/* Hands out the notifications that have come; with none it waits for them, wait_ms at most, or
 * until wake_fd can be read.  CH_EAGAIN: the connection is lost. */
CH_MUST int ch_db_postgres_notified(struct ch_db *db, int wait_ms, int wake_fd,
	void (*fn)(const char *text, void *arg), void *arg);

/* ---- db_postgres_url.c ---- */
/* CH_EINVAL (`bad-database`): not a URL, or it has a password in it. */
CH_MUST int ch_db_postgres_check_url(const char *url, struct ch_err *err);

/* The connection may have failed; to be finished. */
PGconn *ch_db_postgres_connect(const char *url);

/* ---- db_postgres_text.c ---- */
/* "?" and "?N" become "$N", and "INDEXED BY x", which only SQLite needs, goes.  To be freed;
 * NULL: no memory. */
char *ch_db_postgres_text(const char *sql);
/* Of an argument: its letter's type, and its value in binary, for which number is room. */
Oid ch_db_postgres_type(char letter);
void ch_db_postgres_value(
	const struct ch_db_arg *arg, uint64_t *number, const char **ret_value, int *ret_len);
/* A number of whatever size, or a condition; NULL: 0. */
int64_t ch_db_postgres_i64(const PGresult *result, int row, int col);
/* Of an SQLSTATE: as ch_db_rc. */
int ch_db_postgres_rc(const char *state);
/* Of what PQexec or PQgetResult gave back; CH_EAGAIN: the connection is lost. */
int ch_db_postgres_result_rc(const PGresult *result);

#endif
