#include "net/dns_update.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "net/dns_reader.h"

#define HEADER_B 12
#define OPCODE_UPDATE 0x2800
#define OPCODE_MASK 0x7800
#define TYPE_TSIG 250
#define RECORDS_MAX 16 /* of an answer to an UPDATE */
#define FUDGE_S 300    /* RFC 8945 section 10 */
#define SIGNED_MAX_B 70000
#define SECRET_FILE_MAX_B 4096
#define SECRET_LEAST_B 16

enum { NOERROR = 0, SERVFAIL = 2, NOTAUTH = 9, BADKEY = 17, BADTIME = 18 };

const char *ch_tsig_algorithm_str(enum ch_tsig_algorithm algorithm)
{
#define X(name, text) [name] = text,
	static const char *const texts[] = {CH_TSIG_ALGORITHM_LIST(X)};
#undef X

	return texts[algorithm];
}

int ch_tsig_algorithm_parse(const char *text, enum ch_tsig_algorithm *ret_algorithm)
{
	for (int i = CH_TSIG_SHA256; i <= CH_TSIG_SHA512; i++) {
		if (strcasecmp(text, ch_tsig_algorithm_str((enum ch_tsig_algorithm)i)) == 0) {
			*ret_algorithm = (enum ch_tsig_algorithm)i;
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

/* In place: the secret is nowhere else. */
static int decode_base64(struct ch_secret *text, struct ch_secret **ret_secret)
{
	uint8_t *bytes = ch_secret_bytes(text);
	size_t len = ch_secret_len(text);
	CH_AUTO_SECRET struct ch_secret *raw = NULL;
	size_t padding = 0;
	int n;

	while (len && isspace(bytes[len - 1]))
		len--;
	for (size_t i = len; i && bytes[i - 1] == '='; i--)
		padding++;
	if (len == 0 || len % 4 || padding > 2 || ch_secret_new(len, &raw))
		return CH_EINVAL;
	n = EVP_DecodeBlock(ch_secret_bytes(raw), bytes, (int)len);
	if (n < 0 || (size_t)n < padding + SECRET_LEAST_B)
		return CH_EINVAL;
	return ch_secret_from(ch_secret_bytes(raw), (size_t)n - padding, ret_secret);
}

int ch_tsig_secret_read(const char *path, struct ch_secret **ret_secret, struct ch_err *err)
{
	CH_AUTO_SECRET struct ch_secret *text = NULL;
	int rc = ch_secret_read_file(path, SECRET_FILE_MAX_B, &text, err);

	if (rc)
		return rc;
	rc = decode_base64(text, ret_secret);
	return rc == CH_EINVAL ? ch_err_set(err, rc, "tsig-key",
					 "%s must hold the base64 of a TSIG secret of at least "
					 "%d bytes, and nothing else",
					 path, SECRET_LEAST_B)
	       : rc	       ? ch_err_set(err, rc, "out-of-memory", "out of memory")
			       : CH_OK;
}

static const EVP_MD *digest_of(enum ch_tsig_algorithm algorithm)
{
	return algorithm == CH_TSIG_SHA512   ? EVP_sha512()
	       : algorithm == CH_TSIG_SHA384 ? EVP_sha384()
					     : EVP_sha256();
}

struct tsig { /* of a message: RFC 8945 section 4.2 */
	uint64_t time_s;
	unsigned fudge;
	const uint8_t *mac;
	size_t mac_len;
	unsigned original_id;
	unsigned error;
	const uint8_t *other;
	size_t other_len;
};

/* "TSIG variables", section 4.3.3. */
static void add_variables(
	struct ch_buf *out, const struct ch_tsig_key *key, const struct tsig *tsig)
{
	ch_dns_add_name(out, key->name);
	ch_buf_add_u16(out, CH_DNS_CLASS_ANY);
	ch_buf_add_u32(out, 0);
	ch_dns_add_name(out, ch_tsig_algorithm_str(key->algorithm));
	ch_buf_add_u16(out, (uint16_t)(tsig->time_s >> 32));
	ch_buf_add_u32(out, (uint32_t)tsig->time_s);
	ch_buf_add_u16(out, (uint16_t)tsig->fudge);
	ch_buf_add_u16(out, (uint16_t)tsig->error);
	ch_buf_add_u16(out, (uint16_t)tsig->other_len);
	ch_buf_add(out, tsig->other, tsig->other_len);
}

static int make_mac(const struct ch_tsig_key *key, const struct ch_buf *signed_part,
	struct ch_tsig_mac *ret_mac)
{
	unsigned len = 0;

	if (signed_part->rc)
		return signed_part->rc;
	if (!HMAC(digest_of(key->algorithm), ch_secret_bytes(key->secret),
		    (int)ch_secret_len(key->secret), signed_part->data, signed_part->len,
		    ret_mac->bytes, &len))
		return CH_ECRYPTO;
	ret_mac->len = len;
	return CH_OK;
}

/* RFC 2136 sections 2.3 to 2.5: the zone, no prerequisites, one change. */
static void add_change(struct ch_buf *out, const struct ch_dns_update *update)
{
	size_t len = strlen(update->value);

	ch_buf_add_u16(out, update->id);
	ch_buf_add_u16(out, OPCODE_UPDATE);
	ch_buf_add_u16(out, 1);
	ch_buf_add_u16(out, 0);
	ch_buf_add_u16(out, 1);
	ch_buf_add_u16(out, 0);
	ch_dns_add_name(out, update->zone);
	ch_buf_add_u16(out, CH_DNS_SOA);
	ch_buf_add_u16(out, CH_DNS_CLASS_IN);
	ch_dns_add_name(out, update->owner);
	ch_buf_add_u16(out, CH_DNS_TXT);
	ch_buf_add_u16(out, update->remove ? CH_DNS_CLASS_NONE : CH_DNS_CLASS_IN);
	ch_buf_add_u32(out, update->remove ? 0 : update->ttl_s);
	ch_buf_add_u16(out, (uint16_t)(len + 1));
	ch_buf_add_u8(out, (uint8_t)len);
	ch_buf_add(out, update->value, len);
}

static void add_tsig(struct ch_buf *out, const struct ch_tsig_key *key, const struct tsig *tsig)
{
	size_t length_at;

	ch_dns_add_name(out, key->name);
	ch_buf_add_u16(out, TYPE_TSIG);
	ch_buf_add_u16(out, CH_DNS_CLASS_ANY);
	ch_buf_add_u32(out, 0);
	length_at = out->len;
	ch_buf_add_u16(out, 0);
	ch_dns_add_name(out, ch_tsig_algorithm_str(key->algorithm));
	ch_buf_add_u16(out, (uint16_t)(tsig->time_s >> 32));
	ch_buf_add_u32(out, (uint32_t)tsig->time_s);
	ch_buf_add_u16(out, (uint16_t)tsig->fudge);
	ch_buf_add_u16(out, (uint16_t)tsig->mac_len);
	ch_buf_add(out, tsig->mac, tsig->mac_len);
	ch_buf_add_u16(out, (uint16_t)tsig->original_id);
	ch_buf_add_u16(out, 0);
	if (ch_buf_add_u16(out, 0) == CH_OK) {
		size_t len = out->len - length_at - 2;

		out->data[length_at] = (uint8_t)(len >> 8);
		out->data[length_at + 1] = (uint8_t)len;
	}
}

int ch_dns_update_build(const struct ch_dns_update *update, const struct ch_tsig_key *key,
	struct ch_buf *out, struct ch_tsig_mac *ret_mac)
{
	struct tsig tsig = {
		.time_s = (uint64_t)update->now_s, .fudge = FUDGE_S, .original_id = update->id};
	CH_AUTO_BUF struct ch_buf signed_part;
	size_t len = strlen(update->value);
	int rc;

	ch_buf_init(&signed_part, SIGNED_MAX_B);
	if (len == 0 || len > CH_DNS_VALUE_MAX)
		return CH_EINVAL;
	add_change(out, update);
	if (out->rc)
		return out->rc;
	ch_buf_add(&signed_part, out->data, out->len);
	add_variables(&signed_part, key, &tsig);
	rc = make_mac(key, &signed_part, ret_mac);
	if (rc)
		return rc;
	tsig.mac = ret_mac->bytes;
	tsig.mac_len = ret_mac->len;
	out->data[11] = 1; /* the header counts the signature, which does not cover that */
	add_tsig(out, key, &tsig);
	return out->rc;
}

struct answer {
	unsigned rcode;
	bool has_tsig;
	size_t tsig_at; /* where its record begins */
	char key[CH_DNS_NAME_B];
	char algorithm[CH_DNS_NAME_B];
	struct tsig tsig;
};

static int bad_answer(struct ch_err *err, const char *what)
{
	return ch_err_set(err, CH_EPROTO, "dns-update-answer",
		"The DNS server's answer to the update %s.", what);
}

static int read_tsig(
	struct ch_dns_reader r, const struct ch_dns_record *record, struct answer *ret)
{
	unsigned high;
	unsigned middle;
	unsigned low;
	unsigned mac_len;
	unsigned other_len;

	r.at = record->data_at;
	r.len = record->data_at + record->data_len;
	if (ch_dns_take_name(&r, ret->algorithm) || ch_dns_take_u16(&r, &high) ||
		ch_dns_take_u16(&r, &middle) || ch_dns_take_u16(&r, &low) ||
		ch_dns_take_u16(&r, &ret->tsig.fudge) || ch_dns_take_u16(&r, &mac_len) ||
		r.len - r.at < mac_len)
		return CH_EPROTO;
	ret->tsig.time_s = (uint64_t)high << 32 | (uint64_t)middle << 16 | low;
	ret->tsig.mac = r.bytes + r.at;
	ret->tsig.mac_len = mac_len;
	r.at += mac_len;
	if (ch_dns_take_u16(&r, &ret->tsig.original_id) ||
		ch_dns_take_u16(&r, &ret->tsig.error) || ch_dns_take_u16(&r, &other_len) ||
		r.len - r.at != other_len)
		return CH_EPROTO;
	ret->tsig.other = r.bytes + r.at;
	ret->tsig.other_len = other_len;
	strcpy(ret->key, record->owner);
	ret->has_tsig = true;
	return CH_OK;
}

/* A signature is the last of all records: RFC 8945 section 5.1. */
static int read_records(struct ch_dns_reader *r, const unsigned counts[4], struct answer *ret)
{
	unsigned n = counts[1] + counts[2] + counts[3];

	for (unsigned i = 0; i < counts[0]; i++) {
		char zone[CH_DNS_NAME_B];
		unsigned skipped;

		if (i > 0 || ch_dns_take_name(r, zone) || ch_dns_take_u16(r, &skipped) ||
			ch_dns_take_u16(r, &skipped))
			return CH_EPROTO;
	}
	if (n > RECORDS_MAX)
		return CH_EPROTO;
	for (unsigned i = 0; i < n; i++) {
		struct ch_dns_record record;
		size_t at = r->at;

		if (ch_dns_take_record(r, &record))
			return CH_EPROTO;
		if (record.type != TYPE_TSIG)
			continue;
		if (i + 1 < n || counts[3] == 0 || read_tsig(*r, &record, ret))
			return CH_EPROTO;
		ret->tsig_at = at;
	}
	return r->at == r->len ? CH_OK : CH_EPROTO;
}

static int read_answer(const uint8_t *bytes, size_t len, uint16_t id, struct answer *ret)
{
	struct ch_dns_reader r = {bytes, len, 0};
	unsigned counts[4];
	unsigned its_id;
	unsigned flags;

	memset(ret, 0, sizeof(*ret));
	if (len < HEADER_B || ch_dns_take_u16(&r, &its_id) || ch_dns_take_u16(&r, &flags))
		return CH_EPROTO;
	for (size_t i = 0; i < 4; i++)
		if (ch_dns_take_u16(&r, &counts[i]))
			return CH_EPROTO;
	if (its_id != id || !(flags & 0x8000) || (flags & OPCODE_MASK) != OPCODE_UPDATE)
		return CH_EPROTO;
	ret->rcode = flags & 0xf;
	return read_records(&r, counts, ret);
}

/* RFC 8945 section 5.3: over the request's MAC, the answer without the record, and the
 * variables. */
static bool is_signed(const uint8_t *bytes, const struct answer *answer,
	const struct ch_tsig_key *key, const struct ch_tsig_mac *request)
{
	CH_AUTO_BUF struct ch_buf signed_part;
	struct ch_tsig_mac mac;
	unsigned additional = (unsigned)bytes[10] << 8 | bytes[11];

	ch_buf_init(&signed_part, SIGNED_MAX_B);
	if (!answer->has_tsig || !ch_dns_same_name(answer->key, key->name) ||
		!ch_dns_same_name(answer->algorithm, ch_tsig_algorithm_str(key->algorithm)))
		return false;
	ch_buf_add_u16(&signed_part, (uint16_t)request->len);
	ch_buf_add(&signed_part, request->bytes, request->len);
	ch_buf_add_u16(&signed_part, (uint16_t)answer->tsig.original_id);
	ch_buf_add(&signed_part, bytes + 2, 8);
	ch_buf_add_u16(&signed_part, (uint16_t)(additional - 1));
	ch_buf_add(&signed_part, bytes + HEADER_B, answer->tsig_at - HEADER_B);
	add_variables(&signed_part, key, &answer->tsig);
	return make_mac(key, &signed_part, &mac) == CH_OK && answer->tsig.mac_len == mac.len &&
	       CRYPTO_memcmp(answer->tsig.mac, mac.bytes, mac.len) == 0;
}

static bool is_of_now(const struct answer *answer, int64_t now_s)
{
	int64_t off_s = (int64_t)answer->tsig.time_s - now_s;

	return off_s <= FUDGE_S && off_s >= -FUDGE_S;
}

static const char *rcode_str(unsigned rcode, char ret_text[16])
{
	static const char *const words[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
		"NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"};

	snprintf(ret_text, 16, "%u", rcode);
	return rcode < CH_ARRAY_LEN(words) ? words[rcode] : ret_text;
}

static int refusal(const struct answer *answer, const struct ch_dns_update *update,
	const struct ch_tsig_key *key, struct ch_err *err)
{
	char text[16];

	if (answer->rcode == NOTAUTH && answer->has_tsig && answer->tsig.error == BADTIME)
		return ch_err_set(err, CH_EAUTH, "dns-update-clock",
			"The DNS server's clock and this host's differ by more than %d "
			"seconds: set them right.",
			FUDGE_S);
	if (answer->rcode == NOTAUTH && answer->has_tsig && answer->tsig.error != NOERROR)
		return ch_err_set(err, CH_EAUTH, "dns-update-key",
			answer->tsig.error == BADKEY
				? "The DNS server does not know the TSIG key %s with %s: see "
				  "tsig_name and tsig_algorithm."
				: "The DNS server has another secret for the TSIG key %s "
				  "(%s): see tsig_key_file.",
			key->name, ch_tsig_algorithm_str(key->algorithm));
	if (answer->rcode == SERVFAIL)
		return ch_err_set(err, CH_EAGAIN, "dns-update-failed",
			"The DNS server could not change %s (SERVFAIL): its log says why.",
			update->owner);
	return ch_err_set(err, CH_EAUTH, "dns-update-refused",
		"The DNS server refuses to change %s in the zone %s (%s): allow the TSIG key "
		"%s "
		"to, and see zones.",
		update->owner, update->zone[0] ? update->zone : ".",
		rcode_str(answer->rcode, text), key->name);
}

int ch_dns_update_read(const uint8_t *bytes, size_t len, const struct ch_dns_update *update,
	const struct ch_tsig_key *key, const struct ch_tsig_mac *mac, struct ch_err *err)
{
	struct answer answer;

	if (read_answer(bytes, len, update->id, &answer))
		return bad_answer(err, "cannot be read");
	if (answer.rcode != NOERROR)
		return refusal(&answer, update, key, err);
	if (!answer.has_tsig)
		return bad_answer(err, "is not signed");
	if (answer.tsig.error != NOERROR || !is_signed(bytes, &answer, key, mac))
		return bad_answer(err, "is not signed with our key");
	if (!is_of_now(&answer, update->now_s))
		return bad_answer(err, "was signed at another time");
	return CH_OK;
}
