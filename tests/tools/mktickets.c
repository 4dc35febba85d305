#include "mktickets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct made {
	uint8_t id[CH_SHA256_B]; /* the first CH_TICKET_ID_B of them */
	struct ch_sealed_ticket sealed[CH_RECIPIENTS_MAX];
};

/* The block and the id of a word. */
static int make_block(const char *word, uint8_t id[CH_SHA256_B], struct ch_secret **ret_block)
{
	char text[128];
	int rc = ch_secret_new(CH_TICKET_BLOCK_B, ret_block);

	if (rc)
		return rc;
	ch_secret_bytes(*ret_block)[0] = 1;
	for (int i = 0; rc == CH_OK && i < 2; i++) {
		snprintf(text, sizeof(text), "half %d of %s", i, word);
		rc = ch_sha256(text, strlen(text), ch_secret_bytes(*ret_block) + 1 + 32 * i);
	}
	return rc ? rc : ch_sha256(word, strlen(word), id);
}

static int make_key(const struct mktickets *how, const char *word, struct ch_ticket_key *key,
	struct made *made)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	struct ch_ticket_binding binding;
	int rc = make_block(word, made->id, &block);

	key->id = made->id;
	key->n_sealed = how->recipients->n;
	ch_tickets_binding(key, how->pool, strlen(how->pool), &binding);
	for (size_t i = 0; rc == CH_OK && i < key->n_sealed; i++) {
		struct ch_sealed_ticket *sealed = &made->sealed[i];

		rc = ch_ticket_key_seal(&how->recipients->list[i], &binding, block, sealed);
		sealed->ct[0] ^= how->damaged;
		key->sealed[i] = (struct ch_sealed_view){.recipient_id = sealed->recipient_id,
			.kem_id = (uint16_t)sealed->kem,
			.enc = sealed->enc,
			.enc_len = sealed->enc_len,
			.ct = sealed->ct,
			.ct_len = sizeof(sealed->ct)};
	}
	return rc;
}

static int make_keys(const struct mktickets *how, const char *text, struct ch_tickets *tickets,
	struct made made[CH_TICKET_KEYS_MAX])
{
	for (; *text; tickets->n++) {
		struct ch_ticket_key *key = &tickets->keys[tickets->n];
		long from;
		long until;
		char word[64];
		int read = 0;
		int rc;

		if (tickets->n == CH_TICKET_KEYS_MAX ||
			sscanf(text, "%60[^=]=%ld..%ld%n", word, &from, &until, &read) != 3)
			return CH_EINVAL;
		key->from_s = (int64_t)time(NULL) + from;
		key->until_s = (int64_t)time(NULL) + until;
		rc = make_key(how, word, key, &made[tickets->n]);
		if (rc)
			return rc;
		text += read;
		text += *text == '+';
	}
	return CH_OK;
}

int mktickets(const struct mktickets *how, const char *keys, struct ch_buf *out)
{
	CH_AUTO_BUF struct ch_buf bytes;
	struct made made[CH_TICKET_KEYS_MAX];
	struct ch_tickets tickets = {.n = 0};
	struct ch_record record = {.kind = CH_RECORD_TICKETS,
		.version = how->version,
		.name = how->pool,
		.name_len = strlen(how->pool)};
	int rc = make_keys(how, keys, &tickets, made);

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	if (rc == CH_OK)
		rc = ch_tickets_encode(&tickets, &bytes);
	record.tickets = bytes.data;
	record.tickets_len = bytes.len;
	return rc ? rc : ch_record_sign(&record, how->signer, out);
}
