/* Parts that several reads share. */
#ifndef CH_STORE_SQL_READ_H
#define CH_STORE_SQL_READ_H

#include "base/buf.h"
#include "store/sql_store.h"

/* Columns of CH_CERT_COLUMNS from first_col on; NULL when the first is NULL (outer join). */
#define CH_CERT_COLUMNS                                                                        \
	"c.version, c.names, c.serial, c.issuer, c.not_before, c.not_after, c.renew_at, "      \
	"c.published_at, c.spki_sha256, c.leaf_sha256, c.origin, c.ari_id, "                   \
	"c.ari_start, c.ari_end, c.ari_url, c.ari_asked, "                                     \
	"(SELECT min(ca.name) FROM ca WHERE ca.host = c.ari_ca)"
#define CH_CERT_COLUMNS_N 17
struct ch_store_cert *ch_db_read_cert(
	struct ch_stmt *stmt, int first_col, struct ch_arena *arena, int *rc);

/* CH_ENOTFOUND. */
CH_MUST int ch_db_domain_load(struct ch_db *db, const char *name, struct ch_arena *arena,
	struct ch_store_domain *ret_domain);

struct ch_db_meta {
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;
	uint64_t floor;
};
CH_MUST int ch_db_meta_load(struct ch_db *db, struct ch_db_meta *ret_meta);

struct ch_db_view {
	const uint8_t *bytes; /* borrowed until the statement's next step; NULL: none */
	size_t len;
};
static inline struct ch_db_view ch_db_view(struct ch_stmt *stmt, int col)
{
	const uint8_t *bytes = ch_db_col_blob(stmt, col);

	return (struct ch_db_view){bytes, (size_t)ch_db_col_len(stmt, col)};
}

/* Chains that were handed out in one read; all zero at first, ids is to be freed. */
struct ch_db_handed {
	uint8_t (*ids)[CH_CHAIN_ID_B];
	size_t n;
	size_t room;
};
/* Calls row(), with the chain too where this is the first record that needs it. */
CH_MUST int ch_db_hand_row(struct ch_db *db, struct ch_store_feed_row *feed_row,
	const struct ch_db_view *chain_id, struct ch_db_handed *handed,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg);

/* ---- sql_tickets.c ---- */
/* The pool's ticket keys as a row of the feed that borrows from record, unless they came after
 * head_max (sql_hold.h).  CH_ENOTFOUND. */
CH_MUST int ch_db_tickets_load(struct ch_db *db, const char *pool, uint64_t head_max,
	struct ch_buf *record, struct ch_store_feed_row *ret_row);

#endif
