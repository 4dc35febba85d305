#include "stored/stored.h"

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"
#include "stored/database.h"
#include "stored/describe.h"
#include "stored/server.h"
#include "wire/delegate.h"

#define SECTION "store"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The items that ch_conf_list hands out do not outlive it: keep copies. */
static int add_listen(const char *item, void *arg)
{
	struct ch_server_options *options = arg;
	char *copy;

	if (options->n_listen == CH_HTTPD_LISTEN_MAX)
		return CH_ETOOBIG;
	copy = strdup(item);
	if (!copy)
		return CH_ENOMEM;
	options->listen[options->n_listen++] = copy;
	return CH_OK;
}

/* Of the section that the issuer reads: the two must not differ. */
static void read_delegate(
	struct ch_conf *conf, struct ch_server_options *o, char delegate[CH_NAME_TEXT_B])
{
	const char *text = ch_conf_str(conf, "dns", "delegate", "");

	delegate[0] = 0;
	if (text[0] && ch_delegate_zone(text, delegate))
		ch_conf_fail(conf, "dns", "delegate",
			"must be a domain name of at most 189 characters");
	o->delegate = delegate;
}

static void read_keep(struct ch_conf *conf, struct ch_house_keep *keep)
{
	const int64_t most = 3650 * CH_DAY_MS;

	keep->tombstone_ms =
		ch_conf_duration(conf, SECTION, "tombstone_keep", "30d", CH_SECOND_MS, most);
	keep->history_ms =
		ch_conf_duration(conf, SECTION, "history_keep", "400d", CH_HOUR_MS, most);
	keep->history_least = (size_t)ch_conf_int(
		conf, SECTION, "history_least", 10, 0, CH_STORE_HISTORY_LEAST_MAX);
	keep->orders_ms =
		ch_conf_duration(conf, SECTION, "orders_keep", "90d", CH_DAY_MS, most);
	keep->audit_ms = ch_conf_duration(conf, SECTION, "audit_keep", "400d", CH_DAY_MS, most);
}

static int read_conf(struct ch_conf *conf, struct ch_server_options *o, char **ret_database,
	char delegate[CH_NAME_TEXT_B], struct ch_err *err)
{
	const char *level_text = ch_conf_str(conf, SECTION, "log_level", "info");
	enum ch_log_level level = CH_LOG_INFO;

	if (ch_log_level_parse(level_text, &level))
		ch_conf_fail(conf, SECTION, "log_level", "expected error, warn, info or debug");
	ch_log_init("store", level);
	ch_conf_list(conf, SECTION, "listen", "127.0.0.1:8443", "ADDRESS:PORT", add_listen, o);
	*ret_database = ch_database_text(conf);
	o->database = *ret_database;
	o->port_file = ch_conf_path(conf, SECTION, "port_file", "");
	o->cert_file = ch_conf_path(conf, SECTION, "cert", "pki/store.pem");
	o->key_file = ch_conf_path(conf, SECTION, "key", "pki/store.key");
	o->auth.identity_ca = ch_conf_path(conf, SECTION, "identity_ca", "pki/ca.pem");
	o->auth.edge_ca = ch_conf_path(conf, SECTION, "edge_ca", "pki/edge-ca.pem");
	o->auth.revoked = ch_conf_path(conf, SECTION, "revoked", "pki/revoked");
	o->signers = ch_conf_path(conf, SECTION, "signers", "store/signers");
	if (ch_keys_parse(ch_conf_str(conf, SECTION, "keys", "ecdsa"), &o->keys))
		ch_conf_fail(conf, SECTION, "keys",
			"expected ecdsa, p384, rsa, ecdsa+rsa or p384+rsa");
	o->claims = ch_conf_bool(conf, SECTION, "claims", true);
	o->resolvers = ch_conf_str(conf, SECTION, "resolvers", "");
	o->wildcards = ch_conf_bool(conf, SECTION, "wildcards", false);
	read_delegate(conf, o, delegate);
	o->edge_timeout_ms = ch_conf_duration(
		conf, SECTION, "edge_timeout", "60s", CH_SECOND_MS, 30 * CH_DAY_MS);
	read_keep(conf, &o->keep);
	/* The issuer reads it too: both report. */
	o->look_every_ms = ch_conf_duration(
		conf, "alerts", "look_every", "20s", CH_SECOND_MS, CH_MINUTE_MS);
	o->patience_ms = ch_conf_duration(
		conf, SECTION, "identify_within", "20s", CH_SECOND_MS, 10 * CH_MINUTE_MS);
	o->per_identity_max = (unsigned)ch_conf_int(
		conf, SECTION, "connections_per_identity", 512, 16, 1000000);
	o->threads = (unsigned)ch_conf_int(conf, SECTION, "threads", 4, 1, 64);
	if (o->n_listen == 0)
		ch_conf_fail(conf, SECTION, "listen", "names no address");
	return ch_conf_finish(conf, SECTION, err);
}

