#include "store/db_postgres.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/db_postgres_memo.h"
#include "store/db_postgres_wait.h"

#define NAME_B 16

struct pg_stmt {
	struct ch_stmt base; /* first */
	struct pg_db *db;
	char name[NAME_B];
	char *text;
	Oid types[CH_DB_ARGS_MAX];
	int n_args;
	uint64_t prepared_in; /* the connection's number; 0: in none */
	struct ch_touch touch;
	struct ch_answer *answer; /* held from bind to run or reset */
	int row;
};

/* What the server has not answered yet, in its order. */
struct pending {
	struct pg_stmt *stmt;
	struct ch_answer *answer; /* held; NULL: of its preparation, which has none */
};

struct pg_db {
	struct ch_db base; /* first */
	PGconn *conn;
	const char *setup;
	uint64_t number; /* of the connection, from 1 */
	uint64_t n_stmts;
	uint64_t n_trips;
	uint64_t n_refusals;
	struct pending *pending;
	size_t n_pending;
	size_t room;
	struct ch_memo memo;
	bool in_transaction;
	int rc; /* latched until it was told */
	int last_rc;
	int64_t changes;
	char error[256];
};

static const struct ch_db_driver driver;

static struct pg_db *pg_of(struct ch_db *db)
{
	return (struct pg_db *)db;
}

static struct pg_stmt *stmt_of(struct ch_stmt *stmt)
{
	return (struct pg_stmt *)stmt;
}

static void note_text(struct pg_db *db, const char *text)
{
	size_t len;

	snprintf(db->error, sizeof(db->error), "%s", text && *text ? text : "no answer");
	len = strcspn(db->error, "\n");
	db->error[len] = '\0';
}

/* The first error stands until it was told. */
static void latch(struct pg_db *db, int rc, const char *text)
{
	db->n_refusals++;
	if (db->rc)
		return;
	db->rc = rc;
	note_text(db, text);
}

static void latch_lost(struct pg_db *db)
{
	latch(db, CH_EAGAIN, PQerrorMessage(db->conn));
}

static int tell(struct pg_db *db)
{
	int rc = db->rc;

	if (rc)
		db->last_rc = rc;
	db->rc = CH_OK;
	return rc;
}

static void ignore_notice(void *arg, const char *message)
{
}

static void let_go(struct ch_answer **answer)
{
	ch_answer_let_go(*answer);
	*answer = NULL;
}

/* What has not been answered will not be. */
static void forget_pending(struct pg_db *db)
{
	if (db->n_pending > 0)
		ch_memo_open(&db->memo, db->memo.is_open);
	for (size_t i = 0; i < db->n_pending; i++)
		ch_answer_let_go(db->pending[i].answer);
	db->n_pending = 0;
}

/* After the connection was made. */
static int begin_session(struct pg_db *db)
{
	PGresult *result = PQexec(db->conn, db->setup);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK ||
		    PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!good)
		note_text(db, PQerrorMessage(db->conn));
	PQclear(result);
	if (!good || !PQenterPipelineMode(db->conn))
		return CH_EAGAIN;
	db->number++;
	db->in_transaction = false;
	ch_memo_open(&db->memo, false);
	db->rc = CH_OK;
	return CH_OK;
}

int ch_db_postgres_open(
	const char *url, const char *setup, struct ch_db **ret_db, struct ch_err *err)
{
	struct pg_db *db;
	int rc = ch_db_postgres_check_url(url, err);

	if (rc)
		return rc;
	db = calloc(1, sizeof(*db));
	if (!db)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	db->base.driver = &driver;
	db->setup = setup;
	db->conn = ch_db_postgres_connect(url);
	rc = CH_EAGAIN;
	if (PQstatus(db->conn) == CONNECTION_OK) {
		PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
		rc = begin_session(db);
	} else {
		note_text(db, PQerrorMessage(db->conn));
	}
	if (rc) {
		rc = ch_err_set(err, rc, "store-busy", "PostgreSQL: %s", db->error);
		ch_db_close(&db->base);
		return rc;
	}
	*ret_db = &db->base;
	return CH_OK;
}

