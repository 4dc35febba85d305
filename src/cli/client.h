/* What every command that talks to the store shares. */
#ifndef CH_CLI_CLIENT_H
#define CH_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/conf.h"
#include "base/opts.h"
#include "net/answer.h"
#include "net/api.h"
#include "wire/name.h"

/* Exit codes; see doc/cli.md. */
enum ch_exit {
	CH_EXIT_OK = 0,
	CH_EXIT_FAILED = 1,
	CH_EXIT_USAGE = 2,
	CH_EXIT_PARTLY = 3,
	CH_EXIT_STORE = 4, /* cannot be reached, or refuses us */
};

struct ch_client {
	const char *command; /* for messages: "domain add" */
	const char *config;  /* --config */
	bool json;	     /* --json */
	/* As in struct ch_http_options; NULL: a call ends when it ends. */
	int (*canceled)(void *arg);
	void *canceled_arg;
	struct ch_conf *conf;
	struct ch_api *api;
};

#define CH_OPT_JSON(client)                                                                    \
	{                                                                                      \
		"json", NULL, "prints JSON for programs", &(client)->json, NULL                \
	}

/* Parses the options, then opens the client when there is something to do.  Returns -1 to go
 * on, else the exit code. */
int ch_client_begin(struct ch_client *client, const struct ch_opts *opts, int argc, char **argv,
	size_t *ret_n_args);
void ch_client_done(struct ch_client *client);
/* One more, for another thread; the caller frees it.  canceled: as in struct ch_client. */
CH_MUST int ch_client_another(struct ch_client *client, int (*canceled)(void *arg),
	void *canceled_arg, struct ch_api **ret_api, struct ch_err *err);

/* One call; the answer is owned by the caller (NULL when there is none). */
CH_MUST int ch_client_call(struct ch_client *client, const char *method, const char *path,
	json_t *body, json_t **ret_answer, struct ch_err *err);
/* The same for "<path_before>NAME<path_after>", the name normalized first: one that cannot be
 * a name is CH_EINVAL without asking the store.  status may be NULL. */
CH_MUST int ch_client_call_name(struct ch_client *client, const char *method,
	const char *path_before, const char *name, const char *path_after, json_t *body,
	json_t **ret_answer, int *ret_status, struct ch_err *err);
/* Says on stderr what went wrong and what to do about it; returns the exit code.  subject: a
 * name, or NULL. */
int ch_client_fail(
	const struct ch_client *client, const char *subject, const struct ch_err *err);

void ch_json_print(const json_t *value);
/* The domain's name as people read it. */
const char *ch_json_display(const json_t *domain);

static inline void ch_json_decref_p(json_t **json)
{
	json_decref(*json);
}
#define CH_AUTO_JSON __attribute__((cleanup(ch_json_decref_p)))

#endif
