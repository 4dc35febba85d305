#include "crypto/ticket.h"

#include <openssl/rand.h>
#include <string.h>

#include "crypto/ossl.h"

#define AAD_LABEL "certherd ticket v1"
#define POOL_MAX_B 253
#define AAD_MAX_B (sizeof(AAD_LABEL) - 1 + 1 + POOL_MAX_B + CH_TICKET_ID_B + 8 + 8)
#define BLOCK_KIND 1

static const uint8_t *const seal_info = (const uint8_t *)CH_SEAL_INFO;

static uint8_t *add_i64(uint8_t *at, int64_t value)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		*at++ = (uint8_t)((uint64_t)value >> shift);
	return at;
}

static int make_aad(
	const struct ch_ticket_binding *binding, uint8_t ret_aad[AAD_MAX_B], size_t *ret_len)
{
	uint8_t *at = ret_aad;

	if (binding->pool_len == 0 || binding->pool_len > POOL_MAX_B)
		return CH_EINVAL;
	memcpy(at, AAD_LABEL, sizeof(AAD_LABEL) - 1);
	at += sizeof(AAD_LABEL) - 1;
	*at++ = (uint8_t)binding->pool_len;
	memcpy(at, binding->pool, binding->pool_len);
	at += binding->pool_len;
	memcpy(at, binding->id, CH_TICKET_ID_B);
	at = add_i64(at + CH_TICKET_ID_B, binding->from_s);
	at = add_i64(at, binding->until_s);
	*ret_len = (size_t)(at - ret_aad);
	return CH_OK;
}

int ch_ticket_key_generate(uint8_t ret_id[CH_TICKET_ID_B], struct ch_secret **ret_block)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	int rc = ch_secret_new(CH_TICKET_BLOCK_B, &block);

	if (rc)
		return rc;
	ch_secret_bytes(block)[0] = BLOCK_KIND;
	if (RAND_bytes(ret_id, CH_TICKET_ID_B) != 1 ||
		RAND_priv_bytes(ch_secret_bytes(block) + 1, CH_TICKET_BLOCK_B - 1) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_block = TAKE_PTR(block);
	return CH_OK;
}

int ch_ticket_key_seal(const struct ch_recipient *to, const struct ch_ticket_binding *binding,
	struct ch_secret *block, struct ch_sealed_ticket *ret_sealed)
{
	struct ch_sealed_ticket sealed = {.kem = to->kem};
	uint8_t aad[AAD_MAX_B];
	size_t aad_len;
	int rc;

	if (ch_secret_len(block) != CH_TICKET_BLOCK_B)
		return CH_EINVAL;
	rc = make_aad(binding, aad, &aad_len);
	if (rc)
		return rc;
	memcpy(sealed.recipient_id, to->id, sizeof(sealed.recipient_id));
	rc = ch_hpke_seal(to, seal_info, sizeof(CH_SEAL_INFO) - 1, aad, aad_len,
		ch_secret_bytes(block), CH_TICKET_BLOCK_B, sealed.enc, &sealed.enc_len,
		sealed.ct);
	if (rc)
		return rc;
	*ret_sealed = sealed;
	return CH_OK;
}

int ch_ticket_key_open(const struct ch_recipient_key *key,
	const struct ch_ticket_binding *binding, const uint8_t *enc, size_t enc_len,
	const uint8_t *ct, size_t ct_len, uint8_t ret_block[CH_TICKET_BLOCK_B])
{
	uint8_t aad[AAD_MAX_B];
	size_t aad_len;
	int rc;

	if (ct_len != CH_TICKET_CT_B)
		return CH_EAUTH;
	rc = make_aad(binding, aad, &aad_len);
	if (rc)
		return rc;
	rc = ch_hpke_open(key, enc, enc_len, seal_info, sizeof(CH_SEAL_INFO) - 1, aad, aad_len,
		ct, ct_len, ret_block);
	if (rc == CH_OK && ret_block[0] != BLOCK_KIND)
		rc = CH_EUNSUPPORTED;
	if (rc)
		ch_wipe(ret_block, CH_TICKET_BLOCK_B);
	return rc;
}
