/* One TXT record more, or less, at a DNS server: RFC 2136, signed as RFC 8945 says. */
#ifndef CH_NET_DNS_UPDATE_H
#define CH_NET_DNS_UPDATE_H

#include "base/secret.h"
#include "net/dns_build.h"

#define CH_TSIG_MAC_MAX_B 64
#define CH_DNS_VALUE_MAX 255 /* one string: RFC 1035 section 3.3.14 */

/* X(name, text) */
#define CH_TSIG_ALGORITHM_LIST(X)                                                              \
	X(CH_TSIG_SHA256, "hmac-sha256")                                                       \
	X(CH_TSIG_SHA384, "hmac-sha384")                                                       \
	X(CH_TSIG_SHA512, "hmac-sha512")

enum ch_tsig_algorithm {
#define X(name, text) name,
	CH_TSIG_ALGORITHM_LIST(X)
#undef X
};
const char *ch_tsig_algorithm_str(enum ch_tsig_algorithm algorithm);
CH_MUST int ch_tsig_algorithm_parse(const char *text, enum ch_tsig_algorithm *ret_algorithm);

struct ch_tsig_key {
	char name[CH_DNS_NAME_B];
	enum ch_tsig_algorithm algorithm;
	struct ch_secret *secret; /* owned; the bytes, not their base64 */
};

/* A file with the base64 of the secret, as `tsig-keygen` and `keymgr -t` print it between the
 * quotes; name and algorithm are for the caller to fill in.  CH_EAUTH: others can read it. */
CH_MUST int ch_tsig_secret_read(
	const char *path, struct ch_secret **ret_secret, struct ch_err *err);

struct ch_dns_update { /* texts are borrowed */
	uint16_t id;
	const char *zone;
	const char *owner;
	const char *value; /* 1 … 255 bytes */
	uint32_t ttl_s;
	bool remove; /* the record with this value, and no other one */
	int64_t now_s;
};

struct ch_tsig_mac { /* of a request: its answer is signed together with it */
	uint8_t bytes[CH_TSIG_MAC_MAX_B];
	size_t len;
};

/* Adding what is there, and removing what is not, changes nothing.  Appends the message. */
CH_MUST int ch_dns_update_build(const struct ch_dns_update *update,
	const struct ch_tsig_key *key, struct ch_buf *out, struct ch_tsig_mac *ret_mac);

/* What the server has answered.  CH_OK: it is signed with our key, and the change is made.
 *   CH_EAUTH   dns-update-key      it does not know the key, or another secret of that name
 *              dns-update-clock    its clock and ours differ too much
 *              dns-update-refused  the key may not make this change, or not in this zone
 *   CH_EAGAIN  dns-update-failed   it has trouble of its own
 *   CH_EPROTO  dns-update-answer   it is no answer to this, or is not signed rightly
 * A refusal need not be signed: who can slip one in could cut the connection as well. */
CH_MUST int ch_dns_update_read(const uint8_t *bytes, size_t len,
	const struct ch_dns_update *update, const struct ch_tsig_key *key,
	const struct ch_tsig_mac *mac, struct ch_err *err);

#endif
