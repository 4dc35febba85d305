/* What httpd.c (the server) and exchange.c (one request's way through it) share. */
#ifndef CH_STORED_HTTPD_PRIVATE_H
#define CH_STORED_HTTPD_PRIVATE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/sync.h"
#include "net/strangers.h"
#include "stored/crowd.h"
#include "stored/httpd.h"
#include "stored/request.h"

struct ch_httpd {
	struct ch_auth *auth;
	struct ch_service *service;
	struct MHD_Daemon *daemons[CH_HTTPD_LISTEN_MAX];
	size_t n_daemons;
	struct ch_secret *key;
	char *cert;
	struct ch_strangers *strangers;
	struct ch_crowd *crowd;
	struct ch_buf addresses;
	unsigned port;
	atomic_uint active;  /* requests that exist */
	struct ch_sync sync; /* signaled when n_parked becomes 0; guards what follows */
	bool stopping;
	size_t n_parked;
	int64_t refused_from_ms; /* of the interval that refused_n counts */
	unsigned refused_n;
};

/* What is kept for a connection; NULL when memory was short. */
struct ch_conn {
	struct ch_stranger *stranger; /* NULL when memory was short */
	struct ch_crowd_place *place; /* NULL while it is not known who it is */
	struct ch_auth_memo memo;
};

/* libmicrohttpd's access handler. */
enum MHD_Result ch_httpd_on_request(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_b,
	void **con_cls);

/* A parked request runs again. */
void ch_httpd_unparked(struct ch_httpd *httpd);
bool ch_httpd_is_stopping(struct ch_httpd *httpd);

#endif
