#include "store/postgres_fill.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/migrations.h"
#include "store/postgres_migrate.h"

int ch_postgres_empty(struct ch_side *side, struct ch_err *err)
{
	int64_t one;
	int rc;

	if (side->schema && ch_transfer_schema(side->schema, "the PostgreSQL database", err))
		return CH_EUNSUPPORTED;
	rc = ch_postgres_migrate(side->db, err);
	if (rc)
		return rc;
	side->schema = (int64_t)ch_migrations_postgres_n + CH_SCHEMA_APART;
	rc = ch_db_get_i64(side->db, &one,
		"SELECT 1 FROM name UNION ALL SELECT 1 FROM audit UNION ALL "
		"SELECT 1 FROM history LIMIT 1",
		"");
	if (rc == CH_ENOTFOUND)
		return CH_OK;
	if (rc)
		return ch_side_err(rc, NULL, side->db, "the PostgreSQL database", err);
	return ch_err_set(err, CH_ECONFLICT, "database-not-empty",
		"the PostgreSQL database is in use already: give one without names, or, if "
		"this move was done before, set `database` in [store] to it");
}

struct copies {
	struct ch_tables tables;
	struct ch_copied copied[CH_TABLES_MAX];
};

static int copy_all(struct ch_side *to, struct ch_side *from, struct copies *copies,
	struct ch_arena *arena, uint64_t all, const struct ch_transfer *how, struct ch_err *err)
{
	struct ch_sink sink = {.db = to->db, .is_postgres = true, .arena = arena};
	uint64_t done = 0;
	int rc = ch_sink_begin(&sink, &copies->tables);

	for (size_t i = 0; !rc && i < copies->tables.n; i++) {
		rc = ch_copy_table(from->db, &sink, &copies->tables.list[i], how, done, all,
			&copies->copied[i]);
		done += copies->copied[i].rows;
	}
	if (!rc)
		rc = ch_transfer_tell(how, "indexes", 0, 0);
	if (!rc)
		rc = ch_sink_finish(&sink);
	return ch_side_err(rc, from->db, to->db, "the rows cannot be copied", err);
}

static int compare_all(struct ch_side *to, struct copies *copies, uint64_t all,
	const struct ch_transfer *how, struct ch_err *err)
{
	uint64_t done = 0;

	for (size_t i = 0; i < copies->tables.n; i++) {
		struct ch_copied there;
		int rc = ch_digest_table(
			to->db, &copies->tables.list[i], how, "compared", done, all, &there);

		if (rc)
			return ch_side_err(
				rc, NULL, to->db, "the rows cannot be read back", err);
		if (there.rows != copies->copied[i].rows ||
			memcmp(there.sha256, copies->copied[i].sha256, sizeof(there.sha256)) !=
				0)
			return ch_err_set(err, CH_ECORRUPT, "copy-differs",
				"table %s is not the same in PostgreSQL: nothing was changed",
				copies->tables.list[i].name);
		done += there.rows;
	}
	return CH_OK;
}

int ch_postgres_fill(struct ch_side *to, struct ch_side *from, const struct ch_transfer *how,
	uint64_t *ret_rows, struct ch_err *err)
{
	CH_AUTO_FREE struct copies *copies = calloc(1, sizeof(*copies));
	struct ch_arena *arena = to->arena;
	uint64_t all;
	int rc;

	if (!copies)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	/* SQLite has no such column. */
	rc = ch_db_script(to->db, "BEGIN; SELECT pg_advisory_xact_lock(" CH_POSTGRES_WRITER_LOCK
				  "); ALTER TABLE meta ALTER COLUMN timeline SET DEFAULT ''");
	if (rc)
		return ch_side_err(rc, NULL, to->db, "the PostgreSQL database", err);
	rc = ch_db_script(from->db, "BEGIN");
	if (!rc)
		rc = ch_tables_load(from->db, CH_TABLES_OF_STORE, arena, &copies->tables);
	if (!rc)
		rc = ch_count_rows(from->db, &copies->tables, &all);
	if (rc)
		return ch_side_err(rc, NULL, from->db, "the tables cannot be read", err);
	rc = copy_all(to, from, copies, arena, all, how, err);
	if (!rc)
		rc = compare_all(to, copies, all, how, err);
	if (!rc)
		rc = ch_side_err(
			ch_db_script(from->db, "COMMIT"), NULL, from->db, "the tables", err);
	if (!rc)
		*ret_rows = all;
	return rc;
}

int ch_postgres_commit(struct ch_side *side, struct ch_err *err)
{
	int rc = ch_db_script(side->db,
		"UPDATE meta SET timeline = "
		"pg_catalog.substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8); COMMIT");

	return ch_side_err(rc, NULL, side->db, "the PostgreSQL database", err);
}

/* The server would come to it by itself, later. */
void ch_postgres_analyze(struct ch_side *side)
{
	if (ch_db_script(side->db, "ANALYZE"))
		ch_log_warn("PostgreSQL's statistics are not there yet: %s",
			ch_db_text_of_error(side->db));
}
