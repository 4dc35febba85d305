/* The HTTPS server around libmicrohttpd: listeners, limits, life of requests. */
#ifndef CH_STORED_HTTPD_H
#define CH_STORED_HTTPD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stored/auth.h"

struct ch_httpd;
struct ch_service;

#define CH_HTTPD_LISTEN_MAX 16

struct ch_httpd_options {
	const char *const
		*listen; /* "127.0.0.1:8443", "[::1]:0"; at most CH_HTTPD_LISTEN_MAX */
	size_t n_listen;
	const char *cert_file; /* PEM, leaf first */
	const char *key_file;
	struct ch_auth *auth;	    /* outlives the server */
	struct ch_service *service; /* given to handlers */
	unsigned threads;	    /* per listener */
	unsigned connections_max;   /* per listener */
	unsigned per_ip_max;	    /* 0: no limit */
	unsigned per_identity_max;  /* of all listeners together */
	unsigned idle_s;	    /* a connection without traffic is closed after so long */
	int64_t patience_ms;	    /* and one that has not been authenticated by then */
	int64_t known_ms;	    /* and one that has not been again by then */
};

/* Serves when it returns.  CH_EINVAL, CH_EIO; *err says which address or file. */
CH_MUST int ch_httpd_start(const struct ch_httpd_options *options, struct ch_httpd **ret_httpd,
	struct ch_err *err);
/* From now on requests are answered with 503 and none is parked any more.  Who keeps parked
 * requests wakes them then. */
void ch_httpd_begin_stop(struct ch_httpd *httpd);
/* After ch_httpd_begin_stop: waits until every parked request was woken and (at most 3 s) until
 * answers are sent, then ends the threads and releases everything.  NULL allowed. */
void ch_httpd_stop(struct ch_httpd *httpd);

/* "127.0.0.1:8443, [::1]:8443" with real ports; borrowed. */
const char *ch_httpd_addresses(const struct ch_httpd *httpd);
/* Of the first listener. */
unsigned ch_httpd_port(const struct ch_httpd *httpd);

#endif
