/* An HTTP client behind a table of functions: libcurl in production, a script in tests. */
#ifndef CH_NET_HTTP_H
#define CH_NET_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CH_HTTP_HEADERS_MAX 64
#define CH_HTTP_HEADER_MAX_B 8192u

struct ch_http_header {
	const char *name; /* lower-case in responses */
	const char *value;
};

struct ch_http_req {
	const char *method; /* "GET", "POST", … */
	const char *url;    /* https only, unless the client was made with allow_http; no user
			       name in it */
	const struct ch_http_header *headers;
	size_t n_headers;
	const void *body; /* borrowed; NULL with body_len 0 */
	size_t body_len;
	size_t max_answer_b; /* a longer body is CH_ETOOBIG */
	int64_t timeout_ms;  /* whole exchange; long polls set it above their wait; 0: 30 s */
	int private_url;     /* errors have its scheme, host and port only: its path may hold a
				token */
	int once;	     /* the body must not be sent a second time: see CH_EAGAIN below */
};

struct ch_http_resp {
	int status;
	struct ch_http_header headers[CH_HTTP_HEADERS_MAX]; /* owned; more are dropped */
	size_t n_headers;
	struct ch_buf body;
};

struct ch_http { /* one per thread */
	/* Fills *resp (initialized by ch_http_resp_init, freed by ch_http_resp_done) with
	 * whatever status came.  CH_EINVAL (a method, URL or header that must not be sent),
	 * CH_ENETWORK (err.detail says which step failed), CH_EAUTH (TLS: the server's
	 * certificate or ours was refused), CH_ETIMEOUT, CH_ETOOBIG (body, or one header over
	 * CH_HTTP_HEADER_MAX_B), CH_ECANCELED.
	 *
	 * A kept-alive connection may be dead without our knowing it.  When it ends before any
	 * byte of an answer, the request goes out again by itself on a new one: the server may
	 * get it twice.  With req.once it does not, unless nothing of the body was sent yet:
	 * CH_EAGAIN (http-not-resent), and whether the server acted is not known. */
	int (*send)(struct ch_http *http, const struct ch_http_req *req,
		struct ch_http_resp *resp, struct ch_err *err);
	void (*free)(struct ch_http *http);
};

CH_MUST int ch_http_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err);
void ch_http_free(struct ch_http *http); /* NULL allowed */

void ch_http_resp_init(struct ch_http_resp *resp);
void ch_http_resp_done(struct ch_http_resp *resp);
/* The value of the first header of that (lower-case) name, or NULL; borrowed from resp. */
const char *ch_http_resp_header(const struct ch_http_resp *resp, const char *name);

struct ch_http_options {
	const char *ca_file;   /* NULL: the system's */
	const char *cert_file; /* NULL: no client certificate */
	const char *key_file;
	const char *user_agent;
	/* Polled about every 100 ms during a transfer; non-zero cancels it. */
	int (*canceled)(void *arg);
	void *canceled_arg;
	int allow_http;	 /* plain http too: tests on loopback only */
	int allow_proxy; /* obey https_proxy and no_proxy of the environment */
	/* There are other servers: one that takes no connection, or whose host is silent, for
	 * two seconds counts as away. */
	int impatient;
};
/* Keeps connections alive; follows no redirect; TLS 1.2 or newer; HTTP/1.1; keeps no
 * cookies; with ca_file the system's certificates count for nothing.  The option strings are
 * copied. */
CH_MUST int ch_http_new_curl(
	const struct ch_http_options *options, struct ch_http **ret_http, struct ch_err *err);

/* An HTTP-date as Unix ms; CH_EINVAL. */
CH_MUST int ch_http_date(const char *value, int64_t *ret_ms);
/* Retry-After (seconds or HTTP-date) as Unix ms; CH_EINVAL, clamped to one day from now. */
CH_MUST int ch_http_retry_after(const char *value, int64_t now_ms, int64_t *ret_at_ms);

#endif
