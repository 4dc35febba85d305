#include "crypto/sign.h"

#include <openssl/crypto.h>
#include <string.h>

#include "crypto/ecdsa.h"
#include "crypto/keys.h"
#include "crypto/keytext.h"
#include "crypto/ossl.h"

#define PUBLIC_PREFIX "certherd-sign-p256-"
#define PUBLIC_TEXT_B 160
#define SIGNERS_MAX 8
#define SIGNERS_FILE_MAX_B (64u * 1024u)
#define ID_B 8

struct ch_sign_key {
	EVP_PKEY *pkey;
	uint8_t point[65];
	uint8_t id[ID_B];
};

struct ch_verify_set {
	struct {
		EVP_PKEY *pkey;
		uint8_t id[ID_B];
	} list[SIGNERS_MAX];
	size_t n;
};

CH_DEFINE_CLEANUP(struct ch_sign_key *, ch_sign_key_free)
CH_DEFINE_CLEANUP(struct ch_verify_set *, ch_verify_set_free)

static int point_id(const uint8_t point[65], uint8_t ret_id[ID_B])
{
	uint8_t digest[CH_SHA256_B];
	int rc = ch_sha256(point, 65, digest);

	if (rc == CH_OK)
		memcpy(ret_id, digest, ID_B);
	return rc;
}

int ch_sign_key_from(EVP_PKEY *pkey, struct ch_sign_key **ret_key)
{
	CH_CLEANUP(ch_sign_key_free_p) struct ch_sign_key *key = calloc(1, sizeof(*key));

	if (!key || EVP_PKEY_up_ref(pkey) != 1)
		return CH_ENOMEM;
	key->pkey = pkey;
	if (ch_p256_point(key->pkey, key->point) || point_id(key->point, key->id))
		return CH_EINVAL;
	*ret_key = TAKE_PTR(key);
	return CH_OK;
}

int ch_sign_key_load(const char *path, struct ch_sign_key **ret_key, struct ch_err *err)
{
	CH_AUTO_PKEY EVP_PKEY *pkey = NULL;
	int rc = ch_key_load_pem(path, &pkey, err);

	if (rc)
		return rc;
	rc = ch_sign_key_from(pkey, ret_key);
	if (rc == CH_ENOMEM)
		return ch_err_set(err, rc, "out-of-memory", "out of memory");
	if (rc)
		return ch_err_set(err, rc, "signing-key", "%s is not a P-256 key", path);
	return CH_OK;
}

int ch_sign_key_create(const char *path, struct ch_err *err)
{
	CH_AUTO_PKEY EVP_PKEY *pkey = NULL;
	int rc = ch_key_generate(&pkey);

	if (rc)
		return ch_err_set(err, rc, "key-generate", "cannot make a signing key");
	return ch_key_create_pem(path, pkey, err);
}

void ch_sign_key_free(struct ch_sign_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

const uint8_t *ch_sign_key_id(const struct ch_sign_key *key)
{
	return key->id;
}

int ch_sign_key_print_public(const struct ch_sign_key *key, char *ret_text)
{
	return ch_keytext_encode(
		PUBLIC_PREFIX, key->point, sizeof(key->point), ret_text, PUBLIC_TEXT_B);
}

int ch_sign(const struct ch_sign_key *key, const char *label, const uint8_t *bytes, size_t len,
	uint8_t ret_sig[64])
{
	const struct ch_bytes parts[] = {{label, strlen(label) + 1}, {bytes, len}};

	return ch_ecdsa_sign(key->pkey, parts, CH_ARRAY_LEN(parts), ret_sig);
}

int ch_sign_check(const struct ch_sign_key *key, const char *label, const uint8_t *bytes,
	size_t len, const uint8_t sig[64])
{
	const struct ch_bytes parts[] = {{label, strlen(label) + 1}, {bytes, len}};

	return ch_ecdsa_verify(key->pkey, parts, CH_ARRAY_LEN(parts), sig);
}

static int add_signer(const char *line, unsigned number, void *arg, struct ch_err *err)
{
	struct ch_verify_set *set = arg;
	uint8_t point[65];
	int rc;

	if (set->n == SIGNERS_MAX)
		return ch_err_set(err, CH_ETOOBIG, "signers-many", "line %u: more than %d keys",
			number, SIGNERS_MAX);
	rc = ch_keytext_decode(line, strlen(line), PUBLIC_PREFIX, point, sizeof(point));
	if (rc == CH_OK)
		rc = point_id(point, set->list[set->n].id);
	if (rc == CH_OK)
		rc = ch_p256_from_point(point, &set->list[set->n].pkey);
	if (rc)
		return ch_err_set(err, CH_EINVAL, "signer-line",
			"line %u: not a signing key: expected " PUBLIC_PREFIX "…", number);
	set->n++;
	return CH_OK;
}

int ch_verify_set_parse(const char *text, struct ch_verify_set **ret_set, struct ch_err *err)
{
	CH_CLEANUP(ch_verify_set_free_p) struct ch_verify_set *set = calloc(1, sizeof(*set));
	int rc;

	if (!set)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_keytext_lines(text, add_signer, set, err);
	if (rc)
		return rc;
	if (set->n == 0)
		return ch_err_set(
			err, CH_EINVAL, "signers-none", "there is no signing key in it");
	*ret_set = TAKE_PTR(set);
	return CH_OK;
}

int ch_verify_set_load(const char *path, struct ch_verify_set **ret_set, struct ch_err *err)
{
	CH_AUTO_FREE char *text = NULL;
	size_t len;
	int rc = ch_keytext_read_guarded(path, SIGNERS_FILE_MAX_B, &text, &len, err);

	if (rc)
		return rc;
	rc = ch_verify_set_parse(text, ret_set, err);
	if (rc)
		ch_err_prefix(err, "%s", path);
	return rc;
}

void ch_verify_set_free(struct ch_verify_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++)
		EVP_PKEY_free(set->list[i].pkey);
	free(set);
}

int ch_verify(const struct ch_verify_set *set, const uint8_t signer_id[8], const char *label,
	const uint8_t *bytes, size_t len, const uint8_t sig[64])
{
	const struct ch_bytes parts[] = {{label, strlen(label) + 1}, {bytes, len}};

	for (size_t i = 0; i < set->n; i++)
		if (memcmp(set->list[i].id, signer_id, ID_B) == 0)
			return ch_ecdsa_verify(
				set->list[i].pkey, parts, CH_ARRAY_LEN(parts), sig);
	return CH_EAUTH;
}
