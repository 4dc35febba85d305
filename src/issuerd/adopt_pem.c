#include "issuerd/adopt_pem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/keys.h"

struct block {
	char *type;
	char *header;
	unsigned char *der;
	long len;
};

static void block_done(struct block *b)
{
	OPENSSL_secure_free(b->type);
	OPENSSL_secure_free(b->header);
	if (b->der)
		OPENSSL_secure_clear_free(b->der, (size_t)b->len);
}

static int take_cert(struct ch_adopt_pem *pem, const struct block *b, struct ch_err *err)
{
	uint8_t *copy;

	if (pem->n_certs == CH_ADOPT_CERTS_MAX)
		return ch_err_set(err, CH_ETOOBIG, "file-size",
			"more than %d certificates in one file", CH_ADOPT_CERTS_MAX);
	copy = b->len > 0 ? malloc((size_t)b->len) : NULL;
	if (!copy)
		return ch_err_set(err, CH_EPROTO, "pem-malformed", "an empty certificate");
	memcpy(copy, b->der, (size_t)b->len);
	pem->der[pem->n_certs] = copy;
	pem->der_len[pem->n_certs++] = (size_t)b->len;
	return CH_OK;
}

/* Whether there is a block for it (crypto/keys.h), so that it can be sealed. */
static bool is_supported(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);
	char group[32] = "";
	size_t len;

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return bits == 2048 || bits == 3072 || bits == 4096;
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
}

static int take_key(struct ch_adopt_pem *pem, const struct block *b, struct ch_err *err)
{
	const unsigned char *at = b->der;
	CH_AUTO_PKEY EVP_PKEY *key = NULL;

	if (strcmp(b->type, PEM_STRING_PKCS8) == 0 || strstr(b->header, "ENCRYPTED"))
		return ch_err_set(err, CH_EUNSUPPORTED, "key-encrypted",
			"the private key is encrypted: write a copy without a passphrase for "
			"as "
			"long as the adoption takes (openssl pkey -in FILE -out COPY), in a "
			"folder "
			"that only root can read");
	if (pem->key)
		return ch_err_set(
			err, CH_EPROTO, "key-several", "more than one private key in one file");
	key = d2i_AutoPrivateKey(NULL, &at, b->len);
	ERR_clear_error();
	if (!key)
		return ch_err_set(err, CH_EPROTO, "pem-malformed",
			"a block that says that it is a private key is none");
	if (!is_supported(key))
		return ch_err_set(err, CH_EUNSUPPORTED, "key-type",
			"a private key that is neither P-256, P-384 nor RSA with 2,048, 3,072 "
			"or "
			"4,096 bits: have a certificate issued anew");
	pem->key = TAKE_PTR(key);
	return CH_OK;
}

static bool is_cert(const char *type)
{
	return strcmp(type, PEM_STRING_X509) == 0 || strcmp(type, PEM_STRING_X509_OLD) == 0;
}

static bool is_key(const char *type)
{
	size_t len = strlen(type);

	return len >= 11 && strcmp(type + len - 11, "PRIVATE KEY") == 0;
}

static int take_blocks(BIO *bio, struct ch_adopt_pem *pem, struct ch_err *err)
{
	for (;;) {
		CH_CLEANUP(block_done) struct block b = {.type = NULL};
		int rc = CH_OK;

		ERR_clear_error();
		/* SECURE: lines that it has read are wiped too. */
		if (PEM_read_bio_ex(bio, &b.type, &b.header, &b.der, &b.len,
			    PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) != 1) {
			bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

			ERR_clear_error();
			return end ? CH_OK
				   : ch_err_set(err, CH_EPROTO, "pem-malformed",
					     "a PEM block is broken or cut off");
		}
		if (is_cert(b.type))
			rc = take_cert(pem, &b, err);
		else if (is_key(b.type))
			rc = take_key(pem, &b, err);
		if (rc)
			return rc;
	}
}

