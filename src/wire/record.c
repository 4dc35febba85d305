#include "wire/record.h"

#include <string.h>

#include "crypto/keys.h"
#include "crypto/sign.h"
#include "wire/tickets.h"

#define RECORD_LABEL "certherd record v1"
#define TOKEN_LABEL "certherd token v1"

_Static_assert(CH_RECORD_AT_KIND == 1 && CH_RECORD_AT_FLAGS == CH_RECORD_AT_KIND + 1 &&
		       CH_RECORD_AT_VERSION == CH_RECORD_AT_FLAGS + 2 &&
		       CH_RECORD_AT_HINT == CH_RECORD_AT_VERSION + 8 &&
		       CH_RECORD_AT_NAME_LEN == CH_RECORD_AT_HINT + 8 &&
		       CH_RECORD_AT_NAME == CH_RECORD_AT_NAME_LEN + 1,
	"the head of format 1");
_Static_assert(
	CH_RECORD_CERT_B == 8 + 8 + 8 + CH_CHAIN_ID_B + 2 + 1 + CH_SIGNER_ID_B + CH_SIGNATURE_B,
	"the rest of a CERT record of format 1");
_Static_assert(CH_RECORD_SEALED_B == CH_RECIPIENT_ID_B + 2 + 1 + 2, "a copy of format 1");
_Static_assert(CH_RECORD_FORMAT == 1 && CH_RECORD_NAME == 1 && CH_RECORD_CERT == 2 &&
		       CH_RECORD_TOMBSTONE == 3 && CH_RECORD_POLICY == 4 &&
		       CH_RECORD_TICKETS == 5 && CH_RECORD_SECOND == 6 &&
		       CH_RECORD_CHALLENGE == 7,
	"numbers that are stored");
_Static_assert(CH_RECORD_MAX_B > CH_RECORD_LEAF_MAX_B +
					 CH_RECORD_SEALED_MAX * (CH_RECORD_CT_MAX_B + 80u) +
					 CH_NAME_MAX + 256u,
	"a record with everything at its limit fits");

static int name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.';
}

int ch_record_check_name(const char *name, size_t len)
{
	size_t at = len > 2 && name[0] == '*' && name[1] == '.' ? 2 : 0;

	if (len == 0 || len > CH_NAME_MAX)
		return CH_EPROTO;
	for (; at < len; at++)
		if (!name_char(name[at]))
			return CH_EPROTO;
	return CH_OK;
}

void ch_sealed_read_copy(struct ch_reader *r, struct ch_sealed_view *ret)
{
	ret->recipient_id = ch_read_bytes(r, CH_RECIPIENT_ID_B);
	ret->kem_id = ch_read_u16(r);
	ret->enc_len = ch_read_u8(r);
	ret->enc = ch_read_bytes(r, ret->enc_len);
	ret->ct_len = ch_read_u16(r);
	ret->ct = ch_read_bytes(r, ret->ct_len);
	if ((ret->enc_len != 32 && ret->enc_len != 65) || ret->ct_len == 0 ||
		ret->ct_len > CH_RECORD_CT_MAX_B)
		r->rc = CH_EPROTO;
}

static int printable(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return 0;
	return 1;
}

static void read_policy(struct ch_reader *r, struct ch_record *ret)
{
	uint8_t n = ch_read_u8(r);
	uint8_t before = 0;

	while (n-- && !r->rc) {
		uint8_t tag = ch_read_u8(r);
		uint8_t len = ch_read_u8(r);
		const uint8_t *text = ch_read_bytes(r, len);

		if (r->rc)
			return;
		if (tag <= before || len == 0 || !printable(text, len)) {
			r->rc = CH_EPROTO;
			return;
		}
		before = tag;
		if (tag < CH_POLICY_TAG_COUNT)
			ret->policy[tag] = (struct ch_text_view){(const char *)text, len};
	}
}

static void read_cert(struct ch_reader *r, struct ch_record *ret)
{
	ret->key_version = ch_read_u64(r);
	ret->not_before_s = (int64_t)ch_read_u64(r);
	ret->not_after_s = (int64_t)ch_read_u64(r);
	ret->chain_id = ch_read_bytes(r, CH_CHAIN_ID_B);
	ret->leaf_len = ch_read_u16(r);
	ret->leaf = ch_read_bytes(r, ret->leaf_len);
	ret->n_sealed = ch_read_u8(r);
	if (ret->leaf_len == 0 || ret->leaf_len > CH_RECORD_LEAF_MAX_B || ret->n_sealed == 0 ||
		ret->n_sealed > CH_RECORD_SEALED_MAX) {
		r->rc = CH_EPROTO;
		return;
	}
	for (size_t i = 0; i < ret->n_sealed; i++)
		ch_sealed_read_copy(r, &ret->sealed[i]);
}

