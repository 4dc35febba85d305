#include "issuerd/issuerd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/opts.h"
#include "base/secret.h"
#include "issuerd/alerts.h"
#include "issuerd/renewal.h"
#include "issuerd/tickets.h"
#include "issuerd/worker.h"
#include "net/metrics.h"

#define STOP_WITHIN_MS (8 * CH_SECOND_MS)
#define EXIT_USAGE 2

struct crew {
	struct ch_issuer *issuer;
	struct ch_metrics *metrics; /* NULL: off */
	struct ch_queue queue;
	struct ch_worker leaser;
	struct ch_ticket_keeper keeper;
	struct ch_alert_keeper alerts;
	struct ch_asking asking;
	struct ch_asker askers[CH_ASKERS_MAX];
	size_t n_askers;
	struct ch_worker workers[CH_WORKERS_MAX];
	pthread_t threads[CH_WORKERS_MAX + CH_ASKERS_MAX + 3];
	size_t n_workers;
	size_t n_threads;
};

static void wake_order(void *arg, uint64_t order_id)
{
	struct crew *crew = arg;

	if (order_id)
		ch_queue_hurry(&crew->queue, order_id);
	else
		ch_queue_nudge(&crew->queue);
}

static void crew_free(struct crew *crew)
{
	ch_metrics_stop(crew->metrics);
	ch_issuer_stop_preflight(crew->issuer);
	ch_issuer_stop_dns(crew->issuer);
	for (size_t i = 0; i < crew->n_workers; i++)
		ch_worker_done(&crew->workers[i]);
	ch_worker_done(&crew->leaser);
	ch_ticket_keeper_done(&crew->keeper);
	ch_alert_keeper_done(&crew->alerts);
	for (size_t i = 0; i < crew->n_askers; i++)
		ch_asker_done(&crew->askers[i]);
	ch_asking_done(&crew->asking);
	ch_queue_done(&crew->queue);
	free(crew);
}

static int crew_new(struct ch_issuer *issuer, struct crew **ret_crew, struct ch_err *err)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	int rc;

	if (!crew)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	crew->issuer = issuer;
	ch_queue_init(&crew->queue, 2 * issuer->config->workers);
	ch_asking_init(&crew->asking, issuer, &crew->queue);
	issuer->wake = wake_order;
	issuer->wake_arg = crew;
	rc = ch_issuer_start_preflight(issuer, err);
	if (rc == CH_OK)
		rc = ch_issuer_start_dns(issuer, err);
	if (rc == CH_OK && issuer->config->metrics) {
		const struct ch_metrics_options options = {.listen = issuer->config->metrics,
			.write = ch_figures_write,
			.arg = issuer};

		/* Certificates are got without. */
		if (ch_metrics_start(&options, &crew->metrics, err))
			ch_log_error("%s", err->detail);
	}
	if (rc == CH_OK)
		rc = ch_worker_init(&crew->leaser, issuer, &crew->queue, true, err);
	if (rc == CH_OK && issuer->config->ticket_rotation_ms)
		rc = ch_ticket_keeper_init(&crew->keeper, issuer, &crew->queue, NULL, err);
	if (rc == CH_OK)
		rc = ch_alert_keeper_init(&crew->alerts, issuer, &crew->queue, NULL, err);
	while (rc == CH_OK && crew->n_askers < ch_askers_needed(issuer->config)) {
		rc = ch_asker_init(&crew->askers[crew->n_askers], &crew->asking,
			crew->n_askers == 0, NULL, err);
		crew->n_askers += rc == CH_OK;
	}
	while (rc == CH_OK && crew->n_workers < issuer->config->workers) {
		rc = ch_worker_init(
			&crew->workers[crew->n_workers], issuer, &crew->queue, false, err);
		crew->n_workers += rc == CH_OK;
	}
	if (rc) {
		crew_free(crew);
		return rc;
	}
	*ret_crew = crew;
	return CH_OK;
}

static int start_thread(struct crew *crew, void *(*fn)(void *), void *worker)
{
	if (pthread_create(&crew->threads[crew->n_threads], NULL, fn, worker) != 0)
		return CH_ENOMEM;
	crew->n_threads++;
	return CH_OK;
}

