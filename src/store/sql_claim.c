/* Who may claim a name: one that another tenant holds, or held, is taken over with proof only.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/codec.h"
#include "store/sql_ahead.h"

#define SALT_B 32

/* SHA-256 of salt, name and tenant: public, but for each name and tenant of this store another,
 * and only who controls the name can put it into its DNS. */
static int make_claim(struct ch_work *w, const char *name, const char *tenant,
	char ret_claim[CH_STORE_CLAIM_B])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char text[CH_NAME_MAX + CH_STORE_LABEL_MAX + 3];
	uint8_t input[SALT_B + sizeof(text)];
	uint8_t hash[32];
	int len = snprintf(text, sizeof(text), "%s %s", name, tenant);
	int rc = ch_db_query(w->db, &stmt, "SELECT salt FROM claim_salt", "");

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	ch_db_bytes(stmt, 0, input, SALT_B, &rc);
	if (rc)
		return rc;
	memcpy(input + SALT_B, text, (size_t)len);
	if (EVP_Digest(input, SALT_B + (size_t)len, hash, NULL, EVP_sha256(), NULL) != 1)
		return CH_ECRYPTO;
	strcpy(ret_claim, CH_STORE_CLAIM_PREFIX);
	ch_b64u_encode(hash, sizeof(hash), ret_claim + strlen(CH_STORE_CLAIM_PREFIX));
	return CH_OK;
}

/* CH_ENOTFOUND: nobody in particular. */
static int load_holder(
	struct ch_work *w, const char *name, char ret_tenant[CH_STORE_LABEL_MAX + 1])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_name_row row;
	int rc = ch_ahead_row(w, name, &row);

	if (!rc) {
		memcpy(ret_tenant, row.tenant, sizeof(row.tenant));
		return strcmp(row.tenant, CH_STORE_LABEL_DEFAULT) == 0 ? CH_ENOTFOUND : CH_OK;
	}
	if (rc != CH_ENOTFOUND || ch_ahead_lacks(w, CH_AHEAD_HOLDER, name))
		return rc;
	rc = ch_db_query(w->db, &stmt, "SELECT tenant FROM holder WHERE name = ?", "t", name);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	ch_db_copy(stmt, 0, ret_tenant, CH_STORE_LABEL_MAX + 1, &rc);
	return rc;
}

static int check_one(struct ch_work *w, const char *name, const char *tenant, bool *ret_another)
{
	char holder[CH_STORE_LABEL_MAX + 1];
	int rc = load_holder(w, name, holder);

	if (rc == CH_ENOTFOUND)
		return CH_OK;
	*ret_another |= !rc && strcmp(holder, tenant) != 0;
	return rc;
}

/* Below a wildcard of another tenant's DNS leads here for whoever registers a name, and a name
 * and its wildcard are proved by the same record, which may have been delegated to us for good.
 */
static int check_neighbours(
	struct ch_work *w, const char *name, const char *tenant, bool *ret_another)
{
	bool wildcard = strncmp(name, "*.", 2) == 0;
	const char *dot = strchr(name, '.');
	char other[CH_NAME_MAX + 3];
	struct ch_name_row row;
	int rc = ch_ahead_row(w, name, &row);

	if (rc == CH_OK && strcmp(row.tenant, tenant) == 0)
		return CH_OK;
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	snprintf(
		other, sizeof(other), "%s%s", wildcard ? "" : "*.", wildcard ? name + 2 : name);
	rc = check_one(w, other, tenant, ret_another);
	if (rc || wildcard || !dot)
		return rc;
	snprintf(other, sizeof(other), "*%s", dot);
	return check_one(w, other, tenant, ret_another);
}

int ch_work_check_claim(struct ch_work *w, struct ch_store_put_item *item, const char *tenant,
	bool *ret_refused)
{
	char claim[CH_STORE_CLAIM_B];
	char www[CH_NAME_MAX + 5];
	bool another = false;
	int rc;

	*ret_refused = false;
	item->claim = NULL;
	if (!item->ask_proof)
		return CH_OK;
	rc = check_one(w, item->name, tenant, &another);
	if (!rc)
		rc = check_neighbours(w, item->name, tenant, &another);
	/* Who controls a name controls what is below it. */
	if (!rc && item->www == CH_TRI_YES) {
		snprintf(www, sizeof(www), "www.%s", item->name);
		rc = check_one(w, www, tenant, &another);
	}
	if (rc || !another)
		return rc;
	rc = make_claim(w, item->name, tenant, claim);
	if (rc || (item->proof && strcmp(item->proof, claim) == 0))
		return rc;
	*ret_refused = true;
	item->result = CH_PUT_REJECTED;
	item->problem = "claim-needed";
	item->claim = ch_arena_str(w->op->arena, claim);
	item->detail = ch_arena_fmt(w->op->arena,
		"Another tenant holds or held this name, or a wildcard that goes with it. To "
		"take it over, its owner adds the TXT record _certherd.%s \"%s\"; then send "
		"this again.",
		strncmp(item->name, "*.", 2) == 0 ? item->name + 2 : item->name, claim);
	return item->claim && item->detail ? CH_OK : CH_ENOMEM;
}

int ch_work_note_holder(struct ch_work *w, const char *name, const char *tenant)
{
	if (strcmp(tenant, CH_STORE_LABEL_DEFAULT) == 0)
		return CH_OK;
	return ch_db_run(w->db,
		"INSERT INTO holder (name, tenant, at) VALUES (?1, ?2, ?3) "
		"ON CONFLICT (name) DO UPDATE SET tenant = ?2, at = ?3",
		"tti", name, tenant, w->now);
}

int ch_work_forget_holder(struct ch_work *w, const char *name)
{
	if (ch_ahead_lacks(w, CH_AHEAD_HOLDER, name))
		return CH_OK;
	return ch_db_run(w->db, "DELETE FROM holder WHERE name = ?", "t", name);
}

int ch_work_prune_holders(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed)
{
	int rc = ch_db_run(w->db,
		"DELETE FROM holder WHERE name IN (SELECT name FROM holder WHERE at < ? "
		"ORDER BY at LIMIT ?)",
		"ii", before, max_rows);

	*ret_removed = ch_db_changes(w->db);
	return rc;
}
