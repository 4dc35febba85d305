#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/db_sqlite.h"
#include "store/migrations.h"
#include "store/schema.h"
#include "store/sql_work.h"
#include "store/sqlite_migrate.h"

/* The version that brought policies. */
#define POLICY_VERSION 2
/* PRAGMA application_id of our files: "CRTH"; of what was moved away from: "CRTM"; of what is
 * just being moved, nobody knows how far: "CRTW". */
#define APPLICATION_ID INT64_C(0x43525448)
#define MOVED_ID INT64_C(0x4352544d)
#define MOVING_ID INT64_C(0x43525457)

static int check_owner(struct ch_db *db, const char *path, int64_t version, struct ch_err *err)
{
	int64_t id;
	int64_t tables;
	int rc = ch_db_get_i64(db, &id, "PRAGMA application_id", "");

	if (!rc)
		rc = ch_db_get_i64(db, &tables, "SELECT count(*) FROM sqlite_schema", "");
	if (rc)
		return ch_db_err(db, path, err);
	if (id == MOVED_ID)
		return ch_err_set(err, CH_EUNSUPPORTED, "database-moved",
			"%.300s was moved to PostgreSQL: set `database` in [store] to where it "
			"went (doc/backup.md says how to go back)",
			path);
	if (id == MOVING_ID)
		return ch_err_set(err, CH_EUNSUPPORTED, "database-moving",
			"%.300s is being moved to PostgreSQL, and a migration was cut short "
			"when "
			"all was there: run the same `certherd migrate` again, which finishes "
			"it; or "
			"`certherd migrate --abandon`, which gives this database back unless "
			"the "
			"other one is complete",
			path);
	if (id != APPLICATION_ID && (id || tables || version))
		return ch_err_set(err, CH_EUNSUPPORTED, "bad-database",
			"%.300s is an SQLite database of another program", path);
	return CH_OK;
}

/* The database is a newer program's. */
static int check_newer(struct ch_db *db, const char *path, int64_t version, struct ch_err *err)
{
	int64_t from = version;
	int64_t told;
	int rc = ch_db_get_i64(db, &told,
		"SELECT count(*) FROM sqlite_schema WHERE name = 'certherd_schema'", "");

	if (!rc && told)
		rc = ch_db_get_i64(
			db, &from, "SELECT compatible_from FROM certherd_schema", "");
	if (rc)
		return ch_db_err(db, path, err);
	return ch_schema_check(version, from, ch_migrations_sqlite_n, path, err);
}

/* Nothing is written when it is so already: a store starts on a full disk too, and answers. */
static int tell_compatible(struct ch_db *db)
{
	int rc = ch_db_script(db, "CREATE TABLE IF NOT EXISTS certherd_schema ("
				  "one INTEGER PRIMARY KEY CHECK (one = 1), "
				  "compatible_from INTEGER NOT NULL) STRICT");

	if (!rc)
		rc = ch_db_run(db,
			"INSERT INTO certherd_schema (one, compatible_from) VALUES (1, ?) "
			"ON CONFLICT (one) DO UPDATE SET compatible_from = "
			"excluded.compatible_from "
			"WHERE certherd_schema.compatible_from <> excluded.compatible_from",
			"i", (int64_t)ch_migrations_sqlite_from);
	return rc;
}

/* Edges learn a name's tenant from its policy: names from before there were any have none. */
static int tell_tenants(struct ch_db *db)
{
	struct ch_work w = {.db = db, .now = ch_now_ms()};
	struct ch_work_tx before;
	int rc = ch_work_load_meta(&w);

	before = w.tx;
	if (!rc)
		rc = ch_work_emit_tenants(&w);
	return rc ? rc : ch_work_save_meta(&w, &before);
}

static int migrate_locked(struct ch_db *db, const char *path, int64_t to, struct ch_err *err)
{
	int64_t version;
	int64_t found;
	int rc = ch_db_get_i64(db, &version, "PRAGMA user_version", "");

	if (rc)
		return ch_db_err(db, path, err);
	rc = check_owner(db, path, version, err);
	if (rc)
		return rc;
	if (version > (int64_t)ch_migrations_sqlite_n)
		return check_newer(db, path, version, err);
	for (found = version; version < to; version++) {
		char note[128];

		if (ch_db_script(db, ch_migrations_sqlite[version]))
			return ch_db_err(db, path, err);
		snprintf(note, sizeof(note),
			"PRAGMA user_version = %" PRId64 "; PRAGMA application_id = %" PRId64,
			version + 1, APPLICATION_ID);
		if (ch_db_script(db, note))
			return ch_db_err(db, path, err);
	}
	if (to == (int64_t)ch_migrations_sqlite_n && tell_compatible(db))
		return ch_db_err(db, path, err);
	/* After all scripts: it works on the newest schema. */
	if (found > 0 && found < POLICY_VERSION && to == (int64_t)ch_migrations_sqlite_n &&
		tell_tenants(db))
		return ch_db_err(db, path, err);
	return CH_OK;
}

