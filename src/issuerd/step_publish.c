/* The certificate is here: check it, build and sign one record per name, publish. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "issuerd/ladder.h"
#include "issuerd/renewal.h"
#include "issuerd/sealed.h"
#include "issuerd/step.h"
#include "wire/record.h"

CH_DEFINE_CLEANUP(struct ch_cert_chain *, ch_cert_chain_free)

struct publication {
	const struct ch_work *work;
	const struct ch_issuer *issuer;
	const struct ch_ca *ca;
	struct ch_cert_chain *chain;
	struct ch_cert_info *info; /* of the leaf */
	const uint8_t *leaf;
	size_t leaf_len;
	struct ch_sealed_set sealed;
	struct ch_buf block; /* chain block; empty: no intermediates */
	uint8_t chain_id[CH_CHAIN_ID_B];
};

/* The certificate must have the names that were ordered: those of the sealed keys.  The work
 * may have fewer, when a name was removed since. */
static int check_chain(
	const struct publication *pub, const uint8_t csr_spki[CH_SHA256_B], struct ch_err *err)
{
	char names[CH_WORK_NAMES_MAX][CH_NAME_TEXT_B];
	const char *list[CH_WORK_NAMES_MAX];
	struct ch_cert_expect expect = {
		.spki_sha256 = csr_spki,
		.names = list,
		.n_names = pub->sealed.n_names,
		.now_s = ch_now_ms() / CH_SECOND_MS,
		.trust = pub->ca->roots,
	};

	for (size_t i = 0; i < pub->sealed.n_names; i++) {
		snprintf(names[i], sizeof(names[i]), "%.*s", (int)pub->sealed.names[i].name_len,
			pub->sealed.names[i].name);
		list[i] = names[i];
	}
	return ch_cert_chain_check(pub->chain, &expect, err);
}

static int check(struct publication *pub, struct ch_err *err)
{
	uint8_t csr_spki[CH_SHA256_B];
	int rc = ch_sealed_open(pub->issuer->signer, pub->work, &pub->sealed);

	if (rc == CH_OK)
		rc = ch_csr_spki_sha256(pub->work->csr, pub->work->csr_len, csr_spki);
	if (rc == CH_OK && memcmp(csr_spki, pub->sealed.spki_sha256, CH_SHA256_B) != 0)
		rc = CH_ECORRUPT;
	if (rc)
		return ch_err_set(err, rc, "order-damaged",
			"The order's stored key and CSR cannot be read or do not fit: %s.",
			ch_rc_str(rc));
	rc = check_chain(pub, csr_spki, err);
	if (rc)
		return rc;
	ch_cert_chain_der(pub->chain, 0, &pub->leaf, &pub->leaf_len);
	if (pub->leaf_len > CH_RECORD_LEAF_MAX_B)
		return ch_err_set(err, CH_ETOOBIG, "cert-too-big",
			"The certificate has %zu bytes; %u are the most.", pub->leaf_len,
			CH_RECORD_LEAF_MAX_B);
	return ch_cert_chain_leaf_info(pub->chain, pub->info, err);
}

static int build_chain(struct publication *pub, struct ch_err *err)
{
	struct ch_chain chain = {.n = ch_cert_chain_len(pub->chain) - 1};
	int rc = CH_OK;

	memset(pub->chain_id, 0, sizeof(pub->chain_id));
	if (chain.n == 0)
		return CH_OK;
	if (chain.n > CH_CHAIN_CERTS_MAX)
		return ch_err_set(err, CH_ETOOBIG, "cert-chain",
			"The chain has %zu intermediates; %d are the most.", chain.n,
			CH_CHAIN_CERTS_MAX);
	for (size_t i = 0; i < chain.n; i++)
		ch_cert_chain_der(pub->chain, i + 1, &chain.der[i], &chain.der_len[i]);
	rc = ch_chain_encode(&chain, &pub->block);
	if (rc == CH_OK)
		rc = ch_chain_id(pub->block.data, pub->block.len, pub->chain_id);
	if (rc)
		return ch_err_set(err, rc, "cert-chain", "The chain cannot be encoded: %s.",
			ch_rc_str(rc));
	return CH_OK;
}

