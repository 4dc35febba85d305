/* From SQLite to PostgreSQL while the store runs: a snapshot is copied, which takes as long as
 * it takes; what has changed since is found by comparing the snapshot with the database when
 * the store has been stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/db_sqlite.h"
#include "store/migrations.h"
#include "store/postgres_fill.h"
#include "store/postgres_migrate.h"
#include "store/sql_read.h"
#include "store/sqlite_lock.h"
#include "store/sqlite_migrate.h"

#define SQL_MAX_B 16384
#define WAIT_MS 100

struct move {
	const char *path;
	const char *url;
	const struct ch_transfer *how;
	struct ch_move_info info;
	struct ch_partial snapshot;
	int lock_fd;
};

/* Where nobody can stop it any more. */
static void tell_anyway(struct move *m, const char *doing)
{
	(void)!ch_transfer_tell(m->how, doing, 0, 0);
}

/* ---- the snapshot ---- */

#define SNAPSHOT ".moving"

/* Also one that a killed run has left: it has the ticket keys too, and nobody prunes it. */
static void drop_snapshot(const char *path)
{
	struct ch_partial left;

	if (ch_partial_init(&left, path, SNAPSHOT, NULL) == CH_OK)
		(void)unlink(left.path);
}

static int copy_pages(struct ch_db *from, struct ch_db *to)
{
	sqlite3_backup *backup =
		sqlite3_backup_init(ch_db_sqlite_of(to), "main", ch_db_sqlite_of(from), "main");
	int step;

	if (!backup)
		return CH_EIO;
	/* In one go: what is written meanwhile would make it begin again. */
	step = sqlite3_backup_step(backup, -1);
	/* It says nothing of a step that found the database locked. */
	if (sqlite3_backup_finish(backup) != SQLITE_OK)
		return ch_db_rc(to);
	return step == SQLITE_DONE ? CH_OK : CH_EAGAIN;
}

static int take_snapshot(struct move *m, struct ch_err *err)
{
	CH_CLEANUP(ch_side_done) struct ch_side from = {.db = NULL};
	CH_AUTO_DB struct ch_db *to = NULL;
	char source[CH_BACKUP_PATH_B + 8];
	int rc;

	snprintf(source, sizeof(source), "sqlite:%s", m->path);
	rc = ch_partial_init(&m->snapshot, m->path, SNAPSHOT, err);
	if (!rc)
		rc = ch_side_open(&from, source, err);
	if (!rc && from.schema != (int64_t)ch_migrations_sqlite_n)
		rc = ch_err_set(err, CH_ECONFLICT, "schema-older",
			"%.300s has schema %jd: run the store of this version (schema %u) on "
			"it "
			"first",
			m->path, (intmax_t)from.schema, ch_migrations_sqlite_n);
	if (!rc)
		rc = ch_partial_begin(&m->snapshot, 0, &to, err);
	if (!rc)
		rc = ch_transfer_tell(m->how, "snapshot", 0, 0);
	if (!rc)
		rc = ch_side_err(copy_pages(from.db, to), NULL, to, m->snapshot.path, err);
	/* Else it could be read only with files beside it. */
	if (!rc)
		rc = ch_side_err(ch_db_script(to, "PRAGMA journal_mode = DELETE"), NULL, to,
			m->snapshot.path, err);
	return rc;
}

static int copy_snapshot(struct move *m, struct ch_side *to, struct ch_err *err)
{
	CH_CLEANUP(ch_side_done) struct ch_side from = {.db = NULL};
	char source[CH_BACKUP_PATH_B + 8];
	int64_t began = ch_mono_ms();
	int rc;

	snprintf(source, sizeof(source), "sqlite:%s", m->snapshot.path);
	rc = ch_side_open(&from, source, err);
	if (!rc)
		rc = ch_postgres_fill(to, &from, m->how, &m->info.rows, err);
	m->info.copy_ms = ch_mono_ms() - began;
	return rc;
}

/* ---- what has changed since ---- */

/* The SQL that finds it; both databases are open on one connection.  One walk through the table
 * beside the snapshot's notes the keys of rows that are new or are others than they were; rows
 * that are gone are looked for only where the numbers say that there are any. */
