/* Records of ticket keys for tests: the same word makes the same key each time and everywhere,
 * so that two edges can be given the same ones. */
#ifndef CH_TESTS_MKTICKETS_H
#define CH_TESTS_MKTICKETS_H

#include "base/buf.h"
#include "crypto/keys.h"
#include "crypto/sign.h"
#include "wire/tickets.h"

struct mktickets {
	const char *pool;
	uint64_t version;
	const struct ch_recipients *recipients;
	const struct ch_sign_key *signer;
	bool damaged; /* the sealed copies do not open */
};

/* keys: "WORD=FROM..UNTIL+…", in seconds from now.  Appends the signed record; negative rc. */
int mktickets(const struct mktickets *how, const char *keys, struct ch_buf *out);

#endif
