/* The certificates of a replica as other servers want them, opened with the recipient's key:
 *
 *   peerfiles RECIPIENT-KEY-FILE REPLICA DIR     writes DIR/NAME.pem: leaf, chain, key */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/seal.h"
#include "edge/replica.h"

static void need(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "peerfiles: %s: %s\n", what, ch_rc_str(rc));
		exit(1);
	}
}

static X509 *parse(const uint8_t *der, size_t len)
{
	X509 *x509 = d2i_X509(NULL, &der, (long)len);

	need(x509 ? CH_OK : CH_ECORRUPT, "certificate");
	return x509;
}

static EVP_PKEY *open_key(
	const struct ch_record *record, const struct ch_recipient_key *key, X509 *leaf)
{
	struct ch_seal_binding binding = {.name = record->name,
		.name_len = record->name_len,
		.key_version = record->key_version};
	uint8_t spki[CH_SHA256_B];
	EVP_PKEY *leaf_key = NULL;
	size_t at = 0;

	need(ch_key_spki_sha256(X509_get0_pubkey(leaf), spki), "public key");
	binding.spki_sha256 = spki;
	while (at < record->n_sealed &&
		memcmp(record->sealed[at].recipient_id, key->pub.id, CH_RECIPIENT_ID_B) != 0)
		at++;
	need(at < record->n_sealed ? CH_OK : CH_ENOTFOUND, "a copy for this recipient");
	need(ch_seal_open_key(key, &binding, record->sealed[at].enc, record->sealed[at].enc_len,
		     record->sealed[at].ct, record->sealed[at].ct_len, &leaf_key),
		"opening");
	return leaf_key;
}

static void write_chain(
	struct ch_replica_reader *reader, const struct ch_record *record, FILE *out)
{
	struct ch_chain chain;
	const uint8_t *block;
	size_t len;

	need(ch_replica_get_chain(reader, record->chain_id, &block, &len), "chain");
	need(ch_chain_decode(block, len, &chain), "chain");
	for (size_t i = 0; i < chain.n; i++) {
		X509 *x509 = parse(chain.der[i], chain.der_len[i]);

		PEM_write_X509(out, x509);
		X509_free(x509);
	}
}

static void write_file(struct ch_replica_reader *reader, const struct ch_record *record,
	const struct ch_recipient_key *key, const char *dir)
{
	X509 *leaf = parse(record->leaf, record->leaf_len);
	EVP_PKEY *leaf_key = open_key(record, key, leaf);
	CH_AUTO_FREE char *path = NULL;
	FILE *out;

	need(asprintf(&path, "%s/%.*s.pem", dir, (int)record->name_len, record->name), "path");
	out = fopen(path, "w");
	need(out ? CH_OK : CH_EIO, path);
	PEM_write_X509(out, leaf);
	write_chain(reader, record, out);
	PEM_write_PrivateKey(out, leaf_key, NULL, NULL, 0, NULL, NULL); /* as certbot does */
	need(fclose(out) == 0 ? CH_OK : CH_EIO, path);
	EVP_PKEY_free(leaf_key);
	X509_free(leaf);
}

int main(int argc, char **argv)
{
	struct ch_replica_reader *reader;
	struct ch_replica_entry entry;
	struct ch_recipient_key *key;
	struct ch_record record;
	char after[CH_RECORD_KEY_B] = "";
	struct ch_err err;
	int rc;

	if (argc != 4) {
		fprintf(stderr, "peerfiles RECIPIENT-KEY-FILE REPLICA DIR\n");
		return 2;
	}
	need(ch_recipient_key_load(argv[1], &key, &err), "recipient key");
	need(ch_replica_reader_open(argv[2], &reader, &err), "replica");
	need(ch_replica_begin(reader), "replica");
	while ((rc = ch_replica_next(reader, after, strlen(after), &entry)) == CH_OK) {
		need(ch_record_decode(entry.bytes, entry.len, &record), "record");
		if (record.kind == CH_RECORD_CERT)
			write_file(reader, &record, key, argv[3]);
		snprintf(after, sizeof(after), "%.*s", (int)entry.key_len, entry.key);
	}
	need(rc == CH_ENOTFOUND ? CH_OK : rc, "replica");
	ch_replica_reader_free(reader);
	ch_recipient_key_free(key);
	return 0;
}