/* What is left but the end is the keys'. */
static void read_tickets(struct ch_reader *r, struct ch_record *ret)
{
	struct ch_tickets tickets;

	if (r->left < CH_SIGNER_ID_B + CH_SIGNATURE_B) {
		r->rc = CH_EPROTO;
		return;
	}
	ret->tickets_len = r->left - CH_SIGNER_ID_B - CH_SIGNATURE_B;
	ret->tickets = ch_read_bytes(r, ret->tickets_len);
	if (ch_tickets_decode(ret->tickets, ret->tickets_len, &tickets) || ret->account_hint)
		r->rc = CH_EPROTO;
}

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
			    text[i]) ||
			!text[i])
			return false;
	return len <= CH_RECORD_TOKEN_MAX;
}

static void read_token(struct ch_reader *r, struct ch_record *ret)
{
	ret->token.len = ch_read_u8(r);
	ret->token.text = (const char *)ch_read_bytes(r, ret->token.len);
	if (!r->rc && !is_token(ret->token.text, ret->token.len))
		r->rc = CH_EPROTO;
	if (!r->rc && ret->token.len > 0)
		ret->token_until_s = (int64_t)ch_read_u64(r);
}

/* What of the record is signed begins here. */
static size_t signed_from(const struct ch_record *rec)
{
	return rec->kind == CH_RECORD_CHALLENGE ? CH_RECORD_AT_HINT : 0;
}

static void read_signature(struct ch_reader *r, const uint8_t *start, struct ch_record *ret)
{
	ret->signer_id = ch_read_bytes(r, CH_SIGNER_ID_B);
	ret->signed_len = (size_t)(r->at - start) - signed_from(ret);
	ret->signature = ch_read_bytes(r, CH_SIGNATURE_B);
}

static bool is_known(uint8_t kind)
{
	return kind >= CH_RECORD_NAME && kind <= CH_RECORD_CHALLENGE;
}

static void read_there(struct ch_reader *r, struct ch_record *ret)
{
	uint8_t there = ch_read_u8(r);

	if (there > 1)
		r->rc = CH_EPROTO;
	ret->withdrawn = there == 0;
}

int ch_record_decode(const uint8_t *bytes, size_t len, struct ch_record *ret_record)
{
	struct ch_record rec = {0};
	struct ch_reader r;
	uint8_t format;
	uint8_t kind;

	if (len > CH_RECORD_MAX_B)
		return CH_EPROTO;
	ch_reader_init(&r, bytes, len);
	format = ch_read_u8(&r);
	kind = ch_read_u8(&r);
	if (r.rc)
		return r.rc;
	if (format != CH_RECORD_FORMAT || !is_known(kind))
		return CH_EUNSUPPORTED;
	rec.kind = (enum ch_record_kind)kind;
	rec.flags = ch_read_u16(&r);
	rec.version = ch_read_u64(&r);
	rec.account_hint = ch_read_u64(&r);
	rec.name_len = ch_read_u8(&r);
	rec.name = (const char *)ch_read_bytes(&r, rec.name_len);
	if (r.rc || ch_record_check_name(rec.name, rec.name_len))
		return CH_EPROTO;
	if (rec.kind == CH_RECORD_SECOND)
		read_there(&r, &rec);
	if (!r.rc && ch_record_has_cert(&rec))
		read_cert(&r, &rec);
	if (rec.kind == CH_RECORD_POLICY)
		read_policy(&r, &rec);
	if (rec.kind == CH_RECORD_TICKETS)
		read_tickets(&r, &rec);
	if (rec.kind == CH_RECORD_CHALLENGE)
		read_token(&r, &rec);
	if (!r.rc && ch_record_is_signed(&rec))
		read_signature(&r, bytes, &rec);
	if (r.rc || r.left)
		return CH_EPROTO;
	*ret_record = rec;
	return CH_OK;
}

size_t ch_record_key(enum ch_record_kind kind, const char *name, size_t name_len,
	char ret_key[CH_RECORD_KEY_B])
{
	memcpy(ret_key, name, name_len);
	if (kind >= CH_RECORD_POLICY) {
		ret_key[name_len++] = '/';
		ret_key[name_len++] = (char)('0' + kind);
	}
	ret_key[name_len] = 0;
	return name_len;
}