int ch_sqlite_migrate_to(struct ch_db *db, const char *path, int64_t to, struct ch_err *err)
{
	int rc;

	if (ch_db_script(db, "BEGIN IMMEDIATE"))
		return ch_db_err(db, path, err);
	rc = migrate_locked(db, path, to, err);
	if (!rc && ch_db_script(db, "COMMIT"))
		rc = ch_db_err(db, path, err);
	if (rc && ch_db_in_transaction(db) && ch_db_script(db, "ROLLBACK"))
		return ch_db_err(db, path, err);
	return rc;
}

int ch_sqlite_migrate(struct ch_db *db, const char *path, struct ch_err *err)
{
	return ch_sqlite_migrate_to(db, path, ch_migrations_sqlite_n, err);
}

int ch_sqlite_schema(
	struct ch_db *db, const char *path, int64_t *ret_version, struct ch_err *err)
{
	int64_t version;

	if (ch_db_get_i64(db, &version, "PRAGMA user_version", ""))
		return ch_db_err(db, path, err);
	*ret_version = version;
	return check_owner(db, path, version, err);
}

static int set_id(struct ch_db *db, int64_t id)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA application_id = %" PRId64, id);
	return ch_db_script(db, sql);
}

static int end(struct ch_db *db, int rc)
{
	if (!rc)
		rc = ch_db_script(db, "COMMIT");
	if (rc && ch_db_in_transaction(db))
		(void)!ch_db_script(db, "ROLLBACK");
	return rc;
}

int ch_sqlite_mark_moving(struct ch_db *db, const char *url)
{
	int rc = ch_db_script(db, "BEGIN IMMEDIATE; DROP TABLE IF EXISTS certherd_move;"
				  "CREATE TABLE certherd_move (url TEXT NOT NULL) STRICT");

	if (!rc)
		rc = ch_db_run(db, "INSERT INTO certherd_move (url) VALUES (?)", "t", url);
	if (!rc)
		rc = set_id(db, MOVING_ID);
	return end(db, rc);
}

int ch_sqlite_moving_to(struct ch_db *db, struct ch_arena *arena, const char **ret_url)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int64_t id;
	int rc = ch_db_get_i64(db, &id, "PRAGMA application_id", "");

	if (rc)
		return rc;
	if (id != MOVING_ID)
		return CH_ENOTFOUND;
	rc = ch_db_query(db, &stmt, "SELECT url FROM certherd_move LIMIT 1", "");
	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc != 1)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	*ret_url = ch_db_text(arena, stmt, 0, &rc);
	return rc;
}

int ch_sqlite_unmark(struct ch_db *db)
{
	int rc = ch_db_script(db, "BEGIN IMMEDIATE; DROP TABLE IF EXISTS certherd_move");

	if (!rc)
		rc = set_id(db, APPLICATION_ID);
	return end(db, rc);
}

/* What of older sets was longer than a page lies on free pages as it was: the store's
 * secure_delete, FAST, leaves those alone.  They are taken, which overwrites them, and given
 * back. */
#define OVERWRITE_FREE                                                                         \
	"DROP TABLE IF EXISTS certherd_wipe; CREATE TABLE certherd_wipe (fill BLOB);"          \
	"INSERT INTO certherd_wipe (fill) WITH RECURSIVE page (n) AS (SELECT 1 UNION ALL "     \
	"SELECT n + 1 FROM page LIMIT (SELECT freelist_count FROM pragma_freelist_count)) "    \
	"SELECT zeroblob((SELECT page_size FROM pragma_page_size) - 64) FROM page;"            \
	"DROP TABLE certherd_wipe"

/* Both the pages of before, in the file, and those of the log, which may be older still. */
static int empty_log(struct ch_db *db)
{
	int64_t busy;
	int rc = ch_db_get_i64(db, &busy, "PRAGMA main.wal_checkpoint(TRUNCATE)", "");

	if (rc)
		return rc;
	return busy ? CH_EAGAIN : CH_OK;
}

/* The file stays, and nobody prunes it: the ticket keys must not.  They are gone before it says
 * that it has arrived, so who is killed between does it again. */
int ch_sqlite_mark_moved(struct ch_db *db)
{
	int rc =
		end(db, ch_db_script(db, "PRAGMA secure_delete = ON; BEGIN IMMEDIATE;"
					 "UPDATE ticket_set SET record = x'';" OVERWRITE_FREE));

	if (!rc)
		rc = empty_log(db);
	if (!rc)
		rc = ch_db_script(db, "BEGIN IMMEDIATE");
	if (!rc)
		rc = set_id(db, MOVED_ID);
	return end(db, rc);
}
