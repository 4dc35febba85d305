/* Edge records: what the feed carries and the replica stores: for each name one that says
 * whether it is there and how it is served, one with its policy if that is not the default, and
 * one with a second certificate if it has two; for each pool one with the keys of its session
 * tickets.
 *
 * All integers big-endian.  Layout of a record (format 1):
 *
 *   u8  format            1
 *   u8  kind              enum ch_record_kind
 *   u16 flags             0; readers ignore bits they do not know
 *   u64 version           grows with every change of the name; only a higher one is applied
 *   u64 account_hint      first 8 bytes of the ACME account thumbprint that answers challenges
 *                         for this name; 0 = the first pinned one
 *   u8  name_len, name    1 … 253 bytes: lower-case A-labels, "*." allowed in front
 *   kind CH_RECORD_NAME and CH_RECORD_TOMBSTONE end here.
 *   kind CH_RECORD_POLICY goes on; what is not given is the default:
 *   u8  n                 then n times, tags ascending, unknown ones are skipped:
 *       u8  tag                enum ch_policy_tag
 *       u8  len, text          1 … 255 bytes of printable ASCII
 *   kind CH_RECORD_CERT goes on:
 *   u64 key_version       the version that is bound into the sealed key's AAD
 *   i64 not_before_s, not_after_s          Unix seconds, as in the leaf
 *   u8  chain_id[32]      SHA-256 of the chain block (below); all zero: no intermediates
 *   u16 leaf_len, leaf    DER, 1 … 8,192 bytes
 *   u8  n_sealed          1 … 8 copies of the key, one per recipient:
 *       u8  recipient_id[8]    first 8 bytes of SHA-256 of the serialized public key
 *       u16 kem_id             RFC 9180 section 7.1
 *       u8  enc_len, enc       32 or 65 bytes
 *       u16 ct_len, ct         1 … 1,024 bytes; P-256: 49, P-384: 65, RSA with 2,048 bits: 277
 *   kind CH_RECORD_TICKETS, whose name is the pool's and whose account_hint is 0, goes on:
 *   u8  keys[]            the layout of wire/tickets.h
 *   kind CH_RECORD_SECOND, the certificate for clients that cannot use that of the name's CERT
 *   record, which for all others stays the one that is served, goes on:
 *   u8  there             0: there is none (any more), and it ends here; 1: on as CERT
 *   kind CH_RECORD_CHALLENGE, whose account_hint says under which account the name's challenges
 *   are answered now, whatever its other records say, goes on:
 *   u8  token_len, token   of a tls-alpn-01 challenge that is open: 1 … 128 of base64url's
 *                          letters; 0: there is none, and it ends here
 *   i64 token_until_s      Unix seconds: then it is answered no longer, whatever has happened
 *   kinds CH_RECORD_CERT, CH_RECORD_TICKETS, CH_RECORD_SECOND with 1, and CH_RECORD_CHALLENGE
 *   with a token, all end with:
 *   u8  signer_id[8]      first 8 bytes of SHA-256 of the signer's 65-byte public point
 *   u8  signature[64]     ECDSA P-256 SHA-256, r || s, over "certherd record v1\0" followed by
 *                         every byte before signature; of a CHALLENGE record over "certherd
 *                         token v1\0" followed by those from account_hint on: its version is
 *                         the store's, which also makes the records that take its place
 *
 * A chain block is: u8 n (1 … 8), then n times u16 len, DER certificate; leaf's issuer first.
 * The store can make NAME, TOMBSTONE and POLICY records, CHALLENGE records without a token
 * (edges answer with thumbprints that are pinned there, so nobody else gets a certificate), and
 * SECOND records that say that there is none (they give nobody a key); what carries a
 * certificate, ticket keys or a token only the issuer can make.  The kind is signed too: one
 * certificate cannot be put in the other's place.  A token that it signed can be shown again
 * until its end, as the name's alone: that gives nobody anything, for the CA that gave it out
 * is asked by our account only.
 *
 * Stores and replicas keep a record under its key: the name, and behind it for a POLICY record
 * "/4", for a TICKETS record "/5", for a SECOND record "/6", for a CHALLENGE record "/7".  The
 * tombstone of a name removes what is beside it too. */
