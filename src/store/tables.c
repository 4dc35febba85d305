#include "store/tables.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define SQL_MAX_B 8192
#define PAGE 2000
#define NAME_MAX_B 60

CH_DEFINE_CLEANUP(struct ch_row_digest *, ch_row_digest_free)

/* ---- shapes ---- */

/* Names become a part of SQL, and a backup comes from anywhere: ours are plain words. */
static bool is_plain(const char *name)
{
	size_t len = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;

	return len > 0 && len <= NAME_MAX_B && !name[len];
}

static char letter_of(const char *type)
{
	return !type			      ? 'b'
	       : strcmp(type, "INTEGER") == 0 ? 'i'
	       : strcmp(type, "TEXT") == 0    ? 't'
					      : 'b';
}

static int load_cols(struct ch_db *db, struct ch_arena *arena, struct ch_table *t)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid", "t", t->name);
	int step;

	if (rc)
		return rc;
	while ((step = ch_db_step(db, stmt)) == 1) {
		int64_t pk = ch_db_i64(stmt, 2);

		if (t->n_cols == CH_TABLE_COLS_MAX || pk > CH_TABLE_KEYS_MAX)
			return CH_EUNSUPPORTED;
		t->cols[t->n_cols] = ch_db_text(arena, stmt, 0, &rc);
		if (!rc && !is_plain(t->cols[t->n_cols]))
			rc = CH_ECORRUPT;
		if (rc)
			return rc;
		t->types[t->n_cols] = letter_of(ch_db_col_text(stmt, 1));
		if (pk > 0) {
			t->keys[pk - 1] = t->n_cols;
			t->n_keys++;
		}
		t->n_cols++;
	}
	if (!rc && t->n_keys == 0)
		rc = CH_EUNSUPPORTED;
	return step < 0 ? step : rc;
}

static void add_keys(struct ch_buf *sql, const struct ch_table *t)
{
	for (size_t i = 0; i < t->n_keys; i++)
		ch_buf_addf(sql, "%s%s", i ? ", " : "", t->cols[t->keys[i]]);
}

static void add_marks(struct ch_buf *sql, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ch_buf_add_str(sql, i ? ", ?" : "?");
}

/* The text into the arena; latches in *rc. */
static const char *keep(struct ch_arena *arena, struct ch_buf *sql, int *rc)
{
	const char *copy = sql->rc ? NULL : ch_arena_copy(arena, sql->data, sql->len);

	if (!copy)
		*rc = sql->rc ? sql->rc : CH_ENOMEM;
	ch_buf_reset(sql);
	return copy;
}

static int write_sql(struct ch_arena *arena, struct ch_table *t)
{
	CH_AUTO_BUF struct ch_buf sql;
	int rc = CH_OK;

	ch_buf_init(&sql, SQL_MAX_B);
	for (size_t i = 0; i < t->n_cols; i++)
		ch_buf_addf(&sql, "%s%s", i ? ", " : "", t->cols[i]);
	t->col_list = keep(arena, &sql, &rc);
	if (rc)
		return rc;
	ch_buf_addf(&sql, "SELECT %s FROM %s ORDER BY ", t->col_list, t->name);
	add_keys(&sql, t);
	ch_buf_add_str(&sql, " LIMIT ?");
	t->first = keep(arena, &sql, &rc);
	ch_buf_addf(&sql, "SELECT %s FROM %s WHERE (", t->col_list, t->name);
	add_keys(&sql, t);
	ch_buf_add_str(&sql, ") > (");
	add_marks(&sql, t->n_keys);
	ch_buf_add_str(&sql, ") ORDER BY ");
	add_keys(&sql, t);
	ch_buf_add_str(&sql, " LIMIT ?");
	t->next = keep(arena, &sql, &rc);
	ch_buf_addf(&sql, "INSERT INTO %s (%s) VALUES (", t->name, t->col_list);
	add_marks(&sql, t->n_cols);
	ch_buf_add_str(&sql, ")");
	t->insert = keep(arena, &sql, &rc);
	ch_buf_addf(&sql, "DELETE FROM %s WHERE (", t->name);
	add_keys(&sql, t);
	ch_buf_add_str(&sql, ") = (");
	add_marks(&sql, t->n_keys);
	ch_buf_add_str(&sql, ")");
	t->remove = keep(arena, &sql, &rc);
	ch_buf_addf(&sql, "SELECT count(*) FROM %s", t->name);
	t->count = keep(arena, &sql, &rc);
	for (size_t i = 0; i < t->n_keys; i++)
		t->next_fmt[i] = t->remove_fmt[i] = t->types[t->keys[i]];
	t->next_fmt[t->n_keys] = 'i';
	return rc;
}

int ch_tables_load(struct ch_db *sqlite, enum ch_tables_of of, struct ch_arena *arena,
	struct ch_tables *ret_tables)
{
	struct ch_tables *tables = ret_tables;
	int rc = CH_OK;
	int step;

	*tables = (struct ch_tables){.n = 0};
	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(sqlite, &stmt,
			"SELECT name FROM sqlite_schema WHERE type = 'table' "
			"AND substr(name, 1, 7) <> 'sqlite_' AND (?1 <> 0 OR name <> "
			"'ticket_set') "
			"AND name <> 'certherd_schema' AND name <> 'certherd_move' AND name <> "
			"'backup' AND name <> "
			"'backup_table' ORDER BY name",
			"i", (int64_t)(of == CH_TABLES_OF_STORE));
		if (rc)
			return rc;
		while ((step = ch_db_step(sqlite, stmt)) == 1) {
			if (tables->n == CH_TABLES_MAX)
				return CH_EUNSUPPORTED;
			tables->list[tables->n].name = ch_db_text(arena, stmt, 0, &rc);
			if (!rc && !is_plain(tables->list[tables->n].name))
				rc = CH_ECORRUPT;
			if (rc)
				return rc;
			tables->n++;
		}
		if (rc || step)
			return rc ? rc : step;
	}
	for (size_t i = 0; !rc && i < tables->n; i++) {
		rc = load_cols(sqlite, arena, &tables->list[i]);
		if (!rc)
			rc = write_sql(arena, &tables->list[i]);
	}
	return rc;
}

