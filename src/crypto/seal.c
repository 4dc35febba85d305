#include "crypto/seal.h"

#include <openssl/crypto.h>
#include <string.h>

#include "crypto/hkdf.h"
#include "crypto/ossl.h"
#include "crypto/recipient.h"

#define AEAD_KEY_B 32
#define AEAD_NONCE_B 12
#define DH_B 32
#define SIZE_LIMIT (1u << 20) /* of info, aad and text: ours are far smaller */

/* What the key schedule goes through.  On the stack and wiped, not in struct ch_secret: that
 * costs system calls, and this runs within a handshake. */
struct schedule {
	uint8_t dh[DH_B];
	uint8_t prk[CH_HASH_B];
	uint8_t shared_secret[CH_HASH_B];
	uint8_t secret[CH_HASH_B];
	uint8_t key[AEAD_KEY_B];
	uint8_t nonce[AEAD_NONCE_B];
};

static void schedule_wipe(struct schedule *s)
{
	ch_wipe(s, sizeof(*s));
}

/* RFC 9180 section 7.1.1 */
static int diffie_hellman(
	const struct ch_recipient_key *mine, EVP_PKEY *peer, uint8_t ret_dh[DH_B])
{
	static const uint8_t zeros[DH_B];
	CH_CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_dup(mine->agree);
	size_t len = DH_B;

	/* 0: the peer was checked when it was imported (crypto/ossl.h); a second check of a
	 * P-256 point would double the time of the whole operation. */
	if (!ctx || EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) <= 0 ||
		EVP_PKEY_derive(ctx, ret_dh, &len) <= 0 || len != DH_B)
		return ch_ossl_fail(CH_EAUTH);
	/* Section 7.1.4: a point of small order makes X25519 yield zeros. */
	if (CRYPTO_memcmp(ret_dh, zeros, DH_B) == 0)
		return CH_EAUTH;
	return CH_OK;
}

/* Sections 4.1 (ExtractAndExpand) and 5.1 (KeySchedule of the base mode). */
static int key_schedule(struct schedule *s, enum ch_kem kem, struct ch_bytes enc,
	struct ch_bytes recipient_pub, struct ch_bytes info)
{
	CH_CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *digest = EVP_MD_CTX_new();
	struct ch_hkdf hkdf = {.digest = digest};
	uint8_t kem_context[CH_SEAL_ENC_MAX_B + CH_RECIPIENT_PUB_MAX_B];
	uint8_t context[1 + 2 * CH_HASH_B] = {0}; /* mode_base */
	const struct ch_bytes whole = {context, sizeof(context)};
	int rc;

	if (!digest)
		return ch_ossl_fail(CH_ENOMEM);
	memcpy(kem_context, enc.at, enc.len);
	memcpy(kem_context + enc.len, recipient_pub.at, recipient_pub.len);
	ch_hkdf_suite_kem(&hkdf, kem);
	rc = ch_hkdf_labeled_extract(&hkdf, NULL, "eae_prk", CH_BYTES(s->dh, DH_B), s->prk);
	if (rc == CH_OK)
		rc = ch_hkdf_labeled_expand(&hkdf, s->prk, "shared_secret",
			CH_BYTES(kem_context, enc.len + recipient_pub.len), s->shared_secret,
			sizeof(s->shared_secret));
	ch_hkdf_suite_hpke(&hkdf, kem);
	if (rc == CH_OK)
		rc = ch_hkdf_labeled_extract(
			&hkdf, NULL, "psk_id_hash", CH_NO_BYTES, context + 1);
	if (rc == CH_OK)
		rc = ch_hkdf_labeled_extract(
			&hkdf, NULL, "info_hash", info, context + 1 + CH_HASH_B);
	if (rc == CH_OK)
		rc = ch_hkdf_labeled_extract(
			&hkdf, s->shared_secret, "secret", CH_NO_BYTES, s->secret);
	if (rc == CH_OK)
		rc = ch_hkdf_labeled_expand(
			&hkdf, s->secret, "key", whole, s->key, sizeof(s->key));
	if (rc == CH_OK)
		rc = ch_hkdf_labeled_expand(
			&hkdf, s->secret, "base_nonce", whole, s->nonce, sizeof(s->nonce));
	return rc;
}

static int aead_seal(
	const struct schedule *s, struct ch_bytes aad, struct ch_bytes pt, uint8_t *ret_ct)
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;
	int ok;

	if (!ossl || !ctx)
		return ch_ossl_fail(CH_ECRYPTO);
	ok = EVP_EncryptInit_ex2(ctx, ossl->aes_256_gcm, s->key, s->nonce, NULL) == 1;
	if (ok && aad.len)
		ok = EVP_EncryptUpdate(ctx, NULL, &len, aad.at, (int)aad.len) == 1;
	if (ok && pt.len)
		ok = EVP_EncryptUpdate(ctx, ret_ct, &len, pt.at, (int)pt.len) == 1;
	ok = ok && EVP_EncryptFinal_ex(ctx, ret_ct + pt.len, &len) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CH_SEAL_TAG_B, ret_ct + pt.len) ==
		     1;
	return ok ? CH_OK : ch_ossl_fail(CH_ECRYPTO);
}

