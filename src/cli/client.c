#include "cli/client.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/text.h"

#define SECTION "cli"
#define PATH_MAX_B 2048

int ch_client_another(struct ch_client *client, int (*canceled)(void *arg), void *canceled_arg,
	struct ch_api **ret_api, struct ch_err *err)
{
	struct ch_api_options options;
	int rc = ch_api_options_from_conf(client->conf, SECTION, "operator", &options);

	if (rc == CH_OK || rc == CH_EINVAL)
		rc = ch_conf_finish(client->conf, SECTION, err);
	options.http.canceled = canceled;
	options.http.canceled_arg = canceled_arg;
	return rc ? rc : ch_api_new(&options, ret_api, err);
}

static int open_client(struct ch_client *client, struct ch_err *err)
{
	int rc = ch_conf_load(ch_opts_config(client->config), &client->conf, err);

	/* Without a configuration nothing can be asked: that is bad input, not a bad store. */
	if (rc) {
		(void)ch_client_fail(client, NULL, err);
		return CH_EXIT_USAGE;
	}
	rc = ch_client_another(
		client, client->canceled, client->canceled_arg, &client->api, err);
	return rc ? ch_client_fail(client, NULL, err) : -1;
}

int ch_client_begin(struct ch_client *client, const struct ch_opts *opts, int argc, char **argv,
	size_t *ret_n_args)
{
	struct ch_err err;
	int rc = ch_opts_parse(opts, argc, argv, ret_n_args);

	if (rc)
		return rc == CH_ECANCELED ? CH_EXIT_OK : CH_EXIT_USAGE;
	client->command = opts->command;
	return open_client(client, &err);
}

void ch_client_done(struct ch_client *client)
{
	ch_api_free(client->api);
	ch_conf_free(client->conf);
	client->api = NULL;
	client->conf = NULL;
}

int ch_client_call(struct ch_client *client, const char *method, const char *path, json_t *body,
	json_t **ret_answer, struct ch_err *err)
{
	struct ch_api_call call = {.method = method, .path = path, .body = body};
	int rc = ch_api_call(client->api, &call, err);

	if (rc)
		return rc;
	*ret_answer = call.answer;
	return CH_OK;
}

int ch_client_call_name(struct ch_client *client, const char *method, const char *path_before,
	const char *name, const char *path_after, json_t *body, json_t **ret_answer,
	int *ret_status, struct ch_err *err)
{
	/* Whether a wildcard is allowed is for the store to say. */
	const struct ch_name_rules rules = {.allow_wildcard = true};
	CH_AUTO_BUF struct ch_buf path = {.max_b = PATH_MAX_B};
	struct ch_api_call call = {.method = method, .body = body};
	char normal[CH_NAME_TEXT_B];
	int rc = ch_name_normalize(name, strlen(name), &rules, normal, err);

	if (rc)
		return rc;
	ch_buf_add_str(&path, path_before);
	ch_url_encode(&path, normal);
	if (ch_buf_add_str(&path, path_after))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	call.path = ch_buf_str(&path);
	rc = ch_api_call(client->api, &call, err);
	if (rc)
		return rc;
	*ret_answer = call.answer;
	if (ret_status)
		*ret_status = call.status;
	return CH_OK;
}

static int exit_code(int rc)
{
	switch (rc) {
	case CH_EINVAL:
	case CH_ETOOBIG:
		return CH_EXIT_USAGE;
	case CH_EAUTH:
	case CH_ENETWORK:
	case CH_ETIMEOUT:
	case CH_EAGAIN:
	case CH_EPROTO:
		return CH_EXIT_STORE;
	}
	return CH_EXIT_FAILED;
}

/* It is no news only where the sentence begins with it. */
static bool names(const char *detail, const char *subject)
{
	const char *at = strstr(detail, subject);

	return at && (size_t)(at - detail) < strcspn(detail, ":,;");
}

int ch_client_fail(
	const struct ch_client *client, const char *subject, const struct ch_err *err)
{
	const char *what_next = ch_answer_advice(err);

	fprintf(stderr, "certherd %s: ", client->command);
	if (subject && !names(err->detail, subject)) {
		ch_text_print(stderr, subject);
		fputs(": ", stderr);
	}
	if (exit_code(err->rc) == CH_EXIT_STORE && strncmp(err->problem, "http-", 5) == 0)
		fputs("cannot reach the store: ", stderr);
	ch_text_print(stderr, err->detail);
	fputs(" (", stderr);
	ch_text_print(stderr, err->problem);
	fputs(")\n", stderr);
	if (what_next)
		fprintf(stderr, "%s\n", what_next);
	return exit_code(err->rc);
}

void ch_json_print(const json_t *value)
{
	/* ASCII only: no character of a stranger's can steer the terminal. */
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
}

const char *ch_json_display(const json_t *domain)
{
	const char *display = ch_json_str(domain, "display");

	return *display && ch_text_is_utf8() ? display : ch_json_str(domain, "name");
}