/* ---- rows ---- */

void ch_table_value(char type, struct ch_stmt *stmt, int col, struct ch_db_arg *ret)
{
	*ret = (struct ch_db_arg){.type = type, .is_null = ch_db_is_null(stmt, col)};
	if (ret->is_null)
		return;
	if (type == 'i') {
		ret->i = ch_db_i64(stmt, col);
		return;
	}
	ret->len = ch_db_col_len(stmt, col);
	ret->bytes = type == 't' ? (const void *)ch_db_col_text(stmt, col)
				 : ch_db_col_blob(stmt, col);
	if (!ret->bytes) /* empty */
		ret->bytes = "";
}

void ch_table_row(const struct ch_table *table, struct ch_stmt *stmt, struct ch_db_arg *ret)
{
	for (size_t i = 0; i < table->n_cols; i++)
		ch_table_value(table->types[i], stmt, (int)i, &ret[i]);
}

/* Where a page ended: text and bytes are owned. */
struct place {
	struct ch_db_arg keys[CH_TABLE_KEYS_MAX + 1];
	uint8_t *bytes[CH_TABLE_KEYS_MAX];
};

static void place_done(struct place *place)
{
	for (size_t i = 0; i < CH_TABLE_KEYS_MAX; i++)
		free(place->bytes[i]);
}

static int place_set(
	struct place *place, const struct ch_table *table, const struct ch_db_arg *row)
{
	for (size_t i = 0; i < table->n_keys; i++) {
		const struct ch_db_arg *key = &row[table->keys[i]];
		uint8_t *copy;

		place->keys[i] = *key;
		if (key->type == 'i')
			continue;
		copy = realloc(place->bytes[i], key->len + 1);
		if (!copy)
			return CH_ENOMEM;
		memcpy(copy, key->bytes, key->len);
		copy[key->len] = 0;
		place->bytes[i] = copy;
		place->keys[i].bytes = copy;
	}
	return CH_OK;
}

/* *ret_n: rows that there were. */
static int walk_page(struct ch_db *db, const struct ch_table *table, struct place *place,
	bool first, int (*row)(const struct ch_db_arg *row, void *arg), void *arg,
	size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_arg values[CH_TABLE_COLS_MAX];
	size_t n = 0;
	int rc;
	int step;

	place->keys[table->n_keys] = (struct ch_db_arg){.type = 'i', .i = PAGE};
	rc = first ? ch_db_query_args(
			     db, &stmt, table->first, "i", &place->keys[table->n_keys], 1)
		   : ch_db_query_args(db, &stmt, table->next, table->next_fmt, place->keys,
			     table->n_keys + 1);
	if (rc)
		return rc;
	while ((step = ch_db_step(db, stmt)) == 1) {
		ch_table_row(table, stmt, values);
		rc = row(values, arg);
		if (!rc && ++n == PAGE)
			rc = place_set(place, table, values);
		if (rc)
			return rc;
	}
	*ret_n = n;
	return step;
}

int ch_table_walk(struct ch_db *db, const struct ch_table *table,
	int (*row)(const struct ch_db_arg *row, void *arg), void *arg)
{
	CH_CLEANUP(place_done) struct place place = {.bytes = {NULL}};
	size_t n = PAGE;
	bool first = true;
	int rc = CH_OK;

	for (; !rc && n == PAGE; first = false)
		rc = walk_page(db, table, &place, first, row, arg, &n);
	return rc;
}

/* ---- digests ---- */

struct ch_row_digest {
	EVP_MD_CTX *ctx;
};

int ch_row_digest_new(struct ch_row_digest **ret_digest)
{
	CH_CLEANUP(ch_row_digest_free_p)
	struct ch_row_digest *digest = calloc(1, sizeof(*digest));

	if (!digest)
		return CH_ENOMEM;
	digest->ctx = EVP_MD_CTX_new();
	if (!digest->ctx)
		return CH_ENOMEM;
	if (EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) != 1)
		return CH_ECRYPTO;
	*ret_digest = TAKE_PTR(digest);
	return CH_OK;
}

void ch_row_digest_free(struct ch_row_digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->ctx);
	free(digest);
}

int ch_row_digest_add(struct ch_row_digest *digest, const struct ch_db_arg *row, size_t n)
{
	bool good = true;

	for (size_t i = 0; good && i < n; i++) {
		const struct ch_db_arg *v = &row[i];
		uint64_t number = v->is_null ? 0 : v->type == 'i' ? (uint64_t)v->i : v->len;
		uint8_t head[9] = {v->is_null ? 'n' : (uint8_t)v->type};

		for (int at = 0; at < 8; at++)
			head[8 - at] = (uint8_t)(number >> (8 * at));
		good = EVP_DigestUpdate(digest->ctx, head, sizeof(head)) == 1;
		if (good && !v->is_null && v->type != 'i')
			good = EVP_DigestUpdate(digest->ctx, v->bytes, v->len) == 1;
	}
	return good ? CH_OK : CH_ECRYPTO;
}

int ch_row_digest_end(struct ch_row_digest *digest, uint8_t ret_sha256[32])
{
	return EVP_DigestFinal_ex(digest->ctx, ret_sha256, NULL) == 1 ? CH_OK : CH_ECRYPTO;
}
