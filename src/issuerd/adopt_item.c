#include "issuerd/adopt_item.h"

#include <string.h>

#include "acme/ari.h"
#include "base/clock.h"
#include "base/codec.h"
#include "crypto/seal.h"
#include "issuerd/renewal.h"
#include "wire/record.h"

struct ch_adopt_material {
	struct ch_adopt_leaf leaf; /* its key is let go of once there is a block */
	struct ch_secret *block;   /* NULL: not read yet */
	enum ch_key_type type;
	struct ch_buf chain; /* block; empty: no intermediates */
	uint8_t chain_id[CH_CHAIN_ID_B];
};

static int build_chain(struct ch_adopt_material *m, struct ch_err *err)
{
	struct ch_chain chain = {.n = ch_cert_chain_len(m->leaf.chain) - 1};
	int rc = CH_OK;

	for (size_t i = 0; i < chain.n; i++)
		ch_cert_chain_der(m->leaf.chain, i + 1, &chain.der[i], &chain.der_len[i]);
	if (chain.n)
		rc = ch_chain_encode(&chain, &m->chain);
	if (!rc && chain.n)
		rc = ch_chain_id(m->chain.data, m->chain.len, m->chain_id);
	return rc ? ch_err_set(err, rc, "cert-chain", "the chain cannot be encoded: %s",
			    ch_rc_str(rc))
		  : CH_OK;
}

static int check_size(const struct ch_adopt_material *m, struct ch_err *err)
{
	const uint8_t *der;
	size_t len;

	ch_cert_chain_der(m->leaf.chain, 0, &der, &len);
	return len <= CH_RECORD_LEAF_MAX_B
		       ? CH_OK
		       : ch_err_set(err, CH_ETOOBIG, "cert-too-big",
				 "the certificate has %zu bytes; %u are the most", len,
				 CH_RECORD_LEAF_MAX_B);
}

int ch_adopt_material_load(struct ch_adopt *a, unsigned who, const struct ch_adopt_cert *cert,
	struct ch_adopt_material **ret_material, struct ch_err *err)
{
	struct ch_adopt_material *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	ch_buf_init(&m->chain, CH_CHAIN_MAX_B);
	rc = ch_adopt_load(a, who, cert, &m->leaf, err);
	if (!rc)
		rc = check_size(m, err);
	if (!rc)
		rc = build_chain(m, err);
	if (rc)
		ch_adopt_material_free(m);
	else
		*ret_material = m;
	return rc;
}

int ch_adopt_material_seal(struct ch_adopt *a, unsigned who, const struct ch_adopt_cert *cert,
	struct ch_adopt_material *m, struct ch_err *err)
{
	int rc = ch_adopt_load_key(a, who, cert, &m->leaf, err);

	if (rc)
		return rc;
	m->type = m->leaf.rsa				  ? CH_KEY_RSA
		  : EVP_PKEY_get_bits(m->leaf.key) == 384 ? CH_KEY_P384
							  : CH_KEY_ECDSA;
	rc = ch_key_to_block(m->leaf.key, &m->block);
	EVP_PKEY_free(m->leaf.key);
	m->leaf.key = NULL;
	return rc ? ch_err_set(err, rc, "key-type", "a key of this kind cannot be sealed")
		  : CH_OK;
}

void ch_adopt_material_free(struct ch_adopt_material *m)
{
	if (!m)
		return;
	ch_adopt_leaf_done(&m->leaf);
	ch_secret_free(m->block);
	ch_buf_done(&m->chain);
	free(m);
}

bool ch_adopt_material_has_key(const struct ch_adopt_material *m)
{
	return m->block != NULL;
}

const struct ch_adopt_leaf *ch_adopt_material_leaf(const struct ch_adopt_material *m)
{
	return &m->leaf;
}

const struct ch_cert_info *ch_adopt_material_info(const struct ch_adopt_material *m)
{
	return &m->leaf.info;
}

/* ---- what the store is told ---- */

static bool has(const struct ch_adopt_for *what, const char *name)
{
	for (size_t i = 0; i < what->n_names; i++)
		if (strcmp(what->names[i], name) == 0)
			return true;
	return false;
}

/* Whether it covers more, or something else, than these names. */
static bool is_other(const struct ch_adopt_material *m, const struct ch_adopt_for *what)
{
	for (size_t i = 0; i < m->leaf.info.n_names; i++)
		if (!has(what, m->leaf.info.names[i]))
			return true;
	return m->leaf.info.n_names != what->n_names;
}

static void time_text(int64_t at_s, char ret_text[CH_TIME_STR_B])
{
	ch_time_str(at_s * CH_SECOND_MS, ret_text);
}

json_t *ch_adopt_item_ask(const struct ch_adopt_material *m, const char *name, bool second)
{
	char not_after[CH_TIME_STR_B];

	time_text(m->leaf.info.not_after_s, not_after);
	return json_pack("{s:[s], s:s, s:b, s:s}", "names", name, "key",
		ch_key_type_str(m->type), "second", second, "not_after", not_after);
}

static int seal(const struct ch_recipients *to, const struct ch_adopt_material *m,
	const char *name, uint64_t version, struct ch_sealed sealed[CH_RECORD_SEALED_MAX],
	struct ch_record *record)
{
	const struct ch_seal_binding binding = {.name = name,
		.name_len = strlen(name),
		.key_version = version,
		.spki_sha256 = m->leaf.info.spki_sha256};