static void pg_close(struct ch_db *base)
{
	struct pg_db *db = pg_of(base);

	PQfinish(db->conn);
	forget_pending(db);
	ch_memo_open(&db->memo, false);
	free(db->pending);
	free(db);
}

/* A server that goes says why, and then there is the end to read. */
static bool is_lost(struct pg_db *db)
{
	struct pollfd fd = {.fd = PQsocket(db->conn), .events = POLLIN};

	if (PQstatus(db->conn) != CONNECTION_OK)
		return true;
	for (int i = 0; i < 3 && poll(&fd, 1, 0) > 0; i++)
		if (!PQconsumeInput(db->conn))
			return true;
	return PQstatus(db->conn) != CONNECTION_OK;
}

uint64_t ch_db_postgres_times(struct ch_db *db)
{
	return pg_of(db)->number;
}

uint64_t ch_db_postgres_refusals(struct ch_db *db)
{
	return pg_of(db)->n_refusals;
}

uint64_t ch_db_postgres_trips(struct ch_db *db)
{
	return pg_of(db)->n_trips;
}

int ch_db_postgres_mend(struct ch_db *base)
{
	struct pg_db *db = pg_of(base);
	int rc;

	if (!is_lost(db))
		return CH_OK;
	forget_pending(db);
	PQreset(db->conn);
	if (PQstatus(db->conn) != CONNECTION_OK) {
		note_text(db, PQerrorMessage(db->conn));
		db->last_rc = CH_EAGAIN;
		return CH_EAGAIN;
	}
	rc = begin_session(db);
	if (rc)
		db->last_rc = rc;
	return rc;
}

static int pg_prepare(
	struct ch_db *base, const char *sql, const char *fmt, struct ch_stmt **ret_stmt)
{
	struct pg_stmt *stmt = calloc(1, sizeof(*stmt));

	if (!stmt)
		return CH_ENOMEM;
	stmt->base.driver = &driver;
	stmt->db = pg_of(base);
	stmt->text = ch_db_postgres_text(sql);
	if (!stmt->text) {
		free(stmt);
		return CH_ENOMEM;
	}
	snprintf(stmt->name, sizeof(stmt->name), "s%llu",
		(unsigned long long)++stmt->db->n_stmts);
	stmt->touch = ch_touch_of(stmt->text);
	for (; *fmt; fmt++)
		stmt->types[stmt->n_args++] = ch_db_postgres_type(*fmt);
	*ret_stmt = &stmt->base;
	return CH_OK;
}

static void pg_drop(struct ch_stmt *base)
{
	struct pg_stmt *stmt = stmt_of(base);

	ch_answer_let_go(stmt->answer);
	free(stmt->text);
	free(stmt);
}

/* ---- what was sent, and its answers ---- */

static int note_pending(struct pg_db *db, struct pg_stmt *stmt, struct ch_answer *answer)
{
	if (db->n_pending == db->room) {
		size_t room = db->room ? db->room * 2 : 64;
		void *pending = reallocarray(db->pending, room, sizeof(*db->pending));

		if (!pending)
			return CH_ENOMEM;
		db->pending = pending;
		db->room = room;
	}
	db->pending[db->n_pending++] =
		(struct pending){stmt, answer ? ch_answer_hold(answer) : NULL};
	return CH_OK;
}

/* A COMMIT of a transaction that had failed is a roll-back, and no error to the server. */
static bool is_undone_commit(const struct pg_stmt *stmt, const PGresult *result)
{
	return strcmp(stmt->text, "COMMIT") == 0 &&
	       strcmp(PQcmdStatus((PGresult *)result), "ROLLBACK") == 0;
}

static void take_good_answer(struct pg_db *db, struct pending *what, PGresult *result)
{
	if (!what->answer) {
		PQclear(result);
		return;
	}
	if (is_undone_commit(what->stmt, result))
		latch(db, CH_EIO, "the transaction had failed");
	db->changes = strtoll(PQcmdTuples(result), NULL, 10);
	ch_answer_bring(what->answer, result);
	ch_memo_came(&db->memo, what->answer);
}