struct delta_sql {
	const char *make;  /* a table for the keys, and whether the row is new */
	const char *note;  /* into it */
	const char *n_new; /* how many */
	const char *other; /* keys of rows to be replaced */
	const char *gone;  /* keys of rows to be removed */
	const char *rows;  /* rows that are to be there */
	const char *drop;
	const char *old_count;
};

struct parts {
	struct ch_buf join;   /* a.k = b.k AND … */
	struct ch_buf differ; /* a.c IS NOT b.c OR …, of all that is no key */
	struct ch_buf keys;   /* a.k, … */
	struct ch_buf cols;   /* a.c, … */
	struct ch_buf names;  /* k, … */
};

static void parts_init(struct parts *parts)
{
	ch_buf_init(&parts->join, SQL_MAX_B);
	ch_buf_init(&parts->differ, SQL_MAX_B);
	ch_buf_init(&parts->keys, SQL_MAX_B);
	ch_buf_init(&parts->cols, SQL_MAX_B);
	ch_buf_init(&parts->names, SQL_MAX_B);
}

static void parts_done(struct parts *parts)
{
	ch_buf_done(&parts->join);
	ch_buf_done(&parts->differ);
	ch_buf_done(&parts->keys);
	ch_buf_done(&parts->cols);
	ch_buf_done(&parts->names);
}

static bool is_key(const struct ch_table *t, size_t col)
{
	for (size_t i = 0; i < t->n_keys; i++)
		if (t->keys[i] == col)
			return true;
	return false;
}

static int parts_write(struct parts *p, const struct ch_table *t)
{
	for (size_t i = 0; i < t->n_keys; i++) {
		const char *col = t->cols[t->keys[i]];

		ch_buf_addf(&p->join, "%sa.%s = b.%s", i ? " AND " : "", col, col);
		ch_buf_addf(&p->keys, "%sa.%s", i ? ", " : "", col);
		ch_buf_addf(&p->names, "%s%s", i ? ", " : "", col);
	}
	for (size_t i = 0; i < t->n_cols; i++) {
		if (!is_key(t, i))
			ch_buf_addf(&p->differ, " OR a.%s IS NOT b.%s", t->cols[i], t->cols[i]);
		ch_buf_addf(&p->cols, "%sa.%s", i ? ", " : "", t->cols[i]);
	}
	return p->join.rc || p->differ.rc || p->keys.rc || p->cols.rc || p->names.rc ? CH_ENOMEM
										     : CH_OK;
}

static int write_delta_sql(
	const struct ch_table *t, struct ch_arena *arena, struct delta_sql *ret_sql)
{
	CH_CLEANUP(parts_done) struct parts p;
	const char *key = t->cols[t->keys[0]];
	const char *keys;
	const char *names;
	const char *join;
	int rc;

	parts_init(&p);
	rc = parts_write(&p, t);
	if (rc)
		return rc;
	keys = ch_buf_str(&p.keys);
	names = ch_buf_str(&p.names);
	join = ch_buf_str(&p.join);
	*ret_sql = (struct delta_sql){
		.make = ch_arena_fmt(arena,
			"CREATE TEMP TABLE changed (is_new, %s, PRIMARY KEY (%s)) WITHOUT "
			"ROWID",
			names, names),
		.note = ch_arena_fmt(arena,
			"INSERT INTO temp.changed SELECT b.%s IS NULL, %s FROM main.%s a LEFT "
			"JOIN "
			"old.%s b ON %s WHERE b.%s IS NULL%s",
			key, keys, t->name, t->name, join, key, ch_buf_str(&p.differ)),
		.n_new = "SELECT count(*) FROM temp.changed WHERE is_new",
		.other = ch_arena_fmt(
			arena, "SELECT %s FROM temp.changed a WHERE NOT is_new", keys),
		.gone = ch_arena_fmt(arena,
			"SELECT %s FROM old.%s a LEFT JOIN main.%s b ON %s WHERE b.%s IS NULL",
			keys, t->name, t->name, join, key),
		.rows = ch_arena_fmt(arena,
			"SELECT %s FROM temp.changed b CROSS JOIN main.%s a ON %s",
			ch_buf_str(&p.cols), t->name, join),
		.drop = "DROP TABLE temp.changed",
		.old_count = ch_arena_fmt(arena, "SELECT count(*) FROM old.%s", t->name),
	};
	return ret_sql->make && ret_sql->note && ret_sql->other && ret_sql->gone &&
			       ret_sql->rows && ret_sql->old_count
		       ? CH_OK
		       : CH_ENOMEM;
}