int ch_adopt_pem_parse(
	const char *text, size_t len, struct ch_adopt_pem *ret_pem, struct ch_err *err)
{
	struct ch_adopt_pem pem = {.n_certs = 0};
	BIO *bio;
	int rc;

	if (len > CH_ADOPT_FILE_MAX_B)
		return ch_err_set(
			err, CH_ETOOBIG, "file-size", "over %u bytes", CH_ADOPT_FILE_MAX_B);
	bio = BIO_new_mem_buf(len ? text : "", (int)len);
	if (!bio)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = take_blocks(bio, &pem, err);
	BIO_free(bio);
	if (rc)
		ch_adopt_pem_done(&pem);
	else
		*ret_pem = pem;
	return rc;
}

void ch_adopt_pem_done(struct ch_adopt_pem *pem)
{
	for (size_t i = 0; i < pem->n_certs; i++)
		free(pem->der[i]);
	EVP_PKEY_free(pem->key);
	*pem = (struct ch_adopt_pem){.n_certs = 0};
}

static int fail_open(const char *path, struct ch_err *err)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return ch_err_set(err, CH_ENOTFOUND, "file-missing", "%s is not there", path);
	if (errno == EACCES || errno == EPERM)
		return ch_err_set(err, CH_EAUTH, "file-permission",
			"%s cannot be read by this user: run this as root", path);
	if (errno == ELOOP)
		return ch_err_set(
			err, CH_EINVAL, "file-loop", "%s is a symbolic link to itself", path);
	return ch_err_set(
		err, CH_EIO, "file-read", "cannot open %s: %s", path, strerror(errno));
}

/* O_NONBLOCK: a pipe without a writer must not stop everything. */
static int open_file(const char *path, size_t max_b, int *ret_fd, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fail_open(path, err);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return ch_err_set(
			err, CH_EINVAL, "file-type", "%s is not a regular file", path);
	if (st.st_size < 0 || (uintmax_t)st.st_size > max_b)
		return ch_err_set(
			err, CH_ETOOBIG, "file-size", "%s is over %zu bytes", path, max_b);
	*ret_fd = fd;
	fd = -1;
	return CH_OK;
}

static int read_all(int fd, const char *path, uint8_t *to, size_t max_b, size_t *ret_len,
	struct ch_err *err)
{
	size_t len = 0;

	while (len < max_b) {
		ssize_t got = read(fd, to + len, max_b - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ch_err_set(err, CH_EIO, "file-read", "cannot read %s: %s", path,
				strerror(errno));
		if (got == 0)
			break;
		len += (size_t)got;
	}
	*ret_len = len;
	return CH_OK;
}

int ch_adopt_pem_read(const char *path, struct ch_secret *scratch, struct ch_adopt_pem *ret_pem,
	struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = -1;
	uint8_t *bytes = ch_secret_bytes(scratch);
	size_t len = 0;
	int rc = open_file(path, ch_secret_len(scratch), &fd, err);

	if (!rc)
		rc = read_all(fd, path, bytes, ch_secret_len(scratch), &len, err);
	if (!rc) {
		rc = ch_adopt_pem_parse((const char *)bytes, len, ret_pem, err);
		if (rc)
			ch_err_prefix(err, "%s", path);
	}
	ch_wipe(bytes, len);
	return rc;
}

int ch_adopt_file_read(
	const char *path, size_t max_b, char **ret_text, size_t *ret_len, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = -1;
	CH_AUTO_FREE char *text = NULL;
	int rc = open_file(path, max_b, &fd, err);

	if (rc)
		return rc;
	text = malloc(max_b + 1);
	if (!text)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = read_all(fd, path, (uint8_t *)text, max_b, ret_len, err);
	if (rc)
		return rc;
	text[*ret_len] = '\0';
	*ret_text = TAKE_PTR(text);
	return CH_OK;
}
