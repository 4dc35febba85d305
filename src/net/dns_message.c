#include "net/dns_message.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "net/dns_reader.h"

#define HEADER_B 12
#define CLASS_IN 1
#define TYPE_CNAME 5
#define RECORDS_MAX 256 /* that are looked at */
#define POINTERS_MAX 64
#define RCODE_NXDOMAIN 3

int ch_dns_take_u16(struct ch_dns_reader *r, unsigned *ret_v)
{
	if (r->len - r->at < 2)
		return CH_EPROTO;
	*ret_v = (unsigned)r->bytes[r->at] << 8 | r->bytes[r->at + 1];
	r->at += 2;
	return CH_OK;
}

static char name_char(uint8_t c)
{
	if (isalnum(c) || c == '-' || c == '_' || c == '*')
		return (char)tolower(c);
	return '?'; /* also a full stop within a label */
}

static int add_label(struct ch_dns_reader *r, size_t at, size_t n, char *name, size_t *len)
{
	if (r->len - at < n || *len + n + 1 >= CH_DNS_NAME_B)
		return CH_EPROTO;
	if (*len)
		name[(*len)++] = '.';
	for (size_t i = 0; i < n; i++)
		name[(*len)++] = name_char(r->bytes[at + i]);
	return CH_OK;
}

/* RFC 1035 section 4.1.4.  Pointers go backwards only, so that they come to an end. */
int ch_dns_take_name(struct ch_dns_reader *r, char ret_name[CH_DNS_NAME_B])
{
	size_t at = r->at;
	size_t floor = r->at;
	size_t len = 0;
	bool jumped = false;

	for (unsigned steps = 0; steps < POINTERS_MAX + 128; steps++) {
		unsigned n;

		if (at >= r->len)
			return CH_EPROTO;
		n = r->bytes[at++];
		if (n == 0) {
			if (!jumped)
				r->at = at;
			ret_name[len] = 0;
			return CH_OK;
		}
		if ((n & 0xc0) == 0xc0) {
			size_t to;

			if (at >= r->len)
				return CH_EPROTO;
			to = (size_t)(n & 0x3f) << 8 | r->bytes[at++];
			if (to >= floor)
				return CH_EPROTO;
			if (!jumped)
				r->at = at;
			jumped = true;
			at = floor = to;
			continue;
		}
		if ((n & 0xc0) || add_label(r, at, n, ret_name, &len))
			return CH_EPROTO;
		at += n;
	}
	return CH_EPROTO;
}

int ch_dns_take_record(struct ch_dns_reader *r, struct ch_dns_record *ret_record)
{
	unsigned len;

	if (ch_dns_take_name(r, ret_record->owner) || ch_dns_take_u16(r, &ret_record->type) ||
		ch_dns_take_u16(r, &ret_record->class) || r->len - r->at < 4)
		return CH_EPROTO;
	r->at += 4; /* TTL */
	if (ch_dns_take_u16(r, &len) || r->len - r->at < len)
		return CH_EPROTO;
	ret_record->data_at = r->at;
	ret_record->data_len = len;
	r->at += len;
	return CH_OK;
}

bool ch_dns_same_name(const char *a, const char *b)
{
	size_t len = strlen(b);

	if (len && b[len - 1] == '.')
		len--;
	return strlen(a) == len && strncasecmp(a, b, len) == 0;
}

/* One pass over the answers for the CNAME of name: answers come in any order. */
static int find_cname(struct ch_dns_reader r, size_t n_records, const char *name,
	char ret_target[CH_DNS_NAME_B])
{
	struct ch_dns_record record;

	for (size_t i = 0; i < n_records && i < RECORDS_MAX; i++) {
		struct ch_dns_reader data;

		if (ch_dns_take_record(&r, &record))
			return CH_EPROTO;
		if (record.type != TYPE_CNAME || record.class != CLASS_IN ||
			!ch_dns_same_name(record.owner, name))
			continue;
		data = (struct ch_dns_reader){
			r.bytes, record.data_at + record.data_len, record.data_at};
		return ch_dns_take_name(&data, ret_target);
	}
	return CH_ENOTFOUND;
}

