#include <string.h>

#include "store/sqlite_read.h"

static const char **split_names(struct ch_arena *arena, char *text, size_t *ret_n)
{
	size_t n = 1;
	const char **names;
	char *rest = text;

	for (const char *at = text; *at; at++)
		n += *at == ' ';
	names = ch_arena_array(arena, n, sizeof(*names));
	if (!names)
		return NULL;
	for (size_t i = 0; i < n; i++)
		names[i] = strsep(&rest, " ");
	*ret_n = n;
	return names;
}

struct ch_store_cert *ch_sq_read_cert(
	sqlite3_stmt *stmt, int first_col, struct ch_arena *arena, int *rc)
{
	struct ch_store_cert *cert;
	char *names;

	if (sqlite3_column_type(stmt, first_col) == SQLITE_NULL)
		return NULL;
	cert = ch_arena_alloc(arena, sizeof(*cert));
	names = ch_arena_str(arena, (const char *)sqlite3_column_text(stmt, first_col + 1));
	if (cert && names)
		cert->names = split_names(arena, names, &cert->n_names);
	if (!cert || !cert->names) {
		*rc = CH_ENOMEM;
		return NULL;
	}
	cert->version = ch_sq_u64(stmt, first_col);
	cert->serial = ch_sq_text(arena, stmt, first_col + 2, rc);
	cert->issuer = ch_sq_text(arena, stmt, first_col + 3, rc);
	cert->not_before_ms = sqlite3_column_int64(stmt, first_col + 4);
	cert->not_after_ms = sqlite3_column_int64(stmt, first_col + 5);
	cert->renew_at_ms = sqlite3_column_int64(stmt, first_col + 6);
	cert->published_at_ms = sqlite3_column_int64(stmt, first_col + 7);
	ch_sq_bytes(stmt, first_col + 8, cert->spki_sha256, sizeof(cert->spki_sha256), rc);
	ch_sq_bytes(stmt, first_col + 9, cert->leaf_sha256, sizeof(cert->leaf_sha256), rc);
	cert->origin = ch_sq_u64(stmt, first_col + 10);
	cert->ari_id = ch_sq_text(arena, stmt, first_col + 11, rc);
	cert->ari_start_ms = sqlite3_column_int64(stmt, first_col + 12);
	cert->ari_end_ms = sqlite3_column_int64(stmt, first_col + 13);
	cert->ari_explanation = ch_sq_text(arena, stmt, first_col + 14, rc);
	cert->ari_asked_at_ms = sqlite3_column_int64(stmt, first_col + 15);
	return cert;
}

/* Who can open the name's key: the recipients named in its record. */
static int read_recipients(
	sqlite3_stmt *stmt, int col, struct ch_arena *arena, struct ch_store_cert *cert)
{
	const uint8_t *bytes = sqlite3_column_blob(stmt, col);
	uint8_t(*ids)[CH_RECIPIENT_ID_B];
	struct ch_record record;

	if (!bytes)
		return CH_OK;
	if (ch_record_decode(bytes, (size_t)sqlite3_column_bytes(stmt, col), &record))
		return CH_ECORRUPT;
	ids = ch_arena_array(arena, record.n_sealed, sizeof(*ids));
	if (!ids)
		return CH_ENOMEM;
	for (size_t i = 0; i < record.n_sealed; i++)
		memcpy(ids[i], record.sealed[i].recipient_id, sizeof(ids[i]));
	cert->recipients = (const uint8_t(*)[CH_RECIPIENT_ID_B])ids;
	cert->n_recipients = record.n_sealed;
	return CH_OK;
}

/* *ret_cert stays NULL when there is none. */
static int read_full(struct ch_sq *sq, const char *name, uint64_t version,
	struct ch_arena *arena, const struct ch_store_cert **ret_cert)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	struct ch_store_cert *cert;
	int rc = ch_sq_query(sq, &stmt,
		"SELECT " CH_CERT_COLUMNS
		", c.leaf, h.block, coalesce(x.record, d.record, e.record) "
		"FROM cert c JOIN cert_name x ON x.version = c.version AND x.name = ?1 "
		"JOIN name n ON n.name = x.name "
		"LEFT JOIN edge_record e ON e.name IN (x.name, x.name || '/6') "
		"AND e.pool = n.pool AND e.version = c.version "
		"LEFT JOIN held d ON d.name IN (x.name, x.name || '/6') "
		"AND d.pool = n.pool AND d.version = c.version "
		"LEFT JOIN chain h ON h.id = c.chain_id "
		"WHERE c.version = ?2",
		"ti", name, version);

	if (!rc)
		rc = ch_sq_step(sq, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	cert = ch_sq_read_cert(stmt, 0, arena, &rc);
	if (!cert)
		return rc ? rc : CH_ECORRUPT;
	cert->leaf = ch_sq_blob(arena, stmt, CH_CERT_COLUMNS_N, &cert->leaf_len, &rc);
	cert->chain = ch_sq_blob(arena, stmt, CH_CERT_COLUMNS_N + 1, &cert->chain_len, &rc);
	if (!rc)
		rc = read_recipients(stmt, CH_CERT_COLUMNS_N + 2, arena, cert);
	if (!rc)
		*ret_cert = cert;
	return rc;
}

static int read_versions(struct ch_sq *sq, const char *name, uint64_t ret_versions[3])
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	int rc = ch_sq_query(sq, &stmt,
		"SELECT cert, prev_cert, second_cert FROM name WHERE name = ?", "t", name);

	if (!rc)
		rc = ch_sq_step(sq, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	for (int i = 0; i < 3; i++)
		ret_versions[i] = ch_sq_u64(stmt, i);
	return CH_OK;
}

int ch_sqlite_get_certs(struct ch_store *base, const char *name, struct ch_arena *arena,
	const struct ch_store_cert **ret_current, const struct ch_store_cert **ret_previous,
	const struct ch_store_cert **ret_second)
{
	struct ch_sqlite *store = ch_sqlite_of(base);
	const struct ch_store_cert *current = NULL;
	const struct ch_store_cert *previous = NULL;
	const struct ch_store_cert *second = NULL;
	uint64_t versions[3];
	struct ch_sq *sq;
	int rc = ch_sqlite_read_begin(store, &sq);

	if (rc)
		return rc;
	rc = read_versions(sq, name, versions);
	if (!rc)
		rc = read_full(sq, name, versions[0], arena, &current);
	if (!rc)
		rc = read_full(sq, name, versions[1], arena, &previous);
	if (!rc)
		rc = read_full(sq, name, versions[2], arena, &second);
	ch_sqlite_read_end(store, sq);
	if (rc)
		return rc;
	*ret_current = current;
	*ret_previous = previous;
	*ret_second = second;
	return CH_OK;
}
