#include "net/dns.h"
#include "stored/server.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "stored/house.h"
#include "stored/polls.h"
#include "stored/release.h"
#include "stored/service.h"

#define CONNECTIONS_MAX 4096
#define IDLE_S 75
#define PER_IDENTITY_DEFAULT 512
#define PATIENCE_MS_DEFAULT 20000
/* Enough for the largest answer over a poor line, and for any poll. */
#define KNOWN_MS (10 * CH_MINUTE_MS)

struct ch_server {
	struct ch_auth *auth;
	struct ch_store *store;
	struct ch_polls *polls;
	struct ch_house *house;
	struct ch_release *release;
	struct ch_httpd *httpd;
	struct ch_service service;
	atomic_bool is_outdated;
};

static void on_commit(const struct ch_store_change *change, void *arg)
{
	struct ch_server *server = arg;

	if (change->is_outdated) {
		if (!atomic_exchange(&server->is_outdated, true)) {
			ch_log_error(
				"a newer store has brought the database to a schema that is "
				"not for this program, which ends: install the newer one");
			kill(getpid(), SIGTERM);
		}
		return;
	}
	ch_polls_on_commit(change, server->polls);
	ch_release_on_commit(server->release, change);
}

static int open_store(
	struct ch_server *server, const struct ch_server_options *options, struct ch_err *err)
{
	struct ch_store_options store = {
		.database = options->database,
		.edge_timeout_ms = options->edge_timeout_ms,
	};
	int rc = ch_store_open(&store, &server->store, err);

	if (!rc)
		rc = ch_polls_new(server->store, &server->polls, err);
	if (!rc)
		rc = ch_release_new(server->store, &server->release, err);
	if (rc)
		return rc;
	ch_store_on_commit(server->store, on_commit, server);
	rc = ch_release_start(server->release, err);
	if (!rc)
		rc = ch_issuers_new(server->store, &server->service.issuers, err);
	if (!rc)
		rc = ch_foresight_start(server->store, server->service.issuers,
			&server->service.foresight, err);
	return rc ? rc
		  : ch_house_start(server->store, &options->keep, options->look_every_ms,
			    &server->house, err);
}

/* Over TCP: nobody shall slip in an answer that gives him a name. */
static int open_dns(
	struct ch_server *server, const struct ch_server_options *options, struct ch_err *err)
{
	struct ch_dns_options dns = {.resolvers = options->resolvers, .tcp = true};

	return options->claims ? ch_dns_new(&dns, &server->service.dns, err) : CH_OK;
}

static int open_http(
	struct ch_server *server, const struct ch_server_options *options, struct ch_err *err)
{
	struct ch_httpd_options http = {
		.listen = options->listen,
		.n_listen = options->n_listen,
		.cert_file = options->cert_file,
		.key_file = options->key_file,
		.auth = server->auth,
		.service = &server->service,
		.threads = options->threads,
		.connections_max = CONNECTIONS_MAX,
		.per_identity_max = options->per_identity_max ? options->per_identity_max
							      : PER_IDENTITY_DEFAULT,
		.idle_s = IDLE_S,
		.known_ms = KNOWN_MS,
		.patience_ms =
			options->patience_ms ? options->patience_ms : PATIENCE_MS_DEFAULT,
	};

	server->service.store = server->store;
	server->service.polls = server->polls;
	server->service.keys = options->keys;
	server->service.claims = options->claims;
	server->service.name_rules.allow_wildcard = options->wildcards;
	if (options->signers)
		snprintf(server->service.signers, sizeof(server->service.signers), "%s",
			options->signers);
	if (options->delegate)
		snprintf(server->service.delegate, sizeof(server->service.delegate), "%s",
			options->delegate);
	return ch_httpd_start(&http, &server->httpd, err);
}

static int write_port(
	struct ch_server *server, const struct ch_server_options *options, struct ch_err *err)
{
	char text[16];

	if (!options->port_file || !*options->port_file)
		return CH_OK;
	snprintf(text, sizeof(text), "%u\n", ch_httpd_port(server->httpd));
	return ch_file_write_atomic(options->port_file, text, strlen(text), 0644, err);
}

int ch_server_start(const struct ch_server_options *options, struct ch_server **ret_server,
	struct ch_err *err)
{
	struct ch_server *server = calloc(1, sizeof(*server));
	int rc;

	if (!server)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_auth_new(&options->auth, &server->auth, err);
	if (!rc)
		rc = open_store(server, options, err);
	if (!rc)
		rc = open_dns(server, options, err);
	if (!rc)
		rc = open_http(server, options, err);
	if (!rc)
		rc = write_port(server, options, err);
	if (rc) {
		ch_server_stop(server);
		return rc;
	}
	*ret_server = server;
	return CH_OK;
}

void ch_server_stop(struct ch_server *server)
{
	if (!server)
		return;
	/* Nobody is parked any more, then nobody uses the store, then it closes. */
	if (server->httpd)
		ch_httpd_begin_stop(server->httpd);
	/* Who waits for it is told. */
	ch_dns_stop(server->service.dns);
	if (server->polls)
		ch_polls_begin_stop(server->polls);
	ch_httpd_stop(server->httpd);
	ch_dns_free(server->service.dns);
	if (server->polls)
		ch_polls_stop(server->polls);
	ch_house_stop(server->house);
	ch_foresight_stop(server->service.foresight);
	ch_release_stop(server->release);
	ch_store_close(server->store);
	ch_polls_free(server->polls);
	ch_issuers_free(server->service.issuers);
	ch_release_free(server->release);
	ch_auth_free(server->auth);
	free(server);
}

const char *ch_server_addresses(const struct ch_server *server)
{
	return ch_httpd_addresses(server->httpd);
}

unsigned ch_server_port(const struct ch_server *server)
{
	return ch_httpd_port(server->httpd);
}

bool ch_server_is_outdated(const struct ch_server *server)
{
	return atomic_load(&server->is_outdated);
}