static int aead_open(
	const struct schedule *s, struct ch_bytes aad, struct ch_bytes ct, uint8_t *ret_pt)
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t pt_len = ct.len - CH_SEAL_TAG_B;
	const uint8_t *tag = (const uint8_t *)ct.at + pt_len;
	int len = 0;
	int ok;

	if (!ossl || !ctx)
		return ch_ossl_fail(CH_ECRYPTO);
	ok = EVP_DecryptInit_ex2(ctx, ossl->aes_256_gcm, s->key, s->nonce, NULL) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CH_SEAL_TAG_B, (void *)tag) == 1;
	if (ok && aad.len)
		ok = EVP_DecryptUpdate(ctx, NULL, &len, aad.at, (int)aad.len) == 1;
	if (ok && pt_len)
		ok = EVP_DecryptUpdate(ctx, ret_pt, &len, ct.at, (int)pt_len) == 1;
	ok = ok && EVP_DecryptFinal_ex(ctx, ret_pt + pt_len, &len) == 1;
	if (ok)
		return CH_OK;
	ch_wipe(ret_pt, pt_len);
	return ch_ossl_fail(CH_EAUTH);
}

int ch_hpke_seal_with(const struct ch_recipient *to, const struct ch_recipient_key *eph,
	const uint8_t *info, size_t info_len, const uint8_t *aad, size_t aad_len,
	const uint8_t *pt, size_t pt_len, uint8_t ret_enc[CH_SEAL_ENC_MAX_B],
	size_t *ret_enc_len, uint8_t *ret_ct)
{
	CH_CLEANUP(schedule_wipe) struct schedule s;
	CH_AUTO_PKEY EVP_PKEY *peer = NULL;
	int rc;

	if (info_len > SIZE_LIMIT || aad_len > SIZE_LIMIT || pt_len > SIZE_LIMIT)
		return CH_ETOOBIG;
	if (eph->pub.kem != to->kem)
		return CH_EINVAL;
	rc = ch_recipient_pkey(to, &peer);
	if (rc == CH_OK)
		rc = diffie_hellman(eph, peer, s.dh);
	if (rc == CH_OK)
		rc = key_schedule(&s, to->kem, CH_BYTES(eph->pub.pub, eph->pub.pub_len),
			CH_BYTES(to->pub, to->pub_len), CH_BYTES(info, info_len));
	if (rc == CH_OK)
		rc = aead_seal(&s, CH_BYTES(aad, aad_len), CH_BYTES(pt, pt_len), ret_ct);
	if (rc)
		return rc;
	memcpy(ret_enc, eph->pub.pub, eph->pub.pub_len);
	*ret_enc_len = eph->pub.pub_len;
	return CH_OK;
}

int ch_hpke_seal(const struct ch_recipient *to, const uint8_t *info, size_t info_len,
	const uint8_t *aad, size_t aad_len, const uint8_t *pt, size_t pt_len,
	uint8_t ret_enc[CH_SEAL_ENC_MAX_B], size_t *ret_enc_len, uint8_t *ret_ct)
{
	struct ch_recipient_key *eph;
	int rc = ch_recipient_key_generate(to->kem, &eph);

	if (rc)
		return rc;
	rc = ch_hpke_seal_with(to, eph, info, info_len, aad, aad_len, pt, pt_len, ret_enc,
		ret_enc_len, ret_ct);
	ch_recipient_key_free(eph);
	return rc;
}

int ch_hpke_open(const struct ch_recipient_key *key, const uint8_t *enc, size_t enc_len,
	const uint8_t *info, size_t info_len, const uint8_t *aad, size_t aad_len,
	const uint8_t *ct, size_t ct_len, uint8_t *ret_pt)
{
	struct ch_recipient sender = {.kem = key->pub.kem, .pub_len = enc_len};
	CH_CLEANUP(schedule_wipe) struct schedule s;
	CH_AUTO_PKEY EVP_PKEY *peer = NULL;
	int rc;

	if (info_len > SIZE_LIMIT || aad_len > SIZE_LIMIT || ct_len > SIZE_LIMIT)
		return CH_ETOOBIG;
	if (enc_len != key->pub.pub_len || ct_len < CH_SEAL_TAG_B)
		return CH_EAUTH;
	memcpy(sender.pub, enc, enc_len);
	if (ch_recipient_pkey(&sender, &peer))
		return CH_EAUTH;
	rc = diffie_hellman(key, peer, s.dh);
	if (rc == CH_OK)
		rc = key_schedule(&s, key->pub.kem, CH_BYTES(enc, enc_len),
			CH_BYTES(key->pub.pub, key->pub.pub_len), CH_BYTES(info, info_len));
	if (rc == CH_OK)
		rc = aead_open(&s, CH_BYTES(aad, aad_len), CH_BYTES(ct, ct_len), ret_pt);
	return rc;
}
