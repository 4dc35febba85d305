/* COPY FROM STDIN in the binary format (PostgreSQL's manual, "COPY", File Formats). */
#include <stdio.h>

#include "base/buf.h"
#include "store/copy.h"
#include "store/db_postgres.h"

#define PIECE_B 262144
#define ROW_MAX_B (16u << 20)
#define SQL_MAX_B 8192

static const uint8_t signature[] = {
	'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0};

struct ch_pg_copy {
	const struct ch_table *table;
	int (*fill)(struct ch_pg_copy *copy, void *arg);
	void *arg;
	PGconn *conn;
	struct ch_buf bytes;
};

static int send_bytes(struct ch_pg_copy *copy)
{
	int sent =
		PQputCopyData(copy->conn, (const char *)copy->bytes.data, (int)copy->bytes.len);

	ch_buf_reset(&copy->bytes);
	return sent == 1 ? CH_OK : CH_EAGAIN;
}

int ch_pg_copy_row(struct ch_pg_copy *copy, const struct ch_db_arg *row)
{
	struct ch_buf *bytes = &copy->bytes;

	ch_buf_add_u16(bytes, (uint16_t)copy->table->n_cols);
	for (size_t i = 0; i < copy->table->n_cols; i++) {
		if (row[i].is_null) {
			ch_buf_add_u32(bytes, UINT32_MAX);
		} else if (row[i].type == 'i') {
			ch_buf_add_u32(bytes, 8);
			ch_buf_add_u64(bytes, (uint64_t)row[i].i);
		} else {
			ch_buf_add_u32(bytes, (uint32_t)row[i].len);
			ch_buf_add(bytes, row[i].bytes, row[i].len);
		}
	}
	if (bytes->rc)
		return bytes->rc;
	return bytes->len >= PIECE_B ? send_bytes(copy) : CH_OK;
}

/* The server's answer counts; of what it did not get to say, ours. */
static int end(struct ch_pg_copy *copy, int rc)
{
	PGresult *result;
	int said = CH_OK;

	if (!rc && (ch_buf_add_u16(&copy->bytes, UINT16_MAX) || send_bytes(copy)))
		rc = CH_EAGAIN;
	if (PQputCopyEnd(copy->conn, rc ? "given up" : NULL) != 1)
		return CH_EAGAIN;
	while ((result = PQgetResult(copy->conn))) {
		if (!said)
			said = ch_db_postgres_result_rc(result);
		PQclear(result);
	}
	return rc ? rc : said;
}

static int run(PGconn *conn, void *arg)
{
	struct ch_pg_copy *copy = arg;
	char sql[SQL_MAX_B];
	PGresult *result;
	int rc;

	copy->conn = conn;
	if ((size_t)snprintf(sql, sizeof(sql), "COPY %s (%s) FROM STDIN (FORMAT binary)",
		    copy->table->name, copy->table->col_list) >= sizeof(sql))
		return CH_ETOOBIG;
	result = PQexec(conn, sql);
	rc = ch_db_postgres_result_rc(result);
	PQclear(result);
	if (rc)
		return rc;
	rc = ch_buf_add(&copy->bytes, signature, sizeof(signature));
	if (!rc)
		rc = copy->fill(copy, copy->arg);
	return end(copy, rc);
}

int ch_pg_copy(struct ch_db *db, const struct ch_table *table,
	int (*fill)(struct ch_pg_copy *copy, void *arg), void *arg)
{
	struct ch_pg_copy copy = {.table = table, .fill = fill, .arg = arg};
	int rc;

	ch_buf_init(&copy.bytes, PIECE_B + ROW_MAX_B);
	rc = ch_db_postgres_plain(db, run, &copy);
	ch_buf_done(&copy.bytes);
	return rc;
}