void ch_sealed_add_copy(struct ch_buf *out, const struct ch_sealed_view *sealed)
{
	(void)ch_buf_add(out, sealed->recipient_id, CH_RECIPIENT_ID_B);
	(void)ch_buf_add_u16(out, sealed->kem_id);
	(void)ch_buf_add_u8(out, (uint8_t)sealed->enc_len);
	(void)ch_buf_add(out, sealed->enc, sealed->enc_len);
	(void)ch_buf_add_u16(out, (uint16_t)sealed->ct_len);
	(void)ch_buf_add(out, sealed->ct, sealed->ct_len);
}

static int check_cert_fields(const struct ch_record *rec)
{
	if (rec->leaf_len == 0 || rec->leaf_len > CH_RECORD_LEAF_MAX_B || rec->n_sealed == 0 ||
		rec->n_sealed > CH_RECORD_SEALED_MAX)
		return CH_EINVAL;
	for (size_t i = 0; i < rec->n_sealed; i++) {
		const struct ch_sealed_view *s = &rec->sealed[i];

		if ((s->enc_len != 32 && s->enc_len != 65) || s->ct_len == 0 ||
			s->ct_len > CH_RECORD_CT_MAX_B)
			return CH_EINVAL;
	}
	return CH_OK;
}

static int check_policy(const struct ch_text_view *policy)
{
	for (size_t tag = 1; tag < CH_POLICY_TAG_COUNT; tag++)
		if (policy[tag].len > UINT8_MAX ||
			!printable((const uint8_t *)policy[tag].text, policy[tag].len))
			return CH_EINVAL;
	return CH_OK;
}

static int add_policy(struct ch_buf *out, const struct ch_text_view *policy)
{
	uint8_t n = 0;

	for (size_t tag = 1; tag < CH_POLICY_TAG_COUNT; tag++)
		n += policy[tag].len > 0;
	(void)ch_buf_add_u8(out, n);
	for (size_t tag = 1; tag < CH_POLICY_TAG_COUNT; tag++) {
		if (policy[tag].len == 0)
			continue;
		(void)ch_buf_add_u8(out, (uint8_t)tag);
		(void)ch_buf_add_u8(out, (uint8_t)policy[tag].len);
		(void)ch_buf_add(out, policy[tag].text, policy[tag].len);
	}
	return out->rc;
}

static int check_tickets(const struct ch_record *rec)
{
	struct ch_tickets tickets;

	return rec->account_hint || ch_tickets_decode(rec->tickets, rec->tickets_len, &tickets)
		       ? CH_EINVAL
		       : CH_OK;
}

static int check_fields(const struct ch_record *rec)
{
	if (ch_record_check_name(rec->name, rec->name_len))
		return CH_EINVAL;
	if (ch_record_has_cert(rec))
		return check_cert_fields(rec);
	if (rec->kind == CH_RECORD_POLICY)
		return check_policy(rec->policy);
	if (rec->kind == CH_RECORD_CHALLENGE)
		return is_token(rec->token.text, rec->token.len) ? CH_OK : CH_EINVAL;
	return rec->kind == CH_RECORD_TICKETS ? check_tickets(rec) : CH_OK;
}

static void add_cert(struct ch_buf *out, const struct ch_record *rec)
{
	static const uint8_t no_chain[CH_CHAIN_ID_B];

	(void)ch_buf_add_u64(out, rec->key_version);
	(void)ch_buf_add_u64(out, (uint64_t)rec->not_before_s);
	(void)ch_buf_add_u64(out, (uint64_t)rec->not_after_s);
	(void)ch_buf_add(out, rec->chain_id ? rec->chain_id : no_chain, CH_CHAIN_ID_B);
	(void)ch_buf_add_u16(out, (uint16_t)rec->leaf_len);
	(void)ch_buf_add(out, rec->leaf, rec->leaf_len);
	(void)ch_buf_add_u8(out, (uint8_t)rec->n_sealed);
	for (size_t i = 0; i < rec->n_sealed; i++)
		ch_sealed_add_copy(out, &rec->sealed[i]);
}

