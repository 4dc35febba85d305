/* Keys of TLS session tickets: what a record of kind TICKETS (wire/record.h) says.
 *
 *   u8  n_keys            1 … 4, from_s strictly ascending
 *   n_keys times:
 *     u8  id[16]          random; stands in front of each ticket that the key has made
 *     i64 from_s          Unix seconds: tickets are made with it from then on, until another
 *                         key's from_s has come
 *     i64 until_s         … and are opened with it before then; above from_s
 *     u8  n_sealed        1 … 8 copies, one per recipient, each as in a CERT record, with
 *                         CH_TICKET_CT_B bytes of ciphertext (crypto/ticket.h) */
#ifndef CH_WIRE_TICKETS_H
#define CH_WIRE_TICKETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/ticket.h"
#include "wire/record.h"

#define CH_TICKET_KEYS_MAX 4

struct ch_ticket_key {
	const uint8_t *id; /* CH_TICKET_ID_B bytes; all pointers are borrowed */
	int64_t from_s;
	int64_t until_s;
	struct ch_sealed_view sealed[CH_RECORD_SEALED_MAX];
	size_t n_sealed;
};

struct ch_tickets {
	struct ch_ticket_key keys[CH_TICKET_KEYS_MAX];
	size_t n;
};

/* CH_EPROTO.  len bytes and no more. */
CH_MUST int ch_tickets_decode(const uint8_t *bytes, size_t len, struct ch_tickets *ret_tickets);
/* CH_EINVAL for what would not be decoded; then nothing is appended. */
CH_MUST int ch_tickets_encode(const struct ch_tickets *tickets, struct ch_buf *out);

/* The key that makes tickets now: the newest one whose time has come, and that opens them too.
 * n: none does. */
size_t ch_tickets_current(const struct ch_tickets *tickets, int64_t now_s);
/* What is bound into the sealed copies of a key; pool as in the record's name. */
void ch_tickets_binding(const struct ch_ticket_key *key, const char *pool, size_t pool_len,
	struct ch_ticket_binding *ret_binding);

#endif
