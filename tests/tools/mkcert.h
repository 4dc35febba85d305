/* Internal to mkreplica: what a CA and an issuer do, without either. */
#ifndef CH_TESTS_MKCERT_H
#define CH_TESTS_MKCERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "base/buf.h"
#include "crypto/seal.h"
#include "crypto/sign.h"
#include "edge/replica.h"
#include "fastsign.h"
#include "wire/record.h"

#define DAY_S 86400L

_Noreturn void die(const char *what, const char *detail);
/* Die unless all is well. */
void need(int rc, const char *what);
void need_ssl(int ok, const char *what);

struct tool {
	char pki[512];
	X509 *ca;
	X509 *intermediate;
	EVP_PKEY *ca_key;
	EVP_PKEY *intermediate_key;
	struct ch_sign_key *signer;
	struct ch_recipients recipients;
	struct ch_buf chain;
	uint8_t chain_id[CH_CHAIN_ID_B];
	struct ch_replica_writer *writer;
	struct ch_cursor cursor;
	bool in_txn;
	bool public_shape;
	long first_serial; /* where the shape is not public */
	unsigned jobs;	   /* threads of `many` */
};

struct wish { /* of one certificate */
	char *name;
	enum ch_record_kind kind; /* 0: CH_RECORD_CERT */
	uint64_t version;
	uint64_t hint;
	char *names;
	long days;
	const char *sealed_for;
	char *files;
	bool other_key;
	bool no_chain;
	bool lost_chain;
	bool no_signature;
	struct fast_signer *signer; /* NULL: by OpenSSL */
	struct ch_text_view policy[CH_POLICY_TAG_COUNT];
	struct ch_text_view token;
	long until_s; /* from now */
};

/* Reads --pki DIR, and makes what is missing there. */
void load_pki(struct tool *tool);

/* A certificate for the wish's names under the intermediate. */
X509 *make_leaf(const struct tool *tool, const struct wish *wish, EVP_PKEY *key);

/* A whole CERT record: key, certificate, sealed copies, signature.  *ret_record borrows from
 * bytes, which is empty.  May run in several threads at once. */
void make_record(const struct tool *tool, const struct wish *wish, struct ch_buf *bytes,
	struct ch_record *ret_record);

#endif
