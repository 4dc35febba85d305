#include "agentd/agentd.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/config.h"
#include "agentd/follow.h"
#include "agentd/wanted.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"
#include "crypto/pki.h"
#include "net/metrics.h"

CH_DEFINE_CLEANUP(struct ch_verify_set *, ch_verify_set_free)
CH_DEFINE_CLEANUP(struct ch_api *, ch_api_free)

#define LOOK_MS 100 /* how late a signal may be noticed */
#define CONFIRM_WAIT_MS 8000

static volatile sig_atomic_t stopping;

static void on_signal(int signo)
{
	stopping = 1;
}

/* For the HTTP client. */
static int is_wanted(void *arg)
{
	return stopping || ch_follow_is_lost(arg);
}

/* follow: what may cut the wait short; NULL: nothing. */
static void wait_for(int64_t wait_ms, struct ch_follow *follow)
{
	int64_t until_ms = ch_mono_ms() + wait_ms;
	int64_t left_ms;

	while (!stopping && !(follow && ch_follow_is_lost(follow)) &&
		(left_ms = until_ms - ch_mono_ms()) > 0)
		(void)!poll(NULL, 0, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
}

/* NULL (logged): it goes without. */
static struct ch_wanted *start_wanted(
	struct ch_follow *follow, const struct ch_agent_config *config)
{
	const struct ch_wanted_options options = {.dir = config->replica,
		.reader_gid = config->reader_gid,
		.api = &config->api,
		.figures = &follow->figures};
	struct ch_wanted *wanted = NULL;
	struct ch_err err;

	if (ch_wanted_start(&options, &wanted, &err))
		ch_log_warn(
			"the store is not told which names visitors wait for: %s", err.detail);
	return wanted;
}

static void run(struct ch_follow *follow, const struct ch_agent_config *config)
{
	struct ch_wanted *wanted = NULL;
	bool done = !config->wanted;

	while (!stopping) {
		int64_t wait_ms;

		/* With the replica comes the right to its folder. */
		if (!done && follow->writer) {
			wanted = start_wanted(follow, config);
			done = true;
		}
		ch_follow_step(follow, &wait_ms);
		wait_for(wait_ms, follow);
	}
	ch_wanted_stop(wanted);
	ch_log_info("stopped");
}

/* Whether starting it again helps nothing before somebody changes a file or a setting. */
static bool is_setup(int rc)
{
	return rc == CH_EINVAL || rc == CH_EAUTH || rc == CH_ETOOBIG;
}

static int fail(const struct ch_err *err, bool setup)
{
	ch_log_error("%s", err->detail);
	return setup ? 2 : 1;
}

/* Returns an exit code, or -1 to go on; also without a replica when that may pass. */
static int open_replica(struct ch_follow *follow, const struct ch_agent_config *config)
{
	struct ch_err err = {0};
	uint64_t names = 0;
	int rc = ch_follow_open(follow, &config->limits, &err);

	if (rc == CH_ECONFLICT || is_setup(rc)) {
		ch_err_prefix(&err, "[agent] replica = %s", config->replica);
		return fail(&err, is_setup(rc));
	}
	if (rc) {
		ch_log_error("%s: tried again", err.detail);
		return -1;
	}
	if (err.rc)
		ch_log_warn("%s: the replica is fetched anew", err.detail);
	else if (ch_replica_writer_is_rebuilding(follow->writer))
		ch_log_info("no whole replica is there yet: it is fetched");
	if (ch_replica_writer_live_count(follow->writer, &names))
		ch_log_warn("the replica's names cannot be counted");
	ch_log_info("ready replica=%s names=%" PRIu64 " store=%s", config->replica, names,
		ch_api_url(follow->api));
	return -1;
}

/* The one in the certificate that we show the store. */
static void read_pool(const struct ch_agent_config *config, struct ch_follow *follow)
{
	struct ch_identity_uri uri;
	struct ch_pki_cert cert;
	struct ch_err err;

	_Static_assert(sizeof(uri.scope) == sizeof(follow->pool), "a pool's name");
	if (ch_pki_cert_read(config->api.http.cert_file, &cert, &err) == CH_OK &&
		ch_identity_uri_parse(cert.uri, strlen(cert.uri), &uri) == CH_OK)
		memcpy(follow->pool, uri.scope, sizeof(follow->pool));
	else
		ch_log_warn("identity_cert does not say the pool of this edge: no ticket keys "
			    "are taken");
}

static void http_free_p(struct ch_http **http)
{
	ch_http_free(*http);
}

static int agent(const struct ch_agent_config *config)
{
	CH_CLEANUP(ch_verify_set_free_p) struct ch_verify_set *signers = NULL;
	CH_CLEANUP(ch_api_free_p) struct ch_api *api = NULL;
	struct ch_api_options options = config->api;
	CH_CLEANUP(ch_follow_close)
	struct ch_follow follow = {
		.replica = {.dir = config->replica, .reader_gid = config->reader_gid},
		.poll_wait_ms = config->poll_wait_ms,
		.check_ms = config->check_ms,
	};
	CH_CLEANUP(http_free_p) struct ch_http *http = NULL;
	struct ch_metrics *metrics = NULL;
	struct ch_err err = {0};
	int code;

	if (ch_verify_set_load(config->signers, &signers, &err)) {
		ch_err_prefix(&err, "[agent] signers");
		return fail(&err, err.rc != CH_ENOMEM);
	}
	options.http.canceled = is_wanted;
	options.http.canceled_arg = &follow;
	if (ch_api_new(&options, &api, &err))
		return fail(&err, err.rc != CH_ENOMEM);
	follow.api = api;
	follow.signers = signers;
	read_pool(config, &follow);
	if (config->nginx_status) {
		const struct ch_http_options local = {.user_agent = "certherd/" CH_VERSION,
			.allow_http = 1,
			.canceled = is_wanted,
			.canceled_arg = &follow};

		if (ch_http_new_curl(&local, &http, &err))
			return fail(&err, false);
		follow.nginx =
			(struct ch_nginx_look){.http = http, .url = config->nginx_status};
	}
	code = open_replica(&follow, config);
	if (code >= 0)
		return code;
	if (config->metrics) {
		const struct ch_metrics_options figures = {.listen = config->metrics,
			.write = ch_agent_figures_write,
			.arg = &follow.figures};

		/* Names are served without. */
		if (ch_metrics_start(&figures, &metrics, &err))
			ch_log_error("%s", err.detail);
	}
	run(&follow, config);
	ch_metrics_stop(metrics);
	return 0;
}

/* Waits until the running agent has looked. */
static int outcome_of(const struct ch_agent_config *config, const char id[CH_BRAKE_ID_B])
{
	CH_AUTO_FREE char *more = NULL;
	int rc = CH_EAGAIN;

	for (int i = 0; i < CONFIRM_WAIT_MS / LOOK_MS && rc == CH_EAGAIN; i++) {
		wait_for(LOOK_MS, NULL);
		rc = ch_brake_outcome(config->replica, id, &more);
	}
	if (rc == CH_OK) {
		printf("Confirmed, and applied.\n");
		return 0;
	}
	if (rc == CH_ECONFLICT)
		fprintf(stderr,
			"By now there is more to remove, and that is refused:\n%sRun "
			"`certherd agent --confirm-removal` again to confirm that too.\n",
			more);
	else
		fprintf(stderr, "Confirmed, but nothing has happened yet: is the agent "
				"running, and can it reach the store?\n");
	return 1;
}

static int confirm(const struct ch_agent_config *config)
{
	CH_AUTO_FREE char *what = NULL;
	char id[CH_BRAKE_ID_B];
	struct ch_err err;

	if (ch_brake_confirm(config->replica, &what, id, &err)) {
		fprintf(stderr, "certherd agent: %s\n", err.detail);
		return 1;
	}
	fputs(what, stdout);
	return outcome_of(config, id);
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ,
		SIG_IGN); /* a limit on the size of files is an error like a full disk */
}

int ch_agent_main(int argc, char **argv)
{
	const char *path = NULL;
	bool confirming = false;
	const struct ch_opt list[] = {
		CH_OPT_CONFIG(&path),
		{"confirm-removal", NULL,
			"lets the agent that runs here apply the removal that it refuses",
			&confirming, NULL},
	};
	const struct ch_opts opts = {.command = "agent",
		.usage = "[--config FILE]",
		.help = "Keeps this edge's replica the same as the store's feed: runs until "
			"SIGTERM.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	struct ch_agent_config config;
	struct ch_err err;
	size_t n_args;
	int rc;

	ch_secret_harden_process();
	rc = ch_opts_parse(&opts, argc, argv, &n_args);
	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	if (ch_conf_load(ch_opts_config(path), &conf, &err) ||
		ch_agent_config_read(conf, &config, &err)) {
		fprintf(stderr, "certherd agent: %s\n", err.detail);
		return 2;
	}
	ch_log_init("agent", config.log_level);
	if (confirming)
		return confirm(&config);
	catch_signals();
	return agent(&config);
}
