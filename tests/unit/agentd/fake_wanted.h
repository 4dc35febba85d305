/* A store of which only POST /v1/wanted is asked, by one thread or another. */
#ifndef CH_TEST_FAKE_WANTED_H
#define CH_TEST_FAKE_WANTED_H

#include <stdatomic.h>

#include "net/api.h"

struct fake_wanted {
	struct ch_http http;
	int rc;	    /* instead of an answer */
	int status; /* 200 is answered with `taken` */
	int taken;
	const char *line; /* of the head; NULL: none */
	atomic_uint asked;
	atomic_uint names;    /* in all requests */
	char last[64 * 1024]; /* body of the last one */
};

void fake_wanted_init(struct fake_wanted *store);
/* With one URL, at which nothing listens. */
void fake_wanted_options(struct ch_api_options *ret_options);

#endif