/* Every waiting poll holds a connection. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			ch_log_debug("the limit of open files stays as it is");
	}
}

/* Before any thread starts, so that all inherit it. */
static void block_signals(sigset_t *ret_stop)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a full disk */
	sigemptyset(ret_stop);
	sigaddset(ret_stop, SIGTERM);
	sigaddset(ret_stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, ret_stop, NULL);
}

static int serve(const struct ch_server_options *options)
{
	struct ch_server *server = NULL;
	struct ch_err err = {0};
	sigset_t stop;
	bool is_outdated;
	int sig = 0;

	block_signals(&stop);
	raise_file_limit();
	json_object_seed(0);
	if (ch_server_start(options, &server, &err)) {
		ch_log_error("cannot start: %s", err.detail);
		/* A key that others can read is for the operator to mend, not for another try.
		 */
		return err.rc == CH_EINVAL || err.rc == CH_EAUTH ? EXIT_USAGE : EXIT_FAILED;
	}
	ch_log_info("ready on %s", ch_server_addresses(server));
	while (sigwait(&stop, &sig) != 0)
		;
	ch_log_info("stopping after %s", sig == SIGTERM ? "SIGTERM" : "SIGINT");
	is_outdated = ch_server_is_outdated(server);
	ch_server_stop(server);
	ch_log_info("stopped");
	return is_outdated ? EXIT_FAILED : EXIT_DONE;
}

static int run(const char *path)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	struct ch_server_options options = {0};
	struct ch_err err = {0};
	char delegate[CH_NAME_TEXT_B];
	char *database = NULL;
	int status = EXIT_USAGE;

	ch_log_init("store", CH_LOG_INFO);
	if (ch_conf_load(path, &conf, &err) ||
		read_conf(conf, &options, &database, delegate, &err))
		ch_log_error("%s", err.detail);
	else
		status = serve(&options);
	for (size_t i = 0; i < options.n_listen; i++)
		free((void *)options.listen[i]);
	free(database);
	return status;
}

int ch_store_main(int argc, char **argv)
{
	const char *config = NULL;
	bool describe = false;
	const struct ch_opt list[] = {
		CH_OPT_CONFIG(&config),
		{"describe", NULL, NULL, &describe, NULL},
	};
	const struct ch_opts opts = {
		.command = "store",
		.usage = "[options]",
		.help = "Serves the API over the database; section [store] of the "
			"configuration.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
	};
	size_t n_args;
	int rc;

	ch_secret_harden_process();
	rc = ch_opts_parse(&opts, argc, argv, &n_args);
	if (rc)
		return rc == CH_ECANCELED ? EXIT_DONE : EXIT_USAGE;
	if (describe)
		return ch_describe_print(stdout) ? EXIT_FAILED : EXIT_DONE;
	return run(ch_opts_config(config));
}