static void crew_stop(struct crew *crew)
{
	crew->issuer->stop_by_ms = ch_mono_ms() + STOP_WITHIN_MS;
	atomic_store(&crew->issuer->stopping, 1);
	ch_queue_close(&crew->queue);
	for (size_t i = 0; i < crew->n_threads; i++)
		pthread_join(crew->threads[i], NULL);
	crew->n_threads = 0;
}

static void reload(struct ch_issuer *issuer)
{
	struct ch_err err;

	if (ch_issuer_reload_recipients(issuer, &err))
		ch_log_error("recipients not read again, the old ones stay: %s", err.detail);
	else
		ch_log_info("recipients read again: %zu", issuer->recipients.n);
}

static void watched_signals(sigset_t *ret_set)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, SIGTERM);
	sigaddset(ret_set, SIGINT);
	sigaddset(ret_set, SIGHUP);
}

static int crew_run(struct crew *crew)
{
	sigset_t set;
	int sig = 0;
	int rc = start_thread(crew, ch_leaser_main, &crew->leaser);

	if (rc == CH_OK && crew->keeper.api)
		rc = start_thread(crew, ch_ticket_main, &crew->keeper);
	if (rc == CH_OK)
		rc = start_thread(crew, ch_alert_main, &crew->alerts);
	for (size_t i = 0; rc == CH_OK && i < crew->n_askers; i++)
		rc = start_thread(crew, ch_asker_main, &crew->askers[i]);
	for (size_t i = 0; rc == CH_OK && i < crew->n_workers; i++)
		rc = start_thread(crew, ch_worker_main, &crew->workers[i]);
	for (size_t i = 0; i < crew->issuer->n_cas; i++)
		if (!crew->issuer->cas[i].config->terms_agreed)
			ch_log_warn("terms_agreed is not yes for the CA %s: no ACME account is "
				    "made, and so no certificate there",
				crew->issuer->cas[i].config->name);
	if (rc == CH_OK)
		ch_log_info("ready directory=%s cas=%zu workers=%zu recipients=%zu",
			crew->issuer->cas[0].config->directory, crew->issuer->n_cas,
			crew->n_workers, crew->issuer->recipients.n);
	else
		ch_log_error("cannot start threads");
	watched_signals(&set);
	while (rc == CH_OK && sig != SIGTERM && sig != SIGINT) {
		if (sigwait(&set, &sig) == 0 && sig == SIGHUP)
			reload(crew->issuer);
	}
	ch_log_info("stopping");
	crew_stop(crew);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct ch_issuer_config *config)
{
	struct ch_issuer *issuer = NULL;
	struct crew *crew = NULL;
	struct ch_err err = {0};
	sigset_t set;
	int status;

	if (ch_issuer_open(config, &issuer, &err)) {
		ch_log_error("%s", err.detail);
		return EXIT_USAGE;
	}
	/* Before the first thread, so that all of them inherit it. */
	watched_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a full disk */
	if (crew_new(issuer, &crew, &err)) {
		ch_log_error("%s", err.detail);
		ch_issuer_free(issuer);
		return EXIT_USAGE;
	}
	status = crew_run(crew);
	crew_free(crew);
	ch_issuer_free(issuer);
	return status;
}

int ch_issuer_main(int argc, char **argv)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	CH_AUTO_FREE struct ch_issuer_config *config = calloc(1, sizeof(*config));
	struct ch_err err = {0};
	const char *path = NULL;
	struct ch_opt list[] = {CH_OPT_CONFIG(&path)};
	struct ch_opts opts = {.command = "issuer",
		.usage = "[--config FILE]",
		.help = "Leases orders from the store, obtains certificates, publishes them.\n"
			"SIGHUP: read the recipients again.  SIGTERM: finish the steps under "
			"way and stop.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n_args;
	int rc = ch_opts_parse(&opts, argc, argv, &n_args);

	if (rc)
		return rc == CH_ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
	ch_secret_harden_process();
	ch_log_init("issuer", CH_LOG_INFO);
	if (!config)
		return EXIT_FAILURE;
	if (ch_conf_load(ch_opts_config(path), &conf, &err) ||
		ch_issuer_config_read(conf, config, &err)) {
		ch_log_error("%s", err.detail);
		return EXIT_USAGE;
	}
	ch_log_init("issuer", config->log_level);
	return run(config);
}