static int follow(const struct ch_dns_reader *r, size_t n_records, const char *name,
	struct ch_dns_answer *answer, const char **ret_end)
{
	const char *end = name;

	for (;;) {
		char target[CH_DNS_NAME_B];
		int rc = find_cname(*r, n_records, end, target);

		if (rc == CH_ENOTFOUND) {
			*ret_end = end;
			return CH_OK;
		}
		/* A chain without an end is one of a loop too. */
		if (rc || answer->n_chain == CH_DNS_CHAIN_MAX)
			return CH_EPROTO;
		memcpy(answer->chain[answer->n_chain], target, sizeof(target));
		end = answer->chain[answer->n_chain++];
	}
}

static void add_bytes(struct ch_dns_text *text, size_t *len, const uint8_t *bytes, size_t n)
{
	if (memchr(bytes, 0, n) || *len + n >= sizeof(text->value)) {
		text->cut = true;
		return;
	}
	memcpy(text->value + *len, bytes, n);
	*len += n;
}

/* RFC 1035 section 3.3.14: strings that belong together. */
static int read_txt(const uint8_t *data, size_t len, struct ch_dns_text *text)
{
	size_t used = 0;

	for (size_t at = 0; at < len; at += 1 + data[at]) {
		if (data[at] > len - at - 1)
			return CH_EPROTO;
		add_bytes(text, &used, data + at + 1, data[at]);
	}
	return CH_OK;
}

static int read_caa(const uint8_t *data, size_t len, struct ch_dns_text *text)
{
	size_t tag_len;
	size_t used = 0;

	if (len < 2 || data[1] == 0 || data[1] > len - 2)
		return CH_EPROTO;
	text->critical = data[0] & 0x80;
	tag_len = data[1];
	strcpy(text->tag, "?");
	for (size_t i = 0; tag_len < CH_DNS_TAG_B && i < tag_len; i++) {
		if (!isalnum(data[2 + i])) {
			strcpy(text->tag, "?");
			break;
		}
		text->tag[i] = (char)tolower(data[2 + i]);
		text->tag[i + 1] = 0;
	}
	add_bytes(text, &used, data + 2 + tag_len, len - 2 - tag_len);
	return CH_OK;
}

/* A name of a record's data, which may point anywhere before it. */
static int read_name(
	struct ch_dns_reader r, const struct ch_dns_record *record, struct ch_dns_text *text)
{
	char name[CH_DNS_NAME_B];

	r.at = record->data_at;
	r.len = record->data_at + record->data_len;
	if (ch_dns_take_name(&r, name))
		return CH_EPROTO;
	strcpy(text->value, name);
	return CH_OK;
}

static int read_data(
	enum ch_dns_type type, const uint8_t *data, size_t len, struct ch_dns_answer *answer)
{
	switch (type) {
	case CH_DNS_A:
	case CH_DNS_AAAA:
		if (len != (type == CH_DNS_A ? 4u : 16u) ||
			!inet_ntop(type == CH_DNS_A ? AF_INET : AF_INET6, data,
				answer->addresses[answer->n], CH_DNS_ADDR_B))
			return CH_EPROTO;
		return CH_OK;
	case CH_DNS_TXT:
		return read_txt(data, len, &answer->texts[answer->n]);
	case CH_DNS_CAA:
		return read_caa(data, len, &answer->texts[answer->n]);
	default:
		return CH_OK;
	}
}

static int collect(struct ch_dns_reader r, size_t n_records, const char *owner,
	enum ch_dns_type type, struct ch_dns_answer *answer)
{
	size_t most = type == CH_DNS_A || type == CH_DNS_AAAA ? CH_DNS_ADDRESSES_MAX
							      : CH_DNS_TEXTS_MAX;
	struct ch_dns_record record;

