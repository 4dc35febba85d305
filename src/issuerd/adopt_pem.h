/* PEM files of others: certificates and a key in any order, as web servers take them. */
#ifndef CH_ISSUERD_ADOPT_PEM_H
#define CH_ISSUERD_ADOPT_PEM_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define CH_ADOPT_FILE_MAX_B (256u * 1024u)
#define CH_ADOPT_CERTS_MAX 16

struct ch_adopt_pem {
	uint8_t *der[CH_ADOPT_CERTS_MAX]; /* in the order of the file; owned */
	size_t der_len[CH_ADOPT_CERTS_MAX];
	size_t n_certs;
	EVP_PKEY *key; /* owned; NULL: there is none */
};

/* From memory.  What is neither a certificate nor a key (parameters, text around) is passed
 * over; ret_pem is to be released also when it has neither.  CH_EPROTO "pem-malformed",
 * "key-several"; CH_EUNSUPPORTED "key-encrypted", "key-type"; CH_ETOOBIG "file-size": more than
 * CH_ADOPT_CERTS_MAX certificates. */
CH_MUST int ch_adopt_pem_parse(
	const char *text, size_t len, struct ch_adopt_pem *ret_pem, struct ch_err *err);
/* From a file.  scratch: CH_ADOPT_FILE_MAX_B bytes, wiped before the return.  Also CH_ENOTFOUND
 * "file-missing", CH_EAUTH "file-permission", CH_EINVAL "file-loop" or "file-type",
 * CH_ETOOBIG "file-size", CH_EIO "file-read". */
CH_MUST int ch_adopt_pem_read(const char *path, struct ch_secret *scratch,
	struct ch_adopt_pem *ret_pem, struct ch_err *err);
void ch_adopt_pem_done(struct ch_adopt_pem *pem);

/* Any file of others that is no secret, as configuration is; the errors of a file as above.
 * The caller frees *ret_text, which a NUL follows. */
CH_MUST int ch_adopt_file_read(
	const char *path, size_t max_b, char **ret_text, size_t *ret_len, struct ch_err *err);

#endif