struct delta {
	struct move *move;
	struct ch_db *from;
	struct ch_db *to;
	const struct ch_table *table;
	struct delta_sql sql;
};

static int remove_row(struct delta *d, struct ch_stmt *found)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_arg keys[CH_TABLE_KEYS_MAX];
	int rc;

	for (size_t i = 0; i < d->table->n_keys; i++)
		ch_table_value(d->table->types[d->table->keys[i]], found, (int)i, &keys[i]);
	rc = ch_db_query_args(
		d->to, &stmt, d->table->remove, d->table->remove_fmt, keys, d->table->n_keys);
	return rc ? rc : d->to->driver->run(d->to, stmt);
}

static int remove_rows(struct delta *d, const char *keys)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(d->from, &stmt, keys, "");
	int step = 0;

	while (!rc && (step = ch_db_step(d->from, stmt)) == 1)
		rc = remove_row(d, stmt);
	return rc ? rc : step;
}

static int fill_changed(struct ch_pg_copy *copy, void *arg)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_arg row[CH_TABLE_COLS_MAX];
	struct delta *d = arg;
	int rc = ch_db_query(d->from, &stmt, d->sql.rows, "");
	int step = 0;

	while (!rc && (step = ch_db_step(d->from, stmt)) == 1) {
		ch_table_row(d->table, stmt, row);
		rc = ch_pg_copy_row(copy, row);
		d->move->info.changed_rows++;
	}
	return rc ? rc : step;
}

/* *ret_rows: that are here. */
static int bring_changes(struct delta *d, int64_t *ret_rows)
{
	int64_t before = 0;
	int64_t n_new = 0;
	int rc = ch_db_script(d->from, d->sql.make);

	if (!rc)
		rc = ch_db_script(d->from, d->sql.note);
	if (!rc)
		rc = ch_db_get_i64(d->from, &n_new, d->sql.n_new, "");
	if (!rc)
		rc = ch_db_get_i64(d->from, ret_rows, d->table->count, "");
	if (!rc)
		rc = ch_db_get_i64(d->from, &before, d->sql.old_count, "");
	if (!rc)
		rc = remove_rows(d, d->sql.other);
	if (!rc && before + n_new != *ret_rows)
		rc = remove_rows(d, d->sql.gone);
	if (!rc)
		rc = ch_pg_copy(d->to, d->table, fill_changed, d);
	return rc ? rc : ch_db_script(d->from, d->sql.drop);
}

static int follow_table(struct delta *d, struct ch_arena *arena, struct ch_err *err)
{
	int64_t here = 0;
	int64_t there = 0;
	int rc = write_delta_sql(d->table, arena, &d->sql);

	if (!rc)
		rc = bring_changes(d, &here);
	if (!rc)
		rc = ch_db_get_i64(d->to, &there, d->table->count, "");
	if (rc || here == there)
		return ch_side_err(rc, d->from, d->to, "changes cannot be copied", err);
	return ch_err_set(err, CH_ECORRUPT, "copy-differs",
		"table %s has %jd rows here and %jd in PostgreSQL: nothing was changed",
		d->table->name, (intmax_t)here, (intmax_t)there);
}

/* Triggers have done their work in SQLite. */
static int follow_all(struct delta *d, struct ch_arena *arena, struct ch_err *err)
{
	CH_AUTO_FREE struct ch_tables *tables = malloc(sizeof(*tables));
	struct ch_sink sink = {.db = d->to, .is_postgres = true, .arena = arena};
	int rc =
		tables ? ch_tables_load(d->from, CH_TABLES_OF_STORE, arena, tables) : CH_ENOMEM;

	if (!rc)
		rc = ch_sink_quiet(&sink);
	if (rc)
		return ch_side_err(rc, d->from, d->to, "tables cannot be read", err);
	for (size_t i = 0; !rc && i < tables->n; i++) {
		d->table = &tables->list[i];
		rc = ch_transfer_tell(d->move->how, "changes", i, tables->n);
		if (!rc)
			rc = follow_table(d, arena, err);
	}
	return rc ? rc : ch_side_err(ch_sink_finish(&sink), NULL, d->to, "triggers", err);
}

static int attach(struct ch_db *db, const char *snapshot)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, "ATTACH DATABASE ? AS old", "t", snapshot);

	return rc ? rc : ch_db_step(db, stmt);
}

