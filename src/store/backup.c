/* Writing and reading backups. */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/db_sqlite.h"
#include "store/sqlite_migrate.h"

#define MANIFEST                                                                               \
	"CREATE TABLE backup (one INTEGER PRIMARY KEY CHECK (one = 1), made_at INTEGER NOT "   \
	"NULL, source TEXT NOT NULL, version TEXT NOT NULL) STRICT;"                           \
	"CREATE TABLE backup_table (name TEXT PRIMARY KEY, n INTEGER NOT NULL, sha256 BLOB "   \
	"NOT NULL) STRICT;"                                                                    \
	"PRAGMA application_id = 0x43525442;"
#define APPLICATION_ID INT64_C(0x43525442) /* "CRTB" */

int ch_transfer_tell(
	const struct ch_transfer *how, const char *doing, uint64_t rows, uint64_t all_rows)
{
	return how && how->progress ? how->progress(doing, rows, all_rows, how->arg) : CH_OK;
}

/* ---- writing ---- */

static int note_table(
	struct ch_db *db, const struct ch_table *table, const struct ch_copied *copied)
{
	return ch_db_run(db, "INSERT INTO backup_table (name, n, sha256) VALUES (?, ?, ?)",
		"tib", table->name, copied->rows, copied->sha256, sizeof(copied->sha256));
}

static int copy_all(const struct ch_side *from, struct ch_db *to, struct ch_arena *arena,
	const struct ch_transfer *how, struct ch_err *err)
{
	CH_AUTO_FREE struct ch_tables *tables = malloc(sizeof(*tables));
	struct ch_sink sink = {.db = to, .arena = arena};
	uint64_t all = 0;
	uint64_t done = 0;
	int rc = tables ? ch_tables_load(to, CH_TABLES_OF_BACKUP, arena, tables) : CH_ENOMEM;

	if (!rc)
		rc = ch_sink_begin(&sink, tables);
	if (!rc)
		rc = ch_db_script(to, MANIFEST);
	if (!rc)
		rc = ch_count_rows(from->db, tables, &all);
	for (size_t i = 0; !rc && i < tables->n; i++) {
		struct ch_copied copied;

		rc = ch_copy_table(from->db, &sink, &tables->list[i], how, done, all, &copied);
		if (!rc)
			rc = note_table(to, &tables->list[i], &copied);
		done += rc ? 0 : copied.rows;
	}
	if (!rc)
		rc = ch_db_run(to,
			"INSERT INTO backup (one, made_at, source, version) VALUES (1, ?, ?, "
			"?)",
			"itt", ch_now_ms(), from->is_postgres ? "postgresql" : "sqlite",
			CH_VERSION);
	return ch_side_err(rc, from->db, to, "the rows cannot be copied", err);
}

static int write_file(const struct ch_side *from, struct ch_partial *partial,
	const struct ch_transfer *how, struct ch_err *err)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	CH_AUTO_DB struct ch_db *to = NULL;
	int rc = ch_arena_new(0, &arena);

	if (rc)
		return ch_err_set(err, rc, "internal", "out of memory");
	rc = ch_partial_begin(partial, from->schema, &to, err);
	if (!rc)
		rc = ch_side_err(ch_db_script(to, "BEGIN"), NULL, to, partial->path, err);
	if (!rc)
		rc = copy_all(from, to, arena, how, err);
	if (!rc)
		rc = ch_side_err(ch_db_script(to, "COMMIT"), NULL, to, partial->path, err);
	return rc;
}

int ch_backup_write(const char *database, const char *file, const struct ch_transfer *how,
	struct ch_backup_info *ret_info, struct ch_err *err)
{
	CH_CLEANUP(ch_side_done) struct ch_side from = {.db = NULL};
	CH_AUTO_PARTIAL struct ch_partial partial = {.fd = -1};
	int rc = ch_partial_absent(file, err);

	if (!rc)
		rc = ch_partial_init(&partial, file, ".partial", err);
	if (!rc)
		rc = ch_side_open(&from, database, err);
	if (!rc)
		rc = ch_side_begin_read(&from, err);
	if (!rc)
		rc = write_file(&from, &partial, how, err);
	if (!rc)
		rc = ch_partial_finish(&partial, file, err);
	return rc ? rc : ch_backup_info_read(file, ret_info, err);
}

/* ---- reading ---- */

static int bad(struct ch_err *err, const char *file, const char *what)
{
	return ch_err_set(err, CH_ECORRUPT, "bad-backup", "%.300s %s", file, what);
}

static int check_kind(struct ch_db *db, const char *file, struct ch_err *err)
{
	int64_t id;
	int64_t schema;
	int rc = ch_db_get_i64(db, &id, "PRAGMA application_id", "");

	if (!rc)
		rc = ch_db_get_i64(db, &schema, "PRAGMA user_version", "");
	if (rc)
		return bad(err, file,
			"cannot be read as a backup: it is cut, damaged or something else; use "
			"another");
	if (id != APPLICATION_ID)
		return bad(err, file, "is no backup made by `certherd backup`");
	return ch_transfer_schema(schema, file, err);
}