static int sign_record(const struct publication *pub, const char *name, struct ch_buf *out)
{
	const struct ch_sealed_name *sealed = ch_sealed_find(&pub->sealed, name);
	struct ch_record record = {
		.kind = pub->work->second ? CH_RECORD_SECOND : CH_RECORD_CERT,
		.version = pub->work->id,
		.account_hint = pub->ca->account_hint,
		.name = name,
		.name_len = strlen(name),
		.key_version = pub->work->id,
		.not_before_s = pub->info->not_before_s,
		.not_after_s = pub->info->not_after_s,
		.chain_id = pub->chain_id,
		.leaf = pub->leaf,
		.leaf_len = pub->leaf_len,
	};

	if (!sealed)
		return CH_ECORRUPT;
	memcpy(record.sealed, sealed->copies, sizeof(record.sealed));
	record.n_sealed = sealed->n_copies;
	return ch_record_sign(&record, pub->issuer->signer, out);
}

static int build_records(const struct publication *pub, json_t *list, struct ch_err *err)
{
	for (size_t i = 0; i < pub->work->n_names; i++) {
		CH_AUTO_BUF struct ch_buf record;
		int rc;

		ch_buf_init(&record, CH_RECORD_MAX_B);
		rc = sign_record(pub, pub->work->names[i], &record);
		if (rc == CH_OK &&
			json_array_append_new(list, ch_write_bytes(record.data, record.len)))
			rc = CH_ENOMEM;
		if (rc)
			return ch_err_set(err, rc, "record-not-made",
				"The record of %s cannot be built: %s.", pub->work->names[i],
				ch_rc_str(rc));
	}
	return CH_OK;
}

static json_t *build_body(const struct publication *pub, json_t *records)
{
	const struct ch_cert_info *info = pub->info;
	int64_t look_at_ms = ch_now_ms() + ch_edges_wait_ms(0);
	char look_at[CH_TIME_STR_B];
	char not_before[CH_TIME_STR_B];
	char not_after[CH_TIME_STR_B];
	char spki[2 * CH_SHA256_B + 1];

	ch_hex_encode(info->spki_sha256, CH_SHA256_B, spki);
	return json_pack("{sososssssssssssosO}", "leaf",
		ch_write_bytes(pub->leaf, pub->leaf_len), "chain",
		ch_write_bytes(pub->block.data, pub->block.len), "serial", info->serial,
		"issuer", info->issuer, "not_before",
		ch_time_str(info->not_before_s * CH_SECOND_MS, not_before), "not_after",
		ch_time_str(info->not_after_s * CH_SECOND_MS, not_after), "spki_sha256", spki,
		"next_at", json_string(ch_time_str(ch_api_store_ms(look_at_ms), look_at)),
		"records", records);
}

static int build(struct publication *pub, json_t **ret_body, struct ch_err *err)
{
	json_auto_t *records = json_array();
	int rc = check(pub, err);

	if (rc == CH_OK)
		rc = build_chain(pub, err);
	if (rc == CH_OK)
		rc = build_records(pub, records, err);
	if (rc)
		return rc;
	*ret_body = build_body(pub, records);
	if (*ret_body)
		ch_renewal_describe(
			pub->issuer, pub->ca, pub->info, pub->leaf, pub->leaf_len, *ret_body);
	return *ret_body ? CH_OK : ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
}

/* A certificate that does not pass is the CA's fault or our own setting's; asking again at
 * once would only use the CA's limits up, so the names climb the ladder. */
static void reject(struct ch_step *step, struct ch_err *err)
{
	bool ours = strcmp(err->problem, "cert-chain") == 0 || err->rc == CH_ECORRUPT;

	err->actor = ours ? CH_ACTOR_PLATFORM : CH_ACTOR_CA;
	err->retry_at_ms = 0;
	ch_step_fail_all(step, err);
}

void ch_step_publish(struct ch_step *step, const char *pem, size_t pem_len)
{
	CH_CLEANUP(ch_cert_chain_free_p) struct ch_cert_chain *chain = NULL;
	CH_AUTO_FREE struct ch_cert_info *info = malloc(sizeof(*info));
	struct publication pub = {
		.work = step->work, .issuer = step->issuer, .ca = step->ca, .info = info};
	struct ch_err err = {0};
	int rc;

	ch_buf_init(&pub.block, CH_CHAIN_MAX_B);
	rc = info ? ch_cert_chain_parse_pem(pem, pem_len, &chain, &err) : CH_ENOMEM;
	pub.chain = chain;
	if (rc == CH_OK)
		rc = build(&pub, &step->out->publish, &err);
	ch_buf_done(&pub.block);
	if (rc)
		reject(step, &err);
}
