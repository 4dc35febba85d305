#include <inttypes.h>

#include "base/clock.h"
#include "store/migrations.h"
#include "store/sqlite_work.h"

/* The version that brought policies. */
#define POLICY_VERSION 2
/* PRAGMA application_id of our files: "CRTH". */
#define APPLICATION_ID INT64_C(0x43525448)

static int check_owner(struct ch_sq *sq, const char *path, int64_t version, struct ch_err *err)
{
	int64_t id;
	int64_t tables;
	int rc = ch_sq_get_i64(sq, &id, "PRAGMA application_id", "");

	if (!rc)
		rc = ch_sq_get_i64(sq, &tables, "SELECT count(*) FROM sqlite_schema", "");
	if (rc)
		return ch_sq_err(sq, path, err);
	if (id != APPLICATION_ID && (id || tables || version))
		return ch_err_set(err, CH_EUNSUPPORTED, "bad-database",
			"%.300s is an SQLite database of another program", path);
	if (version > (int64_t)ch_migrations_sqlite_n)
		return ch_err_set(err, CH_EUNSUPPORTED, "schema-newer",
			"%.300s has schema %" PRId64
			", made by a newer certherd; this one knows "
			"up to %u: start the newer program",
			path, version, ch_migrations_sqlite_n);
	return CH_OK;
}

/* Edges learn a name's tenant from its policy: names from before there were any have none. */
static int tell_tenants(struct ch_sq *sq)
{
	struct ch_work w = {.sq = sq, .now = ch_now_ms()};
	struct ch_work_tx before;
	int rc = ch_work_load_meta(&w);

	before = w.tx;
	if (!rc)
		rc = ch_work_emit_tenants(&w);
	return rc ? rc : ch_work_save_meta(&w, &before);
}

static int migrate_locked(struct ch_sq *sq, const char *path, struct ch_err *err)
{
	int64_t version;
	int64_t found;
	int rc = ch_sq_get_i64(sq, &version, "PRAGMA user_version", "");

	if (rc)
		return ch_sq_err(sq, path, err);
	rc = check_owner(sq, path, version, err);
	if (rc)
		return rc;
	for (found = version; version < (int64_t)ch_migrations_sqlite_n; version++) {
		char *note;

		if (ch_sq_script(sq, ch_migrations_sqlite[version]))
			return ch_sq_err(sq, path, err);
		note = sqlite3_mprintf(
			"PRAGMA user_version = %lld; PRAGMA application_id = %lld",
			(long long)version + 1, (long long)APPLICATION_ID);
		if (!note)
			return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
		rc = ch_sq_script(sq, note);
		sqlite3_free(note);
		if (rc)
			return ch_sq_err(sq, path, err);
	}
	/* After all scripts: it works on the newest schema. */
	if (found > 0 && found < POLICY_VERSION && tell_tenants(sq))
		return ch_sq_err(sq, path, err);
	return CH_OK;
}

int ch_sqlite_migrate(struct ch_sq *sq, const char *path, struct ch_err *err)
{
	int rc;

	if (ch_sq_script(sq, "BEGIN IMMEDIATE"))
		return ch_sq_err(sq, path, err);
	rc = migrate_locked(sq, path, err);
	if (!rc && ch_sq_script(sq, "COMMIT"))
		rc = ch_sq_err(sq, path, err);
	if (rc && !sqlite3_get_autocommit(sq->db) && ch_sq_script(sq, "ROLLBACK"))
		return ch_sq_err(sq, path, err);
	return rc;
}