	for (size_t i = 0; i < n_records; i++) {
		if (i == RECORDS_MAX) {
			answer->n_over += n_records - i;
			break;
		}
		if (ch_dns_take_record(&r, &record))
			return CH_EPROTO;
		if (record.type != (unsigned)type || record.class != CLASS_IN ||
			!ch_dns_same_name(record.owner, owner))
			continue;
		if (answer->n == most) {
			answer->n_over++;
			continue;
		}
		if (type == CH_DNS_NS ? read_name(r, &record, &answer->texts[answer->n])
				      : read_data(type, r.bytes + record.data_at,
						record.data_len, answer))
			return CH_EPROTO;
		answer->n++;
	}
	return CH_OK;
}

/* Header and question.  Leaves the reader at the answers. */
static int read_head(struct ch_dns_reader *r, const char *name, enum ch_dns_type type,
	unsigned *ret_rcode, unsigned *ret_n_records)
{
	char asked[CH_DNS_NAME_B];
	unsigned flags;
	unsigned n_questions;
	unsigned asked_type;
	unsigned class;

	r->at = 2;
	if (ch_dns_take_u16(r, &flags) || ch_dns_take_u16(r, &n_questions) ||
		ch_dns_take_u16(r, ret_n_records) || r->len < HEADER_B || !(flags & 0x8000) ||
		n_questions != 1)
		return CH_EPROTO;
	r->at = HEADER_B;
	if (ch_dns_take_name(r, asked) || ch_dns_take_u16(r, &asked_type) ||
		ch_dns_take_u16(r, &class) || !ch_dns_same_name(asked, name) ||
		asked_type != (unsigned)type || class != CLASS_IN)
		return CH_EPROTO;
	*ret_rcode = flags & 0xf;
	return CH_OK;
}

int ch_dns_message_read(const uint8_t *bytes, size_t len, const char *name,
	enum ch_dns_type type, struct ch_dns_answer *ret_answer)
{
	struct ch_dns_reader r = {bytes, len, 0};
	unsigned rcode;
	unsigned n_records;
	const char *end;

	memset(ret_answer, 0, sizeof(*ret_answer));
	ret_answer->status = CH_DNS_FAILED;
	if (len < HEADER_B || read_head(&r, name, type, &rcode, &n_records))
		return CH_EPROTO;
	if (rcode != 0 && rcode != RCODE_NXDOMAIN)
		return CH_OK;
	if (follow(&r, n_records, name, ret_answer, &end))
		return CH_EPROTO;
	if (rcode == 0 && collect(r, n_records, end, type, ret_answer)) {
		ret_answer->n = 0;
		return CH_EPROTO;
	}
	ret_answer->status = rcode == RCODE_NXDOMAIN ? CH_DNS_NO_NAME
			     : ret_answer->n	     ? CH_DNS_FOUND
						     : CH_DNS_NO_DATA;
	return CH_OK;
}

/* The authority section follows the answers: RFC 2308 section 3. */
int ch_dns_message_read_zone(const uint8_t *bytes, size_t len, const char *name,
	char ret_zone[CH_DNS_NAME_B], bool *ret_authoritative)
{
	struct ch_dns_reader r = {bytes, len, 0};
	struct ch_dns_record record;
	unsigned rcode;
	unsigned n_answers;
	unsigned n_authorities;

	if (len < HEADER_B || read_head(&r, name, CH_DNS_SOA, &rcode, &n_answers) ||
		(rcode != 0 && rcode != RCODE_NXDOMAIN))
		return CH_EPROTO;
	n_authorities = (unsigned)bytes[8] << 8 | bytes[9];
	for (unsigned i = 0; i < n_answers + n_authorities && i < RECORDS_MAX; i++) {
		if (ch_dns_take_record(&r, &record))
			return CH_EPROTO;
		if (record.type != CH_DNS_SOA || record.class != CLASS_IN ||
			!ch_dns_is_below(name, record.owner))
			continue;
		strcpy(ret_zone, record.owner);
		*ret_authoritative = bytes[2] & 0x04;
		return CH_OK;
	}
	return CH_ENOTFOUND;
}

bool ch_dns_is_below(const char *name, const char *zone)
{
	size_t len = strlen(name);
	size_t zone_len = strlen(zone);

	if (zone_len == 0)
		return true;
	return len >= zone_len && strcasecmp(name + len - zone_len, zone) == 0 &&
	       (len == zone_len || name[len - zone_len - 1] == '.');
}
