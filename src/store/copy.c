#include "store/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define AGAIN_MAX_B (1u << 20)
#define TELL_EVERY 4096

/* ---- the sink ---- */

/* What stands beside the tables, and how it is taken away. */
struct beside {
	const char *list; /* name, SQL that makes it, table; of what must go */
	const char *drop; /* what comes before the name, and after it */
	const char *drop_end;
};

static const struct beside sqlite_beside[] = {
	{"SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name LIMIT 1000",
		"DROP TRIGGER ", ""},
	{"SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL "
	 "ORDER BY name LIMIT 1000",
		"DROP INDEX ", ""},
};

static const struct beside postgres_beside[] = {
	{"SELECT DISTINCT CAST(c.relname AS text), CAST('ALTER TABLE ' || c.relname || "
	 "' ENABLE TRIGGER USER' AS text) FROM pg_trigger t JOIN pg_class c ON c.oid = "
	 "t.tgrelid WHERE NOT t.tgisinternal AND c.relnamespace = "
	 "CAST(current_schema() AS regnamespace) LIMIT 1000",
		"ALTER TABLE ", " DISABLE TRIGGER USER"},
	{"SELECT CAST(i.relname AS text), pg_get_indexdef(x.indexrelid) FROM pg_index x JOIN "
	 "pg_class i ON i.oid = x.indexrelid WHERE i.relnamespace = "
	 "CAST(current_schema() AS regnamespace) AND NOT EXISTS (SELECT 1 FROM pg_constraint "
	 "c WHERE c.conindid = x.indexrelid) ORDER BY 1 LIMIT 1000",
		"DROP INDEX ", ""},
};

static int list_beside(
	struct ch_db *db, const struct beside *what, struct ch_buf *again, struct ch_buf *drops)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, what->list, "");
	int step;

	if (rc)
		return rc;
	while ((step = ch_db_step(db, stmt)) == 1) {
		ch_buf_addf(
			drops, "%s%s%s;", what->drop, ch_db_col_text(stmt, 0), what->drop_end);
		ch_buf_addf(again, "%s;", ch_db_col_text(stmt, 1));
	}
	return step < 0 ? step : again->rc ? again->rc : drops->rc;
}

static int begin(struct ch_sink *sink, size_t n_beside, const struct ch_tables *empty)
{
	const struct beside *beside = sink->is_postgres ? postgres_beside : sqlite_beside;
	CH_AUTO_BUF struct ch_buf again;
	CH_AUTO_BUF struct ch_buf drops;
	int rc = CH_OK;

	ch_buf_init(&again, AGAIN_MAX_B);
	ch_buf_init(&drops, AGAIN_MAX_B);
	for (size_t i = 0; !rc && i < n_beside; i++)
		rc = list_beside(sink->db, &beside[i], &again, &drops);
	for (size_t i = 0; !rc && empty && i < empty->n; i++)
		rc = ch_buf_addf(&drops, "DELETE FROM %s;", empty->list[i].name);
	if (rc)
		return rc;
	sink->again = ch_arena_copy(sink->arena, again.data, again.len);
	return sink->again ? ch_db_script(sink->db, ch_buf_str(&drops)) : CH_ENOMEM;
}

int ch_sink_begin(struct ch_sink *sink, const struct ch_tables *tables)
{
	return begin(sink, 2, tables);
}

int ch_sink_quiet(struct ch_sink *sink)
{
	return begin(sink, 1, NULL);
}

/* Numbers that the server hands out go on behind those that were copied. */
#define SEQUENCES                                                                              \
	"SELECT setval(pg_get_serial_sequence('cert_name', 'id'), coalesce(max(id), 0) + 1, "  \
	"false) FROM cert_name;"                                                               \
	"SELECT setval(pg_get_serial_sequence('history', 'id'), coalesce(max(id), 0) + 1, "    \
	"false) FROM history;"                                                                 \
	"SELECT setval(pg_get_serial_sequence('audit', 'id'), coalesce(max(id), 0) + 1, "      \
	"false) FROM audit;"                                                                   \
	"SELECT setval(pg_get_serial_sequence('alert', 'id'), coalesce(max(id), 0) + 1, "      \
	"false) FROM alert;"

int ch_sink_finish(struct ch_sink *sink)
{
	int rc = ch_db_script(sink->db, sink->again);

	if (!rc && sink->is_postgres)
		rc = ch_db_script(sink->db, SEQUENCES);
	return rc;
}

/* ---- rows ---- */

struct copying {
	struct ch_db *from;
	struct ch_sink *sink; /* NULL: only read */
	struct ch_pg_copy *pg;
	const struct ch_table *table;
	const struct ch_transfer *how;
	const char *doing;
	uint64_t done_rows;
	uint64_t all_rows;
	uint64_t rows;
	struct ch_row_digest *digest;
};

static int insert_row(struct copying *c, const struct ch_db_arg *row)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query_args(
		c->sink->db, &stmt, c->table->insert, c->table->types, row, c->table->n_cols);

	return rc ? rc : ch_db_step(c->sink->db, stmt);
}

static int take_row(const struct ch_db_arg *row, void *arg)
{
	struct copying *c = arg;
	int rc = ch_row_digest_add(c->digest, row, c->table->n_cols);

	if (!rc && c->pg)
		rc = ch_pg_copy_row(c->pg, row);
	else if (!rc && c->sink)
		rc = insert_row(c, row);
	if (rc || ++c->rows % TELL_EVERY != 0)
		return rc;
	return ch_transfer_tell(c->how, c->doing, c->done_rows + c->rows, c->all_rows);
}

static int fill(struct ch_pg_copy *pg, void *arg)
{
	struct copying *c = arg;

	c->pg = pg;
	return ch_table_walk(c->from, c->table, take_row, c);
}

static int run(struct copying *c, struct ch_copied *ret_copied)
{
	int rc = ch_row_digest_new(&c->digest);

	if (rc)
		return rc;
	rc = c->sink && c->sink->is_postgres ? ch_pg_copy(c->sink->db, c->table, fill, c)
					     : ch_table_walk(c->from, c->table, take_row, c);
	if (!rc)
		rc = ch_row_digest_end(c->digest, ret_copied->sha256);
	ch_row_digest_free(c->digest);
	if (rc)
		return rc;
	ret_copied->rows = c->rows;
	return ch_transfer_tell(c->how, c->doing, c->done_rows + c->rows, c->all_rows);
}

int ch_copy_table(struct ch_db *from, struct ch_sink *sink, const struct ch_table *table,
	const struct ch_transfer *how, uint64_t done_rows, uint64_t all_rows,
	struct ch_copied *ret_copied)
{
	struct copying c = {.from = from,
		.sink = sink,
		.table = table,
		.how = how,
		.doing = "copied",
		.done_rows = done_rows,
		.all_rows = all_rows};

	return run(&c, ret_copied);
}

int ch_digest_table(struct ch_db *from, const struct ch_table *table,
	const struct ch_transfer *how, const char *doing, uint64_t done_rows, uint64_t all_rows,
	struct ch_copied *ret_copied)
{
	struct copying c = {.from = from,
		.table = table,
		.how = how,
		.doing = doing,
		.done_rows = done_rows,
		.all_rows = all_rows};

	return run(&c, ret_copied);
}

int ch_count_rows(struct ch_db *db, const struct ch_tables *tables, uint64_t *ret_rows)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < tables->n; i++) {
		int64_t n;
		int rc = ch_db_get_i64(db, &n, tables->list[i].count, "");

		if (rc)
			return rc;
		rows += (uint64_t)n;
	}
	*ret_rows = rows;
	return CH_OK;
}