static void take_answer(struct pg_db *db, struct pending *what, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
		take_good_answer(db, what, result);
		let_go(&what->answer);
		return;
	}
	if (!what->answer)
		what->stmt->prepared_in = 0;
	if (status != PGRES_PIPELINE_ABORTED) {
		const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

		latch(db, state ? ch_db_postgres_rc(state) : CH_EAGAIN,
			PQresultErrorMessage(result));
	}
	PQclear(result);
}

/* NULL, with the error latched: the connection is lost. */
static PGresult *next_result(struct pg_db *db)
{
	PGresult *result = NULL;
	int rc = ch_db_postgres_await(db->conn);

	if (!rc)
		result = PQgetResult(db->conn);
	if (!rc && PQstatus(db->conn) == CONNECTION_OK)
		return result;
	PQclear(result);
	if (rc == CH_ETIMEOUT)
		latch(db, CH_EAGAIN, "PostgreSQL does not answer");
	else
		latch_lost(db);
	return NULL;
}

static void take_status(struct pg_db *db)
{
	PGTransactionStatusType status = PQtransactionStatus(db->conn);

	db->in_transaction = status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

/* After an error the server passes over all that comes before the next sync, a COMMIT too. */
static void resync(struct pg_db *db)
{
	PGresult *result;

	if (!PQpipelineSync(db->conn)) {
		latch_lost(db);
		return;
	}
	while (PQstatus(db->conn) == CONNECTION_OK) {
		ExecStatusType status;

		result = next_result(db);
		status = PQresultStatus(result);
		PQclear(result);
		if (result && status == PGRES_PIPELINE_SYNC) {
			take_status(db);
			return;
		}
	}
	latch_lost(db);
}

/* Reads the answers to all that is pending. */
static void take_answers(struct pg_db *db)
{
	bool failed = false;

	for (size_t i = 0; i < db->n_pending; i++) {
		PGresult *result = next_result(db);
		ExecStatusType status = PQresultStatus(result);

		if (!result) {
			latch_lost(db);
			failed = true;
			break;
		}
		failed |= status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED;
		take_answer(db, &db->pending[i], result);
		PQclear(PQgetResult(db->conn)); /* the end of this one's results */
	}
	if (failed)
		forget_pending(db);
	db->n_pending = 0;
	if (failed && PQstatus(db->conn) == CONNECTION_OK)
		resync(db);
}

static int pg_settle(struct ch_db *base)
{
	struct pg_db *db = pg_of(base);

	if (db->n_pending > 0) {
		db->n_trips++;
		if (!PQsendFlushRequest(db->conn) || PQflush(db->conn) < 0) {
			latch_lost(db);
			forget_pending(db);
		} else {
			take_answers(db);
		}
	}
	return tell(db);
}

static int send_prepare(struct pg_db *db, struct pg_stmt *stmt)
{
	int rc;

	if (stmt->prepared_in == db->number)
		return CH_OK;
	rc = note_pending(db, stmt, NULL);
	if (rc)
		return rc;
	if (!PQsendPrepare(db->conn, stmt->name, stmt->text, stmt->n_args, stmt->types)) {
		db->n_pending--;
		latch_lost(db);
		return tell(db);
	}
	stmt->prepared_in = db->number;
	return CH_OK;
}

static int send_query(struct pg_db *db, struct pg_stmt *stmt, const struct ch_db_arg *args,
	size_t n, struct ch_answer *answer)
{
	const char *values[CH_DB_ARGS_MAX];
	int lens[CH_DB_ARGS_MAX];
	int formats[CH_DB_ARGS_MAX];
	uint64_t numbers[CH_DB_ARGS_MAX];
	int rc = send_prepare(db, stmt);

	if (!rc)
		rc = note_pending(db, stmt, answer);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		formats[i] = 1;
		ch_db_postgres_value(&args[i], &numbers[i], &values[i], &lens[i]);
	}
	if (PQsendQueryPrepared(db->conn, stmt->name, (int)n, values, lens, formats, 1))
		return CH_OK;
	let_go(&db->pending[--db->n_pending].answer);
	latch_lost(db);
	return tell(db);
}

