/* The leaf keys of a replica, or its ticket keys, opened with the recipient's key as an edge
 * would: for the test that looks for them where they must not be.
 *
 *   leafkeys RECIPIENT-KEY-FILE REPLICA             prints "NAME SCALAR-IN-HEX" lines
 *   leafkeys RECIPIENT-KEY-FILE REPLICA tickets     "aes<number> KEY-IN-HEX", "hmac<number> …"
 */
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/seal.h"
#include "edge/replica.h"
#include "wire/tickets.h"

#define SCALAR_B 32

static void need(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "leafkeys: %s: %s\n", what, ch_rc_str(rc));
		exit(1);
	}
}

static const struct ch_sealed_view *my_copy(
	const struct ch_record *record, const struct ch_recipient_key *key)
{
	for (size_t i = 0; i < record->n_sealed; i++)
		if (memcmp(record->sealed[i].recipient_id, key->pub.id, CH_RECIPIENT_ID_B) == 0)
			return &record->sealed[i];
	return NULL;
}

static void print_key(const struct ch_record *record, const struct ch_recipient_key *key)
{
	const struct ch_sealed_view *copy = my_copy(record, key);
	struct ch_seal_binding binding = {.name = record->name,
		.name_len = record->name_len,
		.key_version = record->key_version};
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	CH_AUTO_PKEY EVP_PKEY *leaf_key = NULL;
	char hex[2 * SCALAR_B + 1];
	uint8_t spki[CH_SHA256_B];
	const unsigned char *der = record->leaf;
	X509 *x509 = d2i_X509(NULL, &der, (long)record->leaf_len);

	need(copy && x509 ? CH_OK : CH_ENOTFOUND, "a copy for this recipient");
	need(ch_key_spki_sha256(X509_get0_pubkey(x509), spki), "public key");
	X509_free(x509);
	binding.spki_sha256 = spki;
	need(ch_seal_open_key(key, &binding, copy->enc, copy->enc_len, copy->ct, copy->ct_len,
		     &leaf_key),
		"opening");
	need(ch_key_to_block(leaf_key, &block), "key block");
	ch_hex_encode(ch_secret_bytes(block) + 1, SCALAR_B, hex);
	printf("%.*s %s\n", (int)record->name_len, record->name, hex);
}

static void print_half(const char *what, size_t number, const uint8_t *half)
{
	char hex[2 * SCALAR_B + 1];

	ch_hex_encode(half, SCALAR_B, hex);
	printf("%s%zu %s\n", what, number, hex);
}

static void print_tickets(
	struct ch_replica_reader *reader, const struct ch_recipient_key *recipient)
{
	struct ch_tickets tickets;
	struct ch_record record;

	need(ch_replica_get_tickets(reader, &record), "ticket keys");
	need(ch_tickets_decode(record.tickets, record.tickets_len, &tickets), "ticket keys");
	for (size_t i = 0; i < tickets.n; i++) {
		const struct ch_ticket_key *key = &tickets.keys[i];
		const struct ch_sealed_view *copy = &key->sealed[0];
		uint8_t block[CH_TICKET_BLOCK_B];
		struct ch_ticket_binding binding;

		ch_tickets_binding(key, record.name, record.name_len, &binding);
		need(ch_ticket_key_open(recipient, &binding, copy->enc, copy->enc_len, copy->ct,
			     copy->ct_len, block),
			"opening");
		print_half("aes", i, block + 1);
		print_half("hmac", i, block + 1 + CH_TICKET_AES_B);
		ch_wipe(block, sizeof(block));
	}
}

static void print_keys(
	struct ch_replica_reader *reader, const struct ch_recipient_key *recipient)
{
	struct ch_replica_entry entry;
	struct ch_record record;
	char after[CH_RECORD_KEY_B] = "";
	int rc;

	while ((rc = ch_replica_next(reader, after, strlen(after), &entry)) == CH_OK) {
		need(ch_record_decode(entry.bytes, entry.len, &record), "record");
		if (record.kind == CH_RECORD_CERT)
			print_key(&record, recipient);
		snprintf(after, sizeof(after), "%.*s", (int)entry.key_len, entry.key);
	}
	need(rc == CH_ENOTFOUND ? CH_OK : rc, "replica");
}

int main(int argc, char **argv)
{
	struct ch_replica_reader *reader;
	struct ch_recipient_key *key;
	struct ch_err err;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "leafkeys RECIPIENT-KEY-FILE REPLICA [tickets]\n");
		return 2;
	}
	need(ch_recipient_key_load(argv[1], &key, &err), "recipient key");
	need(ch_replica_reader_open(argv[2], &reader, &err), "replica");
	need(ch_replica_begin(reader), "replica");
	if (argc == 4)
		print_tickets(reader, key);
	else
		print_keys(reader, key);
	ch_replica_reader_free(reader);
	ch_recipient_key_free(key);
	return 0;
}
