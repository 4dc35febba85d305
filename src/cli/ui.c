/* `certherd ui`: the web interface, on this machine, under the operator's identity. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "net/listen.h"
#include "ui/server.h"

/* 500 alerts, or a thousand edges that all have trouble. */
#define ANSWER_MAX_B (2u * 1024u * 1024u)

/* A store that hangs holds up so many pages, and then those that want one more. */
#define ASKERS 4

struct ui;

/* Whom one page at a time asks. */
struct asker {
	struct ui *ui;
	struct ch_api *api;
	int64_t give_up_ms; /* monotonic */
	int client_fd;
};

struct ui {
	struct ch_client client; /* its API is the first asker's */
	struct asker askers[ASKERS];
	atomic_bool stopping;
};

static int is_canceled(void *arg)
{
	struct asker *asker = arg;

	return atomic_load(&asker->ui->stopping) || ch_mono_ms() > asker->give_up_ms ||
	       ch_listen_is_gone(asker->client_fd);
}

static void begin(void *arg, int64_t give_up_ms, int client_fd)
{
	struct asker *asker = arg;

	asker->give_up_ms = give_up_ms;
	asker->client_fd = client_fd;
}

static int get(void *arg, const char *path, json_t **ret_answer, struct ch_err *err)
{
	struct asker *asker = arg;
	struct ch_api_call call = {.method = "GET",
		.path = path,
		/* One that hangs leaves time for each of the others. */
		.timeout_ms = CH_UI_PAGE_MS / (int64_t)(ch_api_n_urls(asker->api) + 1),
		.max_answer_b = ANSWER_MAX_B};
	int rc = ch_api_call(asker->api, &call, err);

	if (rc == CH_ECANCELED)
		return ch_err_set(err, CH_ETIMEOUT, "store-timeout",
			"%s has not answered within %d seconds", ch_api_url(asker->api),
			(int)(CH_UI_PAGE_MS / CH_SECOND_MS));
	if (rc)
		return rc;
	*ret_answer = call.answer;
	return CH_OK;
}

static int open_askers(struct ui *ui, struct ch_err *err)
{
	int rc = CH_OK;

	ui->askers[0].api = ui->client.api;
	for (size_t i = 1; i < ASKERS && !rc; i++)
		rc = ch_client_another(
			&ui->client, is_canceled, &ui->askers[i], &ui->askers[i].api, err);
	return rc;
}

static void close_askers(struct ui *ui)
{
	for (size_t i = 1; i < ASKERS; i++)
		ch_api_free(ui->askers[i].api);
}

/* Before any thread starts, so that all inherit it. */
static void block_signals(sigset_t *ret_stop)
{
	sigemptyset(ret_stop);
	sigaddset(ret_stop, SIGTERM);
	sigaddset(ret_stop, SIGINT);
	sigaddset(ret_stop, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret_stop, NULL);
}

static int start(struct ui *ui, const char *listen, struct ch_ui_server **ret_server)
{
	struct ch_ui_store stores[ASKERS];
	const struct ch_ui_server_options options = {
		.listen = listen, .stores = stores, .n_stores = ASKERS};
	struct ch_err err = {0};
	int rc = open_askers(ui, &err);

	for (size_t i = 0; i < ASKERS; i++)
		stores[i] =
			(struct ch_ui_store){.get = get, .begin = begin, .arg = &ui->askers[i]};
	if (!rc)
		rc = ch_ui_server_start(&options, ret_server, &err);
	return rc ? ch_client_fail(&ui->client, NULL, &err) : CH_EXIT_OK;
}

static int serve(struct ui *ui, const char *listen)
{
	struct ch_ui_server *server = NULL;
	const struct ch_ui_app *app;
	sigset_t stop;
	int sig = 0;
	int code;

	block_signals(&stop);
	json_object_seed(0);
	code = start(ui, listen, &server);
	if (code)
		return code;
	app = ch_ui_server_app(server);
	printf("Open http://%s/?token=%s\n"
	       "in a browser on this machine, until Ctrl-C; whoever has this address sees what "
	       "you see.\nFrom another one: ssh -L %u:%s HOST there, and the same address.\n",
		app->address, app->token, app->port, app->address);
	if (fflush(stdout)) {
		ch_ui_server_stop(server);
		return CH_EXIT_FAILED;
	}
	while (sigwait(&stop, &sig) != 0)
		;
	atomic_store(&ui->stopping, true);
	ch_ui_server_stop(server);
	return CH_EXIT_OK;
}

int ch_ui_main(int argc, char **argv)
{
	struct ui ui = {.stopping = false};
	const char *listen = "127.0.0.1:0";
	const struct ch_opt list[] = {
		{"listen", "ADDRESS:PORT",
			"of this host's loopback (default: 127.0.0.1:0, a free port)", NULL,
			&listen},
		CH_OPT_CONFIG(&ui.client.config)};
	const struct ch_opts opts = {.command = "ui",
		.usage = "[--listen ADDRESS:PORT]",
		.help = "Serves a web interface on this machine that shows names, alerts, "
			"limits and edges,\nand changes nothing.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n_args;
	int code;

	ch_secret_harden_process();
	for (size_t i = 0; i < ASKERS; i++)
		ui.askers[i] = (struct asker){.ui = &ui, .client_fd = -1};
	ui.client.canceled = is_canceled;
	ui.client.canceled_arg = &ui.askers[0];
	code = ch_client_begin(&ui.client, &opts, argc, argv, &n_args);
	if (code < 0)
		code = serve(&ui, listen);
	close_askers(&ui);
	ch_client_done(&ui.client);
	return code;
}