#ifndef CH_WIRE_RECORD_H
#define CH_WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CH_RECORD_FORMAT 1
#define CH_NAME_MAX 253
#define CH_RECORD_KEY_B (CH_NAME_MAX + 3) /* with its NUL */
#define CH_RECORD_LEAF_MAX_B 8192u
#define CH_RECORD_CT_MAX_B 1024u
#define CH_RECORD_SEALED_MAX 8
#define CH_RECORD_MAX_B 24576u
/* Where the fields of the head lie, in every format; doc/replica.md. */
#define CH_RECORD_AT_KIND 1
#define CH_RECORD_AT_FLAGS 2
#define CH_RECORD_AT_VERSION 4
#define CH_RECORD_AT_HINT 12
#define CH_RECORD_AT_NAME_LEN 20
#define CH_RECORD_AT_NAME 21
/* What a CERT record has beside head, name, leaf and copies; and a copy beside enc and ct. */
#define CH_RECORD_CERT_B 131u
#define CH_RECORD_SEALED_B 13u
#define CH_CHAIN_ID_B 32
#define CH_CHAIN_CERTS_MAX 8
#define CH_CHAIN_MAX_B 65536u
#define CH_RECIPIENT_ID_B 8
#define CH_SIGNER_ID_B 8
#define CH_SIGNATURE_B 64
#define CH_RECORD_TOKEN_MAX 128

enum ch_record_kind {
	CH_RECORD_NAME = 1,	 /* registered, no certificate yet */
	CH_RECORD_CERT = 2,	 /* a certificate is live */
	CH_RECORD_TOMBSTONE = 3, /* removed */
	CH_RECORD_POLICY = 4,	 /* what the edge's configuration may want to know */
	CH_RECORD_TICKETS = 5,	 /* the keys of a pool's session tickets */
	CH_RECORD_SECOND = 6,	 /* a second certificate is live, or no longer */
	CH_RECORD_CHALLENGE = 7, /* how challenges are answered, when that is otherwise */
};

enum ch_policy_tag {
	CH_POLICY_TENANT = 1,	/* default: "default" */
	CH_POLICY_UPSTREAM = 2, /* a name that the edge's configuration maps to addresses */
	CH_POLICY_HSTS = 3,	/* value of Strict-Transport-Security */
	CH_POLICY_REDIRECT = 4, /* "none", or the name to send visitors to; default: to HTTPS */
	CH_POLICY_TAG_COUNT
};

struct ch_text_view {
	const char *text; /* NOT NUL-terminated */
	size_t len;	  /* 0: not given */
};

struct ch_sealed_view {
	const uint8_t *recipient_id; /* CH_RECIPIENT_ID_B bytes */
	uint16_t kem_id;
	const uint8_t *enc;
	size_t enc_len;
	const uint8_t *ct;
	size_t ct_len;
};

/* A decoded record; every pointer borrows from the bytes that were decoded. */
struct ch_record {
	enum ch_record_kind kind;
	uint16_t flags;
	uint64_t version;
	uint64_t account_hint;
	const char *name; /* NOT NUL-terminated */
	size_t name_len;
	/* CH_RECORD_POLICY only: */
	struct ch_text_view policy[CH_POLICY_TAG_COUNT];
	bool withdrawn; /* CH_RECORD_SECOND: there is none */
	/* CH_RECORD_CHALLENGE only: */
	struct ch_text_view token;
	int64_t token_until_s; /* with a token */
	/* CH_RECORD_CERT, and CH_RECORD_SECOND if not withdrawn: */
	uint64_t key_version;
	int64_t not_before_s;
	int64_t not_after_s;
	const uint8_t *chain_id;
	const uint8_t *leaf;
	size_t leaf_len;
	struct ch_sealed_view sealed[CH_RECORD_SEALED_MAX];
	size_t n_sealed;
	/* CH_RECORD_TICKETS only: */
	const uint8_t *tickets; /* found good by ch_tickets_decode */
	size_t tickets_len;
	/* Of those that are signed: */
	const uint8_t *signer_id;
	const uint8_t *signature;
	size_t signed_len; /* the signature covers these bytes; the layout says from where on */
};

