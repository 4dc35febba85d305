/* The whole store process but for configuration and signals, so that tests can run it. */
#ifndef CH_STORED_SERVER_H
#define CH_STORED_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stored/auth.h"
#include "stored/house.h"
#include "stored/httpd.h"
#include "wire/state.h"

struct ch_server_options {
	const char *listen[CH_HTTPD_LISTEN_MAX];
	size_t n_listen;
	const char *port_file; /* "" or NULL: none */
	const char *database;  /* as in store/store.h */
	const char *cert_file;
	const char *key_file;
	struct ch_auth_options auth;
	enum ch_keys keys;     /* of new names that say nothing */
	bool claims;	       /* stored/service.h */
	const char *resolvers; /* net/dns.h; with claims */
	bool wildcards;	       /* are registered */
	const char *signers;   /* file: whose records are taken back; "" or NULL: nobody's */
	const char *delegate;  /* zone that DNS challenges are delegated to; "" or NULL: none */
	int64_t edge_timeout_ms;
	struct ch_house_keep keep;
	int64_t look_every_ms; /* stored/house.h */
	unsigned threads;
	unsigned per_identity_max; /* stored/httpd.h; 0: 512 */
	int64_t patience_ms;	   /* stored/httpd.h; 0: 20 s */
};

struct ch_server;

/* Serves when it returns.  Options need not outlive the call. */
CH_MUST int ch_server_start(const struct ch_server_options *options,
	struct ch_server **ret_server, struct ch_err *err);
/* Finishes what is under way.  NULL allowed. */
void ch_server_stop(struct ch_server *server);

const char *ch_server_addresses(const struct ch_server *server);
unsigned ch_server_port(const struct ch_server *server);
/* A newer store on the same database has left nothing for this program to do: it sends itself
 * SIGTERM, and must not be started again as it is. */
bool ch_server_is_outdated(const struct ch_server *server);

#endif
