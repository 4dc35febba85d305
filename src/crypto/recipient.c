/* The public half of recipient keys: text form and the file of recipients. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "crypto/keytext.h"
#include "crypto/keys.h"
#include "crypto/recipient.h"
#include "crypto/ossl.h"

#define RECIPIENTS_FILE_MAX_B (64u * 1024u)

static const struct {
	enum ch_kem kem;
	const char *prefix;
	size_t pub_len;
} kinds[] = {
	{CH_KEM_X25519, "certherd-pub-x25519-", 32},
	{CH_KEM_P256, "certherd-pub-p256-", 65},
};

int ch_recipient_from_pub(
	enum ch_kem kem, const uint8_t *pub, size_t len, struct ch_recipient *ret_recipient)
{
	struct ch_recipient r = {.kem = kem, .pub_len = len};
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	uint8_t digest[CH_SHA256_B];
	int rc;

	if (len > sizeof(r.pub))
		return CH_EINVAL;
	memcpy(r.pub, pub, len);
	/* A key that cannot be used must be found here, not when a leaf key is sealed. */
	rc = ch_recipient_pkey(&r, &key);
	if (rc == CH_OK)
		rc = ch_sha256(pub, len, digest);
	if (rc)
		return rc;
	memcpy(r.id, digest, sizeof(r.id));
	*ret_recipient = r;
	return CH_OK;
}

int ch_recipient_pkey(const struct ch_recipient *recipient, EVP_PKEY **ret_key)
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_AUTO_PKEY EVP_PKEY *key = NULL;

	if (recipient->kem == CH_KEM_P256 && recipient->pub_len == 65)
		return ch_p256_from_point(recipient->pub, ret_key);
	if (recipient->kem != CH_KEM_X25519 || recipient->pub_len != 32)
		return CH_EUNSUPPORTED;
	if (!ossl)
		return CH_EUNSUPPORTED;
	/* Half the time of EVP_PKEY_new_raw_public_key_ex, which looks the algorithm up. */
	key = EVP_PKEY_dup(ossl->x25519);
	if (!key || EVP_PKEY_set1_encoded_public_key(key, recipient->pub, 32) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_key = TAKE_PTR(key);
	return CH_OK;
}

int ch_recipient_parse(const char *text, struct ch_recipient *ret_recipient)
{
	uint8_t pub[CH_RECIPIENT_PUB_MAX_B];

	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++) {
		int rc = ch_keytext_decode(
			text, strlen(text), kinds[i].prefix, pub, kinds[i].pub_len);

		if (rc == CH_OK)
			rc = ch_recipient_from_pub(
				kinds[i].kem, pub, kinds[i].pub_len, ret_recipient);
		if (rc != CH_ENOTFOUND)
			return rc == CH_ECRYPTO ? CH_EINVAL : rc;
	}
	return CH_EINVAL;
}

void ch_recipient_print(const struct ch_recipient *recipient, char *ret_text)
{
	size_t i = recipient->kem == kinds[0].kem ? 0 : 1;

	if (ch_keytext_encode(kinds[i].prefix, recipient->pub, kinds[i].pub_len, ret_text,
		    CH_RECIPIENT_TEXT_B))
		*ret_text = 0;
}

struct adding {
	struct ch_recipients list;
	const char *path;
};

static int add_line(const char *line, unsigned number, void *arg, struct ch_err *err)
{
	struct adding *a = arg;
	struct ch_recipient r;

	if (ch_recipient_parse(line, &r))
		return ch_err_set(err, CH_EINVAL, "recipient-line",
			"%s:%u: not a recipient: expected certherd-pub-x25519-… or "
			"certherd-pub-p256-…, as `certherd key pub` prints it",
			a->path, number);
	for (size_t i = 0; i < a->list.n; i++)
		if (memcmp(a->list.list[i].id, r.id, sizeof(r.id)) == 0)
			return ch_err_set(err, CH_EINVAL, "recipient-twice",
				"%s:%u: this recipient was given before", a->path, number);
	if (a->list.n == CH_RECIPIENTS_MAX)
		return ch_err_set(err, CH_ETOOBIG, "recipients-many",
			"%s:%u: more than %d recipients", a->path, number, CH_RECIPIENTS_MAX);
	a->list.line[a->list.n] = number;
	a->list.list[a->list.n++] = r;
	return CH_OK;
}

int ch_recipients_parse(const char *text, const char *path,
	struct ch_recipients *ret_recipients, struct ch_err *err)
{
	struct adding a = {.path = path};
	int rc = ch_keytext_lines(text, add_line, &a, err);

	if (rc)
		return rc;
	if (a.list.n == 0)
		return ch_err_set(err, CH_EINVAL, "recipients-none",
			"%s names no recipient: put the line of `certherd key pub` into it",
			path);
	*ret_recipients = a.list;
	return CH_OK;
}

int ch_recipients_load(
	const char *path, struct ch_recipients *ret_recipients, struct ch_err *err)
{
	CH_AUTO_FREE char *text = NULL;
	size_t len;
	int rc = ch_keytext_read_guarded(path, RECIPIENTS_FILE_MAX_B, &text, &len, err);

	if (rc)
		return rc;
	return ch_recipients_parse(text, path, ret_recipients, err);
}