int ch_backup_open(const char *file, struct ch_db **ret_db, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *db = NULL;
	struct stat st;
	int rc;

	if (stat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return ch_err_set(err, CH_ENOTFOUND, "no-backup", "there is no file %.300s: %s",
			file, strerror(errno));
	rc = ch_db_sqlite_open(file, SQLITE_OPEN_READONLY, &db, err);
	if (!rc)
		rc = check_kind(db, file, err);
	if (!rc)
		*ret_db = TAKE_PTR(db);
	return rc;
}

static int read_info(struct ch_db *db, struct ch_backup_info *info)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int64_t n = 0;
	int rc = ch_db_query(db, &stmt, "SELECT made_at, source, version FROM backup", "");

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	info->made_at_ms = ch_db_i64(stmt, 0);
	ch_db_copy(stmt, 1, info->source, sizeof(info->source), &rc);
	ch_db_copy(stmt, 2, info->version, sizeof(info->version), &rc);
	if (!rc)
		rc = ch_db_get_i64(db, &n, "PRAGMA user_version", "");
	info->schema = (uint64_t)n;
	if (!rc)
		rc = ch_db_get_i64(db, &n, "SELECT sum(n) FROM backup_table", "");
	info->rows = (uint64_t)n;
	if (!rc)
		rc = ch_db_get_i64(
			db, &n, "SELECT n FROM backup_table WHERE name = 'name'", "");
	info->names = (uint64_t)n;
	if (!rc)
		rc = ch_db_get_i64(
			db, &n, "SELECT n FROM backup_table WHERE name = 'cert'", "");
	info->certs = (uint64_t)n;
	if (!rc)
		rc = ch_db_get_i64(
			db, &n, "SELECT count(*) FROM orders WHERE ended_at IS NULL", "");
	info->open_orders = (uint64_t)n;
	return rc;
}

int ch_backup_info_read(const char *file, struct ch_backup_info *ret_info, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *db = NULL;
	struct ch_backup_info info = {.rows = 0};
	struct stat st;
	int rc = ch_backup_open(file, &db, err);

	if (rc)
		return rc;
	if (read_info(db, &info) || stat(file, &st) < 0)
		return bad(err, file, "does not say what is in it");
	info.size_b = (uint64_t)st.st_size;
	*ret_info = info;
	return CH_OK;
}

int ch_backup_same(struct ch_db *db, const char *file, const struct ch_table *table,
	const struct ch_copied *copied, struct ch_err *err)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char what[200];
	int rc = ch_db_query(db, &stmt, "SELECT n, sha256 FROM backup_table WHERE name = ?",
		"t", table->name);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc == 1 && ch_db_u64(stmt, 0) == copied->rows &&
		ch_db_col_len(stmt, 1) == sizeof(copied->sha256) &&
		memcmp(ch_db_col_blob(stmt, 1), copied->sha256, sizeof(copied->sha256)) == 0)
		return CH_OK;
	snprintf(what, sizeof(what),
		"is damaged: table %s is not as it was written; use another backup",
		table->name);
	return bad(err, file, what);
}

int ch_backup_tables(struct ch_db *db, const char *file, struct ch_arena *arena,
	struct ch_tables *ret_tables, struct ch_err *err)
{
	int64_t n = 0;

	if (ch_tables_load(db, CH_TABLES_OF_BACKUP, arena, ret_tables) ||
		ch_db_get_i64(db, &n, "SELECT count(*) FROM backup_table", ""))
		return bad(err, file, "cannot be read");
	if ((uint64_t)n != ret_tables->n)
		return bad(err, file, "has other tables than it says");
	return CH_OK;
}

static int check_all(struct ch_db *db, const char *file, const struct ch_backup_info *info,
	const struct ch_transfer *how, struct ch_err *err)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	CH_AUTO_FREE struct ch_tables *tables = malloc(sizeof(*tables));
	uint64_t done = 0;
	int rc = ch_arena_new(0, &arena);

	if (rc || !tables)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	rc = ch_backup_tables(db, file, arena, tables, err);
	for (size_t i = 0; !rc && i < tables->n; i++) {
		struct ch_copied copied;

		rc = ch_digest_table(
			db, &tables->list[i], how, "checked", done, info->rows, &copied);
		if (rc)
			return rc == CH_ECANCELED ? ch_err_set(err, rc, "canceled", "stopped")
						  : bad(err, file, "cannot be read to its end");
		rc = ch_backup_same(db, file, &tables->list[i], &copied, err);
		done += copied.rows;
	}
	return rc;
}

int ch_backup_check(const char *file, const struct ch_transfer *how,
	struct ch_backup_info *ret_info, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *db = NULL;
	struct ch_backup_info info;
	int rc = ch_backup_info_read(file, &info, err);

	if (!rc)
		rc = ch_backup_open(file, &db, err);
	if (!rc)
		rc = check_all(db, file, &info, how, err);
	if (!rc)
		*ret_info = info;
	return rc;
}
