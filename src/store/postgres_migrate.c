#include "store/postgres_migrate.h"

#include <inttypes.h>
#include <stdio.h>

#include "store/migrations.h"

#define NAME "the PostgreSQL database"

static int read_version(struct ch_db *db, int64_t *ret_version)
{
	return ch_db_get_i64(db, ret_version, "SELECT version FROM certherd_schema", "");
}

static int migrate_locked(struct ch_db *db, struct ch_err *err)
{
	int64_t version;

	if (ch_db_script(db, "CREATE TABLE IF NOT EXISTS certherd_schema (version bigint)"))
		return ch_db_err(db, NAME, err);
	switch (read_version(db, &version)) {
	case CH_OK:
		break;
	case CH_ENOTFOUND:
		version = 0;
		if (ch_db_script(db, "INSERT INTO certherd_schema VALUES (0)"))
			return ch_db_err(db, NAME, err);
		break;
	default:
		return ch_db_err(db, NAME, err);
	}
	if (version > (int64_t)ch_migrations_postgres_n)
		return ch_err_set(err, CH_EUNSUPPORTED, "schema-newer",
			NAME " has schema %" PRId64
			     ", made by a newer certherd; this one knows up to %u: start the "
			     "newer program",
			version, ch_migrations_postgres_n);
	for (; version < (int64_t)ch_migrations_postgres_n; version++)
		if (ch_db_script(db, ch_migrations_postgres[version]))
			return ch_db_err(db, NAME, err);
	if (ch_db_run(db, "UPDATE certherd_schema SET version = ?", "i", version) ||
		ch_db_settle(db))
		return ch_db_err(db, NAME, err);
	return CH_OK;
}

int ch_postgres_migrate(struct ch_db *db, struct ch_err *err)
{
	int rc;

	if (ch_db_script(
		    db, "BEGIN; SELECT pg_advisory_xact_lock(" CH_POSTGRES_WRITER_LOCK ")"))
		return ch_db_err(db, NAME, err);
	rc = migrate_locked(db, err);
	if (!rc && ch_db_script(db, "COMMIT"))
		rc = ch_db_err(db, NAME, err);
	if (rc && ch_db_in_transaction(db) && ch_db_script(db, "ROLLBACK"))
		return ch_db_err(db, NAME, err);
	return rc;
}