int ch_record_encode(const struct ch_record *rec, struct ch_buf *out)
{
	if (check_fields(rec))
		return CH_EINVAL;
	(void)ch_buf_add_u8(out, CH_RECORD_FORMAT);
	(void)ch_buf_add_u8(out, (uint8_t)rec->kind);
	(void)ch_buf_add_u16(out, rec->flags);
	(void)ch_buf_add_u64(out, rec->version);
	(void)ch_buf_add_u64(out, rec->account_hint);
	(void)ch_buf_add_u8(out, (uint8_t)rec->name_len);
	(void)ch_buf_add(out, rec->name, rec->name_len);
	if (rec->kind == CH_RECORD_POLICY)
		return add_policy(out, rec->policy);
	if (rec->kind == CH_RECORD_SECOND)
		(void)ch_buf_add_u8(out, !rec->withdrawn);
	if (rec->kind == CH_RECORD_CHALLENGE) {
		(void)ch_buf_add_u8(out, (uint8_t)rec->token.len);
		(void)ch_buf_add(out, rec->token.text, rec->token.len);
	}
	if (!ch_record_is_signed(rec))
		return out->rc;
	if (ch_record_has_cert(rec))
		add_cert(out, rec);
	else if (rec->kind == CH_RECORD_CHALLENGE)
		(void)ch_buf_add_u64(out, (uint64_t)rec->token_until_s);
	else
		(void)ch_buf_add(out, rec->tickets, rec->tickets_len);
	return ch_buf_add(out, rec->signer_id, CH_SIGNER_ID_B);
}

static const char *label_of(const struct ch_record *rec)
{
	return rec->kind == CH_RECORD_CHALLENGE ? TOKEN_LABEL : RECORD_LABEL;
}

int ch_record_sign(
	const struct ch_record *record, const struct ch_sign_key *key, struct ch_buf *out)
{
	struct ch_record rec = *record;
	uint8_t sig[CH_SIGNATURE_B];
	size_t start = out->len + signed_from(record);
	int rc;

	if (!ch_record_is_signed(&rec))
		return CH_EINVAL;
	rec.signer_id = ch_sign_key_id(key);
	rc = ch_record_encode(&rec, out);
	if (rc)
		return rc;
	rc = ch_sign(key, label_of(&rec), out->data + start, out->len - start, sig);
	if (rc)
		return rc;
	return ch_buf_add(out, sig, sizeof(sig));
}

int ch_record_verify(const struct ch_record *record, const uint8_t *bytes,
	const struct ch_verify_set *pinned)
{
	size_t from = signed_from(record);

	if (!ch_record_is_signed(record))
		return CH_EINVAL;
	return ch_verify(pinned, record->signer_id, label_of(record), bytes + from,
		record->signed_len, record->signature);
}

void ch_record_set_version(uint8_t *bytes, uint64_t version)
{
	for (size_t i = 0; i < sizeof(version); i++)
		bytes[CH_RECORD_AT_VERSION + i] =
			(uint8_t)(version >> (8 * (sizeof(version) - 1 - i)));
}

int ch_record_check_own(
	const struct ch_record *record, const uint8_t *bytes, const struct ch_sign_key *key)
{
	if (!ch_record_has_cert(record))
		return CH_EINVAL;
	return ch_sign_check(key, RECORD_LABEL, bytes, record->signed_len, record->signature);
}

int ch_chain_decode(const uint8_t *bytes, size_t len, struct ch_chain *ret_chain)
{
	struct ch_chain chain = {0};
	struct ch_reader r;

	if (len > CH_CHAIN_MAX_B)
		return CH_EPROTO;
	ch_reader_init(&r, bytes, len);
	chain.n = ch_read_u8(&r);
	if (r.rc || chain.n == 0 || chain.n > CH_CHAIN_CERTS_MAX)
		return CH_EPROTO;
	for (size_t i = 0; i < chain.n; i++) {
		chain.der_len[i] = ch_read_u16(&r);
		chain.der[i] = ch_read_bytes(&r, chain.der_len[i]);
		if (r.rc || chain.der_len[i] == 0)
			return CH_EPROTO;
	}
	if (r.left)
		return CH_EPROTO;
	*ret_chain = chain;
	return CH_OK;
}

int ch_chain_encode(const struct ch_chain *chain, struct ch_buf *out)
{
	if (chain->n == 0 || chain->n > CH_CHAIN_CERTS_MAX)
		return CH_EINVAL;
	(void)ch_buf_add_u8(out, (uint8_t)chain->n);
	for (size_t i = 0; i < chain->n; i++) {
		if (chain->der_len[i] == 0 || chain->der_len[i] > UINT16_MAX)
			return CH_EINVAL;
		(void)ch_buf_add_u16(out, (uint16_t)chain->der_len[i]);
		(void)ch_buf_add(out, chain->der[i], chain->der_len[i]);
	}
	return out->rc;
}

int ch_chain_id(const uint8_t *block, size_t len, uint8_t ret_id[CH_CHAIN_ID_B])
{
	return ch_sha256(block, len, ret_id);
}