	if (to->n == 0 || to->n > CH_RECORD_SEALED_MAX)
		return CH_EINVAL;
	for (size_t i = 0; i < to->n; i++) {
		int rc = ch_seal_key(&to->list[i], &binding, m->block, &sealed[i]);

		if (rc)
			return rc;
		record->sealed[i] =
			(struct ch_sealed_view){.recipient_id = sealed[i].recipient_id,
				.kem_id = (uint16_t)sealed[i].kem,
				.enc = sealed[i].enc,
				.enc_len = sealed[i].enc_len,
				.ct = sealed[i].ct,
				.ct_len = sealed[i].ct_len};
	}
	record->n_sealed = to->n;
	return CH_OK;
}

static int sign(struct ch_issuer *issuer, const struct ch_recipients *to,
	const struct ch_adopt_material *m, const struct ch_adopt_for *what, size_t at,
	struct ch_buf *out)
{
	struct ch_sealed sealed[CH_RECORD_SEALED_MAX];
	struct ch_record record = {.kind = what->second ? CH_RECORD_SECOND : CH_RECORD_CERT,
		.version = what->version,
		.account_hint = issuer->cas[0].account_hint,
		.name = what->names[at],
		.name_len = strlen(what->names[at]),
		.key_version = what->version,
		.not_before_s = m->leaf.info.not_before_s,
		.not_after_s = m->leaf.info.not_after_s,
		.chain_id = m->chain_id};
	int rc = seal(to, m, what->names[at], what->version, sealed, &record);

	ch_cert_chain_der(m->leaf.chain, 0, &record.leaf, &record.leaf_len);
	return rc ? rc : ch_record_sign(&record, issuer->signer, out);
}

static int add_records(struct ch_issuer *issuer, const struct ch_recipients *to,
	const struct ch_adopt_material *m, const struct ch_adopt_for *what, json_t *list,
	size_t *size_b)
{
	for (size_t i = 0; i < what->n_names; i++) {
		CH_AUTO_BUF struct ch_buf record;
		int rc;

		ch_buf_init(&record, CH_RECORD_MAX_B);
		rc = sign(issuer, to, m, what, i, &record);
		if (!rc && json_array_append_new(list, ch_write_bytes(record.data, record.len)))
			rc = CH_ENOMEM;
		if (rc)
			return rc;
		*size_b += record.len * 4 / 3;
	}
	return CH_OK;
}

static json_t *describe(const struct ch_adopt_material *m, const struct ch_adopt_for *what,
	json_t *records, size_t *size_b)
{
	const struct ch_cert_info *info = &m->leaf.info;
	char not_before[CH_TIME_STR_B];
	char not_after[CH_TIME_STR_B];
	char spki[2 * CH_SHA256_B + 1];
	const uint8_t *leaf;
	size_t leaf_len;

	ch_cert_chain_der(m->leaf.chain, 0, &leaf, &leaf_len);
	*size_b += (leaf_len + m->chain.len) * 4 / 3 + 2048;
	ch_hex_encode(info->spki_sha256, CH_SHA256_B, spki);
	time_text(info->not_before_s, not_before);
	time_text(info->not_after_s, not_after);
	return json_pack("{sssbsbsIsososssssssssssO}", "key", ch_key_type_str(m->type),
		"second", what->second, "other", is_other(m, what), "version",
		(json_int_t)what->version, "leaf", ch_write_bytes(leaf, leaf_len), "chain",
		ch_write_bytes(m->chain.data, m->chain.len), "serial", info->serial, "issuer",
		info->issuer, "not_before", not_before, "not_after", not_after, "spki_sha256",
		spki, "records", records);
}

/* Which CA it is from, and what that is asked by when to renew it.  Whether the CA says so at
 * all the issuer finds out. */
static void add_ca(const struct ch_issuer *issuer, int ca, const uint8_t *leaf, size_t leaf_len,
	json_t *item)
{
	const struct ch_ca *from = &issuer->cas[ca];
	char id[CH_ACME_CERT_ID_B];

	(void)json_object_set_new(
		item, "ca", json_stringn(from->pace_account, ch_ca_host_len(from)));
	if (issuer->config->ari && !ch_acme_cert_id(leaf, leaf_len, id, NULL))
		(void)json_object_set_new(item, "ari_id", json_string(id));
}

int ch_adopt_item_publish(struct ch_issuer *issuer, const struct ch_recipients *recipients,
	const struct ch_adopt_material *m, const struct ch_adopt_for *what, json_t **ret_item,
	size_t *ret_size_b, struct ch_err *err)
{
	json_auto_t *records = json_array();
	json_auto_t *names = json_array();
	json_t *item;
	const uint8_t *leaf;
	size_t leaf_len;
	size_t size_b = 0;
	int rc = records && names ? CH_OK : CH_ENOMEM;

	for (size_t i = 0; !rc && i < what->n_names; i++)
		if (json_array_append_new(names, json_string(what->names[i])))
			rc = CH_ENOMEM;
	if (!rc)
		rc = add_records(issuer, recipients, m, what, records, &size_b);
	if (rc)
		return ch_err_set(err, rc, "record-not-made",
			"the record of %s cannot be built: %s", what->names[0], ch_rc_str(rc));
	item = describe(m, what, records, &size_b);
	if (!item || json_object_set(item, "names", names)) {
		json_decref(item);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	ch_cert_chain_der(m->leaf.chain, 0, &leaf, &leaf_len);
	ch_renewal_describe(issuer, &issuer->cas[what->ca < 0 ? 0 : what->ca], &m->leaf.info,
		leaf, leaf_len, item);
	if (what->ca >= 0)
		add_ca(issuer, what->ca, leaf, leaf_len, item);
	*ret_item = item;
	*ret_size_b = size_b;
	return CH_OK;
}