/* What a memo knows, or what is sent for now. */
static int get_answer(struct pg_db *db, struct pg_stmt *stmt, const struct ch_db_arg *args,
	size_t n, struct ch_answer **ret_answer)
{
	struct ch_answer *answer = NULL;
	int rc;

	if (stmt->touch.is_read)
		answer = ch_memo_find(&db->memo, stmt, args, n);
	else
		ch_memo_written(&db->memo, &stmt->touch, args);
	if (!answer) {
		answer = ch_answer_new();
		if (!answer)
			return CH_ENOMEM;
		rc = send_query(db, stmt, args, n, answer);
		if (rc) {
			ch_answer_let_go(answer);
			return rc;
		}
		ch_memo_add(&db->memo, answer, stmt, &stmt->touch, args, n);
	}
	*ret_answer = answer;
	return CH_OK;
}

bool ch_db_postgres_doubts;

static int doubt(struct pg_db *db, struct pg_stmt *stmt, const struct ch_db_arg *args, size_t n)
{
	struct ch_answer *again = ch_answer_new();
	int rc = again ? send_query(db, stmt, args, n, again) : CH_ENOMEM;

	if (!rc)
		rc = pg_settle(&db->base);
	if (!rc && !ch_answer_same(stmt->answer, again)) {
		fprintf(stderr, "not so any more: %s\n", stmt->text);
		abort();
	}
	ch_answer_let_go(again);
	return rc;
}

static int pg_bind(
	struct ch_db *base, struct ch_stmt *stmt_base, const struct ch_db_arg *args, size_t n)
{
	struct pg_db *db = pg_of(base);
	struct pg_stmt *stmt = stmt_of(stmt_base);
	int rc = tell(db); /* what was refused meanwhile */

	stmt->row = -1;
	if (!rc)
		rc = get_answer(db, stmt, args, n, &stmt->answer);
	if (!rc && ch_db_postgres_doubts && db->memo.is_open && stmt->touch.is_read)
		rc = doubt(db, stmt, args, n);
	return rc;
}

static int pg_ask(
	struct ch_db *base, struct ch_stmt *stmt_base, const struct ch_db_arg *args, size_t n)
{
	struct pg_db *db = pg_of(base);
	struct pg_stmt *stmt = stmt_of(stmt_base);
	struct ch_answer *answer = NULL;
	int rc = tell(db);

	if (rc || !db->memo.is_open || !stmt->touch.is_read)
		return rc;
	rc = get_answer(db, stmt, args, n, &answer);
	ch_answer_let_go(answer);
	return rc;
}

/* After an error that was told already there is no answer any more. */
static int pg_step(struct ch_db *base, struct ch_stmt *stmt_base)
{
	struct pg_db *db = pg_of(base);
	struct pg_stmt *stmt = stmt_of(stmt_base);

	if (!stmt->answer->result) {
		int rc = pg_settle(base);

		if (rc)
			return rc;
	}
	if (!stmt->answer->result)
		return db->last_rc ? db->last_rc : CH_EIO;
	return ++stmt->row < PQntuples(stmt->answer->result);
}

/* Whether we are in a transaction is for us to know: the server tells at a sync only. */
static void note_transaction(struct pg_db *db, const char *text)
{
	bool begins = strncmp(text, "BEGIN", 5) == 0;

	if (!begins && strcmp(text, "COMMIT") != 0 && strcmp(text, "ROLLBACK") != 0)
		return;
	db->in_transaction = begins;
	ch_memo_open(&db->memo, begins);
}

