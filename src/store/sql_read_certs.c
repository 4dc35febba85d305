#include <string.h>

#include "store/sql_read.h"

#define CERTS 5 /* of a name, that are shown */

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

struct ch_store_cert *ch_db_read_cert(
	struct ch_stmt *stmt, int first_col, struct ch_arena *arena, int *rc)
{
	struct ch_store_cert *cert;
	char *names;

	if (ch_db_is_null(stmt, first_col))
		return NULL;
	cert = ch_arena_alloc(arena, sizeof(*cert));
	names = ch_arena_str(arena, (const char *)ch_db_col_text(stmt, first_col + 1));
	if (cert && names)
		cert->names = split_names(arena, names, &cert->n_names);
	if (!cert || !cert->names) {
		*rc = CH_ENOMEM;
		return NULL;
	}
	cert->version = ch_db_u64(stmt, first_col);
	cert->serial = ch_db_text(arena, stmt, first_col + 2, rc);
	cert->issuer = ch_db_text(arena, stmt, first_col + 3, rc);
	cert->not_before_ms = ch_db_i64(stmt, first_col + 4);
	cert->not_after_ms = ch_db_i64(stmt, first_col + 5);
	cert->renew_at_ms = ch_db_i64(stmt, first_col + 6);
	cert->published_at_ms = ch_db_i64(stmt, first_col + 7);
	ch_db_bytes(stmt, first_col + 8, cert->spki_sha256, sizeof(cert->spki_sha256), rc);
	ch_db_bytes(stmt, first_col + 9, cert->leaf_sha256, sizeof(cert->leaf_sha256), rc);
	cert->origin = ch_db_u64(stmt, first_col + 10);
	cert->ari_id = ch_db_text(arena, stmt, first_col + 11, rc);
	cert->ari_start_ms = ch_db_i64(stmt, first_col + 12);
	cert->ari_end_ms = ch_db_i64(stmt, first_col + 13);
	cert->ari_explanation = ch_db_text(arena, stmt, first_col + 14, rc);
	cert->ari_asked_at_ms = ch_db_i64(stmt, first_col + 15);
	cert->ca = ch_db_text(arena, stmt, first_col + 16, rc);
	return cert;
}

/* Who can open the name's key: the recipients named in its record. */
static int read_recipients(
	struct ch_stmt *stmt, int col, struct ch_arena *arena, struct ch_store_cert *cert)
{
	const uint8_t *bytes = ch_db_col_blob(stmt, col);
	uint8_t(*ids)[CH_RECIPIENT_ID_B];
	struct ch_record record;

	if (!bytes)
		return CH_OK;
	if (ch_record_decode(bytes, (size_t)ch_db_col_len(stmt, col), &record))
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

/* *ret_cert stays NULL when there is none.  A standby of the second one is kept under a name of
 * its own. */
static int read_full(struct ch_db *db, const char *name, uint64_t version,
	struct ch_arena *arena, const struct ch_store_cert **ret_cert)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_store_cert *cert;
	int rc = ch_db_query(db, &stmt,
		"SELECT " CH_CERT_COLUMNS
		", c.leaf, h.block, coalesce(x.record, d.record, e.record) "
		"FROM cert c JOIN cert_name x ON x.version = c.version "
		"AND x.name IN (?1, ?1 || '/6') "
		"JOIN name n ON n.name = ?1 "
		"LEFT JOIN edge_record e ON e.name IN (n.name, n.name || '/6') "
		"AND e.pool = n.pool AND e.version = c.version "
		"LEFT JOIN held d ON d.name IN (n.name, n.name || '/6') "
		"AND d.pool = n.pool AND d.version = c.version "
		"LEFT JOIN chain h ON h.id = c.chain_id "
		"WHERE c.version = ?2",
		"ti", name, version);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	cert = ch_db_read_cert(stmt, 0, arena, &rc);
	if (!cert)
		return rc ? rc : CH_ECORRUPT;
	cert->leaf = ch_db_blob(arena, stmt, CH_CERT_COLUMNS_N, &cert->leaf_len, &rc);
	cert->chain = ch_db_blob(arena, stmt, CH_CERT_COLUMNS_N + 1, &cert->chain_len, &rc);
	if (!rc)
		rc = read_recipients(stmt, CH_CERT_COLUMNS_N + 2, arena, cert);
	if (!rc)
		*ret_cert = cert;
	return rc;
}

static int read_versions(struct ch_db *db, const char *name, uint64_t ret_versions[CERTS])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT cert, prev_cert, second_cert, standby_cert, second_standby_cert "
		"FROM name WHERE name = ?",
		"t", name);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	for (int i = 0; i < CERTS; i++)
		ret_versions[i] = ch_db_u64(stmt, i);
	return CH_OK;
}

int ch_sql_get_certs(struct ch_store *base, const char *name, struct ch_arena *arena,
	struct ch_store_certs *ret_certs)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_certs certs = {0};
	const struct ch_store_cert **const all[CERTS] = {&certs.current, &certs.previous,
		&certs.second, &certs.standby, &certs.second_standby};
	uint64_t versions[CERTS];
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = read_versions(db, name, versions);
	for (int i = 0; !rc && i < CERTS; i++)
		rc = read_full(db, name, versions[i], arena, all[i]);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_certs = certs;
	return rc;
}