/* At no moment may stores open both: first this one is closed to them, then the other becomes
 * one.  Whoever is killed between leaves a mark that says where to look. */
static int hand_over(struct move *m, struct ch_db *db, struct ch_side *to, struct ch_err *err)
{
	struct ch_err why;
	int rc = ch_side_err(
		ch_sqlite_mark_moving(db, m->url), NULL, db, "nothing was changed", err);

	if (rc)
		return rc;
	tell_anyway(m, "handing over");
	rc = ch_postgres_commit(to, &why);
	if (rc)
		return ch_err_set(err, rc, "move-unfinished",
			"PostgreSQL did not confirm (%.200s): run the same command again, "
			"which "
			"finds out how far it came; no store opens %.200s until then",
			why.detail, m->path);
	tell_anyway(m, "handed over");
	/* Whoever is killed from here on never comes back to it. */
	drop_snapshot(m->path);
	return ch_side_err(ch_sqlite_mark_moved(db), NULL, db,
		"all is in PostgreSQL, but the SQLite database is still marked as on its way "
		"and "
		"may have ticket keys: end what has it open, and run the same command again",
		err);
}

static int follow(struct move *m, struct ch_side *to, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *db = NULL;
	struct delta d = {.move = m, .to = to->db};
	int rc = ch_db_sqlite_open(m->path, SQLITE_OPEN_READWRITE, &db, err);

	if (rc)
		return rc;
	d.from = db;
	rc = ch_side_err(ch_db_script(db, "PRAGMA mmap_size = 68719476736;"
					  "PRAGMA temp_store = MEMORY"),
		NULL, db, m->path, err);
	if (!rc)
		rc = ch_side_err(attach(db, m->snapshot.path), NULL, db, m->snapshot.path, err);
	if (!rc)
		rc = follow_all(&d, to->arena, err);
	if (!rc)
		rc = hand_over(m, db, to, err);
	if (!rc)
		ch_postgres_analyze(to);
	return rc;
}

/* ---- the stop ---- */

static int wait_for_stop(struct move *m, struct ch_err *err)
{
	for (;;) {
		struct timespec pause = {.tv_nsec = WAIT_MS * 1000000L};
		int rc = ch_sqlite_lock(m->path, &m->lock_fd, err);

		if (rc != CH_ECONFLICT)
			return rc;
		rc = ch_transfer_tell(m->how, "wait", 0, 0);
		if (rc)
			return ch_side_err(rc, NULL, NULL, "", err);
		nanosleep(&pause, NULL);
	}
}

/* ---- what a killed run left ---- */

/* Whether the database there is the one of here: the epoch is random, and comes along. */
static int has_arrived(
	struct ch_db *here, struct ch_side *to, bool *ret_arrived, struct ch_err *err)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_meta mine;
	uint8_t theirs[CH_EPOCH_B];
	int rc = ch_side_err(ch_db_meta_load(here, &mine), NULL, here, "its epoch", err);

	*ret_arrived = false;
	if (rc || !to->schema)
		return rc;
	/* A commit that its client did not live to see may still be under way. */
	rc = ch_db_script(
		to->db, "BEGIN; SELECT pg_advisory_xact_lock(" CH_POSTGRES_WRITER_LOCK ")");
	if (!rc)
		rc = ch_db_query(to->db, &stmt, "SELECT epoch FROM meta LIMIT 1", "");
	if (!rc)
		rc = ch_db_step(to->db, stmt);
	if (rc == 1) {
		rc = CH_OK;
		ch_db_bytes(stmt, 0, theirs, sizeof(theirs), &rc);
		*ret_arrived = memcmp(theirs, mine.epoch, sizeof(theirs)) == 0;
	}
	ch_db_reset_p(&stmt);
	if (!rc)
		rc = ch_db_script(to->db, "COMMIT");
	return ch_side_err(rc, NULL, to->db, "the PostgreSQL database", err);
}

/* A database that is on its way and has not arrived is given back; *ret_arrived: it has. */
static int settle(const char *path, struct ch_db *db, struct ch_side *to, bool *ret_arrived,
	struct ch_err *err)
{
	int rc = has_arrived(db, to, ret_arrived, err);