static int pg_run(struct ch_db *base, struct ch_stmt *stmt_base)
{
	struct pg_db *db = pg_of(base);
	struct pg_stmt *stmt = stmt_of(stmt_base);
	bool was = db->in_transaction;

	let_go(&stmt->answer);
	note_transaction(db, stmt->text);
	/* Nobody may ask any more: it has to be on its way. */
	if (was && !db->in_transaction &&
		(!PQsendFlushRequest(db->conn) || PQflush(db->conn) < 0)) {
		latch_lost(db);
		return tell(db);
	}
	return CH_OK;
}

static void pg_reset(struct ch_stmt *base)
{
	let_go(&stmt_of(base)->answer);
}

static int64_t pg_changes(struct ch_db *base)
{
	struct pg_db *db = pg_of(base);
	int rc = pg_settle(base);

	/* The next call tells, in the words that are there. */
	if (rc)
		db->rc = rc;
	return rc ? 0 : db->changes;
}

static bool pg_in_transaction(struct ch_db *base)
{
	struct pg_db *db = pg_of(base);

	return db->in_transaction && PQstatus(db->conn) == CONNECTION_OK;
}

static int pg_rc(struct ch_db *base)
{
	return pg_of(base)->last_rc;
}

static const char *pg_text_of_error(struct ch_db *base)
{
	return pg_of(base)->error;
}

/* The server leaves its implicit transaction, and tells of notifications, only at a Sync. */
static int sync_pipeline(struct pg_db *db)
{
	int rc = pg_settle(&db->base);

	if (rc)
		return rc;
	if (!PQpipelineSync(db->conn)) {
		latch_lost(db);
		return tell(db);
	}
	PQclear(next_result(db));
	return tell(db);
}

int ch_db_postgres_plain(struct ch_db *base, int (*fn)(PGconn *conn, void *arg), void *arg)
{
	struct pg_db *db = pg_of(base);
	int rc = sync_pipeline(db);

	if (rc)
		return rc;
	ch_memo_open(&db->memo, false);
	if (!PQexitPipelineMode(db->conn)) {
		latch(db, CH_EIO, PQerrorMessage(db->conn));
		return tell(db);
	}
	rc = fn(db->conn, arg);
	if (rc)
		latch(db, rc, PQerrorMessage(db->conn));
	take_status(db);
	if (!PQenterPipelineMode(db->conn))
		latch(db, CH_EIO, PQerrorMessage(db->conn));
	return tell(db);
}

static int run_script(PGconn *conn, void *arg)
{
	PGresult *result = PQexec(conn, arg);
	int rc = ch_db_postgres_result_rc(result);

	PQclear(result);
	return rc;
}

static int pg_script(struct ch_db *base, const char *sql)
{
	return ch_db_postgres_plain(base, run_script, (void *)sql);
}

/* ---- columns ---- */

static bool pg_is_null(struct ch_stmt *base, int col)
{
	struct pg_stmt *stmt = stmt_of(base);

	return PQgetisnull(stmt->answer->result, stmt->row, col);
}

static int64_t pg_i64(struct ch_stmt *base, int col)
{
	struct pg_stmt *stmt = stmt_of(base);

	return ch_db_postgres_i64(stmt->answer->result, stmt->row, col);
}

static const void *pg_bytes(struct ch_stmt *base, int col, size_t *ret_len)
{
	struct pg_stmt *stmt = stmt_of(base);

	*ret_len = (size_t)PQgetlength(stmt->answer->result, stmt->row, col);
	return PQgetvalue(stmt->answer->result, stmt->row, col);
}

static const struct ch_db_driver driver = {
	.close = pg_close,
	.script = pg_script,
	.prepare = pg_prepare,
	.drop = pg_drop,
	.bind = pg_bind,
	.ask = pg_ask,
	.step = pg_step,
	.run = pg_run,
	.settle = pg_settle,
	.reset = pg_reset,
	.changes = pg_changes,
	.in_transaction = pg_in_transaction,
	.rc = pg_rc,
	.text_of_error = pg_text_of_error,
	.is_null = pg_is_null,
	.i64 = pg_i64,
	.bytes = pg_bytes,
};
