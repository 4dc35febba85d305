#include "wire/delegate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#define READABLE_MAX 40
#define HASH_CHARS 20 /* of base 32: 100 bits */

static const char *base_of(const char *name)
{
	return name[0] == '*' && name[1] == '.' ? name + 2 : name;
}

int ch_delegate_owner(const char *name, char ret_owner[CH_NAME_TEXT_B])
{
	if (strlen(base_of(name)) + strlen(CH_CHALLENGE_LABEL) >= CH_NAME_TEXT_B)
		return CH_ETOOBIG;
	snprintf(ret_owner, CH_NAME_TEXT_B, CH_CHALLENGE_LABEL "%.*s",
		(int)(CH_NAME_TEXT_B - sizeof(CH_CHALLENGE_LABEL)), base_of(name));
	return CH_OK;
}

/* RFC 4648 section 6, in lower case: the DNS has no cases. */
static void base32(const uint8_t *bytes, char *ret_text, size_t n_chars)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned bits = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < n_chars; i++) {
		if (n_bits < 5) {
			bits = bits << 8 | *bytes++;
			n_bits += 8;
		}
		n_bits -= 5;
		ret_text[i] = digits[bits >> n_bits & 31];
	}
	ret_text[n_chars] = 0;
}

int ch_delegate_target(const char *name, const char *zone, char ret_target[CH_NAME_TEXT_B])
{
	const char *base = base_of(name);
	char readable[READABLE_MAX + 1];
	char hash_text[HASH_CHARS + 1];
	uint8_t hash[32];
	size_t len = 0;
	int n;

	if (EVP_Digest(base, strlen(base), hash, NULL, EVP_sha256(), NULL) != 1)
		return CH_ECRYPTO;
	base32(hash, hash_text, HASH_CHARS);
	for (; base[len] && len < READABLE_MAX; len++)
		readable[len] = isalnum((unsigned char)base[len]) ? base[len] : '-';
	readable[len] = 0;
	n = snprintf(ret_target, CH_NAME_TEXT_B, "%s-%s.%s", readable, hash_text, zone);
	return n < CH_NAME_TEXT_B ? CH_OK : CH_ETOOBIG;
}

int ch_delegate_zone(const char *text, char ret_zone[CH_NAME_TEXT_B])
{
	size_t len = strlen(text);

	if (len && text[len - 1] == '.')
		len--;
	if (len == 0 || len + CH_DELEGATE_LABEL_MAX + 1 >= CH_NAME_TEXT_B || text[0] == '.')
		return CH_EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isalnum(c) && c != '-' && c != '_' && !(c == '.' && text[i - 1] != '.'))
			return CH_EINVAL;
		ret_zone[i] = (char)tolower(c);
	}
	ret_zone[len] = 0;
	return CH_OK;
}
