/* Leaf keys sealed to recipients: what the sealed copy is bound to. */
#include <string.h>

#include "crypto/seal.h"

#define AAD_LABEL "certherd key v1"
#define NAME_MAX_B 253
#define AAD_MAX_B (sizeof(AAD_LABEL) - 1 + 1 + NAME_MAX_B + 8 + CH_SHA256_B)

static const uint8_t *const seal_info = (const uint8_t *)CH_SEAL_INFO;

static int make_aad(
	const struct ch_seal_binding *binding, uint8_t ret_aad[AAD_MAX_B], size_t *ret_len)
{
	uint8_t *at = ret_aad;

	if (binding->name_len == 0 || binding->name_len > NAME_MAX_B)
		return CH_EINVAL;
	memcpy(at, AAD_LABEL, sizeof(AAD_LABEL) - 1);
	at += sizeof(AAD_LABEL) - 1;
	*at++ = (uint8_t)binding->name_len;
	memcpy(at, binding->name, binding->name_len);
	at += binding->name_len;
	for (int shift = 56; shift >= 0; shift -= 8)
		*at++ = (uint8_t)(binding->key_version >> shift);
	memcpy(at, binding->spki_sha256, CH_SHA256_B);
	at += CH_SHA256_B;
	*ret_len = (size_t)(at - ret_aad);
	return CH_OK;
}

int ch_seal_key(const struct ch_recipient *to, const struct ch_seal_binding *binding,
	struct ch_secret *block, struct ch_sealed *ret_sealed)
{
	struct ch_sealed sealed = {.kem = to->kem};
	uint8_t aad[AAD_MAX_B];
	size_t aad_len;
	int rc;

	if (ch_secret_len(block) > CH_KEY_BLOCK_MAX_B)
		return CH_EINVAL;
	rc = make_aad(binding, aad, &aad_len);
	if (rc)
		return rc;
	memcpy(sealed.recipient_id, to->id, sizeof(sealed.recipient_id));
	sealed.ct_len = ch_secret_len(block) + CH_SEAL_TAG_B;
	rc = ch_hpke_seal(to, seal_info, sizeof(CH_SEAL_INFO) - 1, aad, aad_len,
		ch_secret_bytes(block), ch_secret_len(block), sealed.enc, &sealed.enc_len,
		sealed.ct);
	if (rc)
		return rc;
	*ret_sealed = sealed;
	return CH_OK;
}

int ch_seal_open_block(const struct ch_recipient_key *key,
	const struct ch_seal_binding *binding, const uint8_t *enc, size_t enc_len,
	const uint8_t *ct, size_t ct_len, uint8_t ret_block[CH_KEY_BLOCK_MAX_B],
	size_t *ret_len)
{
	uint8_t aad[AAD_MAX_B];
	size_t aad_len;
	int rc;

	if (ct_len <= CH_SEAL_TAG_B || ct_len > CH_KEY_BLOCK_MAX_B + CH_SEAL_TAG_B)
		return CH_EAUTH;
	rc = make_aad(binding, aad, &aad_len);
	if (rc == CH_OK)
		rc = ch_hpke_open(key, enc, enc_len, seal_info, sizeof(CH_SEAL_INFO) - 1, aad,
			aad_len, ct, ct_len, ret_block);
	if (rc == CH_OK)
		*ret_len = ct_len - CH_SEAL_TAG_B;
	return rc;
}

int ch_seal_open_key(const struct ch_recipient_key *key, const struct ch_seal_binding *binding,
	const uint8_t *enc, size_t enc_len, const uint8_t *ct, size_t ct_len,
	EVP_PKEY **ret_key)
{
	uint8_t block[CH_KEY_BLOCK_MAX_B];
	size_t len;
	int rc = ch_seal_open_block(key, binding, enc, enc_len, ct, ct_len, block, &len);

	if (rc == CH_OK)
		rc = ch_key_from_block(block, len, ret_key);
	ch_wipe(block, sizeof(block));
	return rc;
}