/* Whether the record carries a certificate and its key. */
static inline bool ch_record_has_cert(const struct ch_record *record)
{
	return record->kind == CH_RECORD_CERT ||
	       (record->kind == CH_RECORD_SECOND && !record->withdrawn);
}

/* Whether the record carries a signature. */
static inline bool ch_record_is_signed(const struct ch_record *record)
{
	return record->kind == CH_RECORD_TICKETS || ch_record_has_cert(record) ||
	       (record->kind == CH_RECORD_CHALLENGE && record->token.len > 0);
}

/* Whether a record can carry the name: 1 … CH_NAME_MAX of a-z 0-9 - _ . and a leading "*.".
 * That keeps keys and logs sane; the rules of names are in wire/name.h.  CH_EPROTO. */
CH_MUST int ch_record_check_name(const char *name, size_t len);

/* CH_EPROTO when any length is out of range or bytes are left over; CH_EUNSUPPORTED for
 * another format or kind (a newer sender: keep, skip, report).  Checks no signature and no
 * rules of names beyond ch_record_check_name. */
CH_MUST int ch_record_decode(const uint8_t *bytes, size_t len, struct ch_record *ret_record);

/* The key of a record of this kind and name, NUL-terminated; returns its length.  name_len at
 * most CH_NAME_MAX. */
size_t ch_record_key(enum ch_record_kind kind, const char *name, size_t name_len,
	char ret_key[CH_RECORD_KEY_B]);

/* Appends a record; one that is signed up to and including signer_id: the caller signs the
 * bytes and appends the signature (ch_record_sign does both). */
CH_MUST int ch_record_encode(const struct ch_record *record, struct ch_buf *out);

struct ch_sign_key;   /* crypto/sign.h */
struct ch_verify_set; /* crypto/sign.h */

/* Encodes a record that is signed (its signer_id and signature are ignored) and signs it. */
CH_MUST int ch_record_sign(
	const struct ch_record *record, const struct ch_sign_key *key, struct ch_buf *out);
/* CH_EAUTH unless a pinned key signed it.  bytes: what record was decoded from. */
CH_MUST int ch_record_verify(const struct ch_record *record, const uint8_t *bytes,
	const struct ch_verify_set *pinned);

/* Puts another version into an encoded record: for a CHALLENGE record, whose signature does not
 * cover it.  bytes: at least the head. */
void ch_record_set_version(uint8_t *bytes, uint64_t version);

/* One sealed copy, as the layout above has it.  A wrong length latches CH_EPROTO in r->rc. */
void ch_sealed_read_copy(struct ch_reader *r, struct ch_sealed_view *ret_copy);
void ch_sealed_add_copy(struct ch_buf *out, const struct ch_sealed_view *copy);
/* Of a record with a certificate: CH_EAUTH unless this very key signed it. */
CH_MUST int ch_record_check_own(
	const struct ch_record *record, const uint8_t *bytes, const struct ch_sign_key *key);

/* A chain block <-> its certificates. */
struct ch_chain {
	const uint8_t *der[CH_CHAIN_CERTS_MAX]; /* borrowed */
	size_t der_len[CH_CHAIN_CERTS_MAX];
	size_t n;
};

CH_MUST int ch_chain_decode(const uint8_t *bytes, size_t len, struct ch_chain *ret_chain);
CH_MUST int ch_chain_encode(const struct ch_chain *chain, struct ch_buf *out);
/* SHA-256 of the block. */
CH_MUST int ch_chain_id(const uint8_t *block, size_t len, uint8_t ret_id[CH_CHAIN_ID_B]);

#endif
