#include "crypto/keytext.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/secret.h"
#include "crypto/keys.h"

#define CHECK_B 4
#define LINE_MAX_B 256

int ch_keytext_decode(
	const char *text, size_t text_len, const char *prefix, uint8_t *ret_key, size_t key_len)
{
	uint8_t bytes[CH_KEYTEXT_MAX_B + CHECK_B];
	uint8_t digest[CH_SHA256_B];
	size_t prefix_len = strlen(prefix);
	size_t len;
	int rc;

	if (text_len < prefix_len || memcmp(text, prefix, prefix_len) != 0)
		return CH_ENOTFOUND;
	rc = ch_b64u_decode(
		text + prefix_len, text_len - prefix_len, bytes, sizeof(bytes), &len);
	if (rc || len != key_len + CHECK_B)
		rc = CH_EINVAL;
	else
		rc = ch_sha256(bytes, key_len, digest);
	if (rc == CH_OK && CRYPTO_memcmp(digest, bytes + key_len, CHECK_B) != 0)
		rc = CH_EINVAL;
	if (rc == CH_OK)
		memcpy(ret_key, bytes, key_len);
	ch_wipe(bytes, sizeof(bytes));
	return rc;
}

int ch_keytext_encode(
	const char *prefix, const uint8_t *key, size_t key_len, char *ret_text, size_t text_b)
{
	uint8_t bytes[CH_KEYTEXT_MAX_B + CHECK_B];
	uint8_t digest[CH_SHA256_B];
	size_t prefix_len = strlen(prefix);
	int rc;

	if (key_len > CH_KEYTEXT_MAX_B ||
		prefix_len + CH_B64U_TEXT_B(key_len + CHECK_B) > text_b)
		return CH_ETOOBIG;
	rc = ch_sha256(key, key_len, digest);
	if (rc)
		return rc;
	memcpy(bytes, key, key_len);
	memcpy(bytes + key_len, digest, CHECK_B);
	memcpy(ret_text, prefix, prefix_len);
	ch_b64u_encode(bytes, key_len + CHECK_B, ret_text + prefix_len);
	ch_wipe(bytes, sizeof(bytes));
	return CH_OK;
}

int ch_keytext_lines(const char *text,
	int (*line)(const char *text, unsigned number, void *arg, struct ch_err *err),
	void *arg, struct ch_err *err)
{
	char copy[LINE_MAX_B + 1];
	int rc = CH_OK;

	for (unsigned number = 1; *text && rc == CH_OK; number++) {
		size_t len = strcspn(text, "\n");
		const char *at = text;

		text += len + (text[len] == '\n');
		while (len && isspace((unsigned char)*at)) {
			at++;
			len--;
		}
		while (len && isspace((unsigned char)at[len - 1]))
			len--;
		if (len == 0 || *at == '#')
			continue;
		if (len >= sizeof(copy)) {
			rc = ch_err_set(err, CH_ETOOBIG, "line-long",
				"line %u is over %d characters long", number, LINE_MAX_B);
			break;
		}
		memcpy(copy, at, len);
		copy[len] = 0;
		rc = line(copy, number, arg, err);
	}
	ch_wipe(copy, sizeof(copy));
	return rc;
}

int ch_keytext_read_guarded(
	const char *path, size_t max_b, char **ret_text, size_t *ret_len, struct ch_err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return ch_err_set(err, errno == ENOENT ? CH_ENOTFOUND : CH_EIO, "file",
			"cannot open %s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return ch_err_set(
			err, CH_EINVAL, "not-a-file", "%s is a folder, not a file", path);
	if (st.st_mode & 022)
		return ch_err_set(err, CH_EAUTH, "file-writable",
			"%s can be written by others (mode %04o): run chmod go-w on it", path,
			(unsigned)st.st_mode & 07777);
	return ch_file_read(path, max_b, ret_text, ret_len, err);
}
