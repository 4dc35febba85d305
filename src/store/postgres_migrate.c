#include "store/postgres_migrate.h"

#include <inttypes.h>
#include <stdio.h>

#include "store/migrations.h"
#include "store/schema.h"

#define NAME "the PostgreSQL database"

/* A column is added only where it is missing: ALTER TABLE would wait for all who read. */
static int make_table(struct ch_db *db)
{
	int64_t found;
	int rc = ch_db_script(db, "CREATE TABLE IF NOT EXISTS certherd_schema (version bigint, "
				  "compatible_from bigint)");

	if (!rc)
		rc = ch_db_get_i64(db, &found,
			"SELECT count(*) FROM pg_attribute WHERE attname = 'compatible_from' "
			"AND attrelid = 'certherd_schema'::regclass",
			"");
	if (!rc && !found)
		rc = ch_db_script(
			db, "ALTER TABLE certherd_schema ADD COLUMN compatible_from bigint");
	return rc;
}

static int read_schema(struct ch_db *db, int64_t *ret_version, int64_t *ret_from)
{
	int rc = make_table(db);

	if (!rc)
		rc = ch_db_get_i64(db, ret_version, "SELECT version FROM certherd_schema", "");
	if (rc == CH_ENOTFOUND) {
		*ret_version = *ret_from = 0;
		return ch_db_script(db,
			"INSERT INTO certherd_schema (version, compatible_from) VALUES (0, 0)");
	}
	if (!rc)
		rc = ch_db_get_i64(db, ret_from,
			"SELECT coalesce(compatible_from, version) FROM certherd_schema", "");
	return rc;
}

static int migrate_locked(struct ch_db *db, struct ch_err *err)
{
	int64_t version;
	int64_t from;

	if (read_schema(db, &version, &from))
		return ch_db_err(db, NAME, err);
	if (version > (int64_t)ch_migrations_postgres_n)
		return ch_schema_check(version, from, ch_migrations_postgres_n, NAME, err);
	for (; version < (int64_t)ch_migrations_postgres_n; version++)
		if (ch_db_script(db, ch_migrations_postgres[version]))
			return ch_db_err(db, NAME, err);
	if (ch_db_run(db,
		    "UPDATE certherd_schema SET version = ?1, compatible_from = ?2 "
		    "WHERE version <> ?1 OR compatible_from IS DISTINCT FROM ?2",
		    "ii", version, (int64_t)ch_migrations_postgres_from) ||
		ch_db_settle(db))
		return ch_db_err(db, NAME, err);
	return CH_OK;
}

int ch_postgres_migrate(struct ch_db *db, struct ch_err *err)
{
	int rc;

	/* A migration takes as long as it takes; the limit is there for what requests ask. */
	if (ch_db_script(db, "BEGIN; SET LOCAL statement_timeout = 0;"
			     "SELECT pg_advisory_xact_lock(" CH_POSTGRES_WRITER_LOCK ")"))
		return ch_db_err(db, NAME, err);
	rc = migrate_locked(db, err);
	if (!rc && ch_db_script(db, "COMMIT"))
		rc = ch_db_err(db, NAME, err);
	if (rc && ch_db_in_transaction(db) && ch_db_script(db, "ROLLBACK"))
		return ch_db_err(db, NAME, err);
	return rc;
}