	if (!rc && !*ret_arrived)
		/* Whatever is there, it is not for us to say that nothing of ours is in it. */
		rc = to->schema ? ch_postgres_empty(to, err) : CH_OK;
	if (rc)
		return rc;
	drop_snapshot(path);
	return ch_side_err(*ret_arrived ? ch_sqlite_mark_moved(db) : ch_sqlite_unmark(db), NULL,
		db, "its mark", err);
}

/* *ret_url: where it is on its way to, NULL: it is not. */
static int open_left(struct move *m, struct ch_arena *arena, struct ch_db **ret_db,
	const char **ret_url, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *db = NULL;
	int rc;

	*ret_url = NULL;
	if (access(m->path, F_OK) < 0)
		return CH_OK; /* for the copy to complain of */
	rc = ch_db_sqlite_open(m->path, SQLITE_OPEN_READWRITE, &db, err);
	if (rc)
		return rc;
	rc = ch_sqlite_moving_to(db, arena, ret_url);
	if (rc == CH_ENOTFOUND)
		return CH_OK;
	if (!rc)
		rc = ch_sqlite_lock(m->path, &m->lock_fd, err);
	else
		rc = ch_side_err(rc, NULL, db, m->path, err);
	if (!rc)
		*ret_db = TAKE_PTR(db);
	return rc;
}

static void unlock(struct move *m)
{
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	m->lock_fd = -1;
}

/* *ret_arrived: nothing is left to do. */
static int resume(struct move *m, struct ch_side *to, bool *ret_arrived, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *db = NULL;
	const char *url;
	int rc = open_left(m, to->arena, &db, &url, err);

	*ret_arrived = false;
	if (rc || !url)
		return rc;
	if (strcmp(url, m->url) != 0)
		return ch_err_set(err, CH_ECONFLICT, "moving-elsewhere",
			"%.200s is on its way to %.300s: finish that, or `certherd migrate "
			"--abandon`",
			m->path, url);
	rc = settle(m->path, db, to, ret_arrived, err);
	unlock(m);
	return rc;
}

int ch_move_abandon(
	const char *path, const char **ret_url, struct ch_arena *arena, struct ch_err *err)
{
	CH_CLEANUP(ch_side_done) struct ch_side to = {.db = NULL};
	CH_AUTO_DB struct ch_db *db = NULL;
	struct move m = {.path = path, .lock_fd = -1};
	bool arrived = false;
	int rc = open_left(&m, arena, &db, ret_url, err);

	if (!rc && !*ret_url)
		rc = ch_err_set(err, CH_ENOTFOUND, "not-moving",
			"%.300s is not on its way anywhere: there is nothing to abandon; the "
			"way back from a move that is done is in doc/backup.md",
			path);
	if (!rc)
		rc = ch_side_open(&to, *ret_url, err);
	if (!rc)
		rc = settle(path, db, &to, &arrived, err);
	unlock(&m);
	if (!rc && arrived)
		rc = ch_err_set(err, CH_ECONFLICT, "database-moved",
			"it is too late: all is in PostgreSQL.  Set `database = %.300s` in "
			"[store]",
			*ret_url);
	return rc;
}

static int move_all(struct move *m, struct ch_side *to, struct ch_err *err)
{
	int64_t stopped;
	bool arrived;
	int rc = resume(m, to, &arrived, err);

	if (rc || arrived)
		return rc;
	rc = ch_postgres_empty(to, err);
	if (!rc)
		rc = take_snapshot(m, err);
	if (!rc)
		rc = copy_snapshot(m, to, err);
	if (!rc)
		rc = wait_for_stop(m, err);
	stopped = ch_mono_ms();
	if (!rc)
		rc = follow(m, to, err);
	m->info.pause_ms = ch_mono_ms() - stopped;
	return rc;
}

int ch_move_to_postgres(const char *path, const char *url, const struct ch_transfer *how,
	struct ch_move_info *ret_info, struct ch_err *err)
{
	CH_CLEANUP(ch_side_done) struct ch_side to = {.db = NULL};
	struct move m = {
		.path = path, .url = url, .how = how, .lock_fd = -1, .snapshot = {.fd = -1}};
	int rc = ch_side_open(&to, url, err);

	if (!rc)
		rc = move_all(&m, &to, err);
	ch_partial_done(&m.snapshot);
	unlock(&m);
	if (!rc)
		*ret_info = m.info;
	return rc;
}
