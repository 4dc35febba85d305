/* The store's way of a request, from its head to its answer (stored/exchange.c), without a
 * network: what belongs to libmicrohttpd and to authentication is played here.  Time passes
 * only where a request waits for it. */
#ifndef CH_FUZZ_FAKE_HTTPD_H
#define CH_FUZZ_FAKE_HTTPD_H

#include "parts.h"
#include "stored/service.h"

#define CH_FUZZ_HEADERS_MAX 16

struct ch_fuzz_request {
	bool stranger; /* no client certificate */
	enum ch_role role;
	const char *method;
	const char *uri;
	struct {
		const char *name;
		const char *value;
	} headers[CH_FUZZ_HEADERS_MAX];
	size_t n_headers;
	const char *body;
	size_t body_len;
};

struct ch_fuzz_reply {
	int status;
	char content_type[64]; /* "": none */
	char allow[64];
	char retry_after[16];
	char *body; /* owned, NUL-terminated */
	size_t body_len;
};

/* Every identity is in the scope "default" and has the id "fuzz".  Aborts when there is no
 * answer, or more than one. */
void ch_fuzz_exchange(struct ch_service *service, const struct ch_fuzz_request *request,
	struct ch_fuzz_reply *ret_reply);
void ch_fuzz_reply_done(struct ch_fuzz_reply *reply);

#endif
