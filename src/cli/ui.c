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
#include "ui/server.h"

/* 500 alerts, or a thousand edges that all have trouble. */
#define ANSWER_MAX_B (2u * 1024u * 1024u)

struct ui {
	struct ch_client client;
	int64_t give_up_ms; /* monotonic; of the server's thread alone */
	atomic_bool stopping;
};

static int is_canceled(void *arg)
{
	struct ui *ui = arg;

	return atomic_load(&ui->stopping) || ch_mono_ms() > ui->give_up_ms;
}

static void begin(void *arg)
{
	struct ui *ui = arg;

	ui->give_up_ms = ch_mono_ms() + CH_UI_PAGE_MS;
}

static int get(void *arg, const char *path, json_t **ret_answer, struct ch_err *err)
{
	struct ui *ui = arg;
	struct ch_api_call call = {.method = "GET",
		.path = path,
		/* One that hangs leaves time for each of the others. */
		.timeout_ms = CH_UI_PAGE_MS / (int64_t)(ch_api_n_urls(ui->client.api) + 1),
		.max_answer_b = ANSWER_MAX_B};
	int rc = ch_api_call(ui->client.api, &call, err);

	if (rc == CH_ECANCELED)
		return ch_err_set(err, CH_ETIMEOUT, "store-timeout",
			"%s has not answered within %d seconds", ch_api_url(ui->client.api),
			(int)(CH_UI_PAGE_MS / CH_SECOND_MS));
	if (rc)
		return rc;
	*ret_answer = call.answer;
	return CH_OK;
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

static int serve(struct ui *ui, const char *listen)
{
	const struct ch_ui_store store = {.get = get, .begin = begin, .arg = ui};
	const struct ch_ui_server_options options = {.listen = listen, .store = &store};
	struct ch_ui_server *server = NULL;
	const struct ch_ui_app *app;
	struct ch_err err = {0};
	sigset_t stop;
	int sig = 0;

	block_signals(&stop);
	json_object_seed(0);
	if (ch_ui_server_start(&options, &server, &err))
		return ch_client_fail(&ui->client, NULL, &err);
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
	struct ui ui = {.give_up_ms = 0};
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
	ui.client.canceled = is_canceled;
	ui.client.canceled_arg = &ui;
	code = ch_client_begin(&ui.client, &opts, argc, argv, &n_args);
	if (code < 0)
		code = serve(&ui, listen);
	ch_client_done(&ui.client);
	return code;
}
