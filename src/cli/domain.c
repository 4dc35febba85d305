#include "cli/domain.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"
#include "cli/verbs.h"

/* What one name of the command line needs. */
struct action {
	const char *method;
	const char *path_after;
	const char *done; /* "removed" */
};

/* Goes through all names; the exit code is the worst of them, or 3 when some succeeded. */
static int act_on_each(
	struct ch_client *client, const struct action *action, char **names, size_t n)
{
	CH_AUTO_JSON json_t *results = json_array();
	size_t failed = 0;
	int worst = CH_EXIT_OK;

	for (size_t i = 0; i < n; i++) {
		CH_AUTO_JSON json_t *answer = NULL;
		struct ch_err err;

		if (ch_client_call_name(client, action->method, "/v1/domains/", names[i],
			    action->path_after, NULL, &answer, NULL, &err)) {
			int code = ch_client_fail(client, names[i], &err);

			failed++;
			worst = code > worst ? code : worst;
			if (code == CH_EXIT_STORE)
				return code;
		} else if (client->json) {
			json_array_append_new(
				results, answer ? json_incref(answer)
						: json_pack("{s:s?}", "name", names[i]));
		} else {
			ch_text_print(stdout, names[i]);
			printf(": %s\n", action->done);
		}
	}
	if (client->json)
		ch_json_print(results);
	return failed && failed < n ? CH_EXIT_PARTLY : worst;
}

static int action_main(int argc, char **argv, const char *command, const char *help,
	const struct action *action)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const struct ch_opt list[] = {CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = command,
		.usage = "NAME... [--json]",
		.help = help,
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = CH_DOMAIN_ARGS_MAX};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	return code >= 0 ? code : act_on_each(&client, action, argv + 1, n_args);
}

int ch_domain_rm_main(int argc, char **argv)
{
	static const struct action action = {"DELETE", "", "removed"};

	return action_main(argc, argv, "domain rm",
		"Removes names: the edges refuse them from the next handshake on.", &action);
}

int ch_domain_retry_main(int argc, char **argv)
{
	static const struct action action = {"POST", "/retry", "the next try is now"};

	return action_main(argc, argv, "domain retry",
		"Tries names again now, for instance after a customer has mended the DNS.\nA "
		"name that is active gets a new certificate.",
		&action);
}

int ch_domain_pause_main(int argc, char **argv)
{
	static const struct action action = {"POST", "/pause", "paused"};

	return action_main(argc, argv, "domain pause",
		"Stops all attempts for names; a certificate that is live stays served.",
		&action);
}

int ch_domain_resume_main(int argc, char **argv)
{
	static const struct action action = {"POST", "/resume", "resumed"};

	return action_main(argc, argv, "domain resume", "Goes on with paused names.", &action);
}

int ch_domain_main(int argc, char **argv)
{
	static const struct ch_verb verbs[] = {
		{"add", "NAME...", "registers names and gets them certificates",
			ch_domain_add_main},
		{"show", "NAME", "everything about a name, and what happened to it",
			ch_domain_show_main},
		{"list", "", "names, by state, tenant, pool, prefix", ch_domain_list_main},
		{"rm", "NAME...", "removes names", ch_domain_rm_main},
		{"retry", "NAME...", "tries failed names again now, renews active ones",
			ch_domain_retry_main},
		{"pause", "NAME...", "stops all attempts for names", ch_domain_pause_main},
		{"resume", "NAME...", "goes on with paused names", ch_domain_resume_main},
		{"import", "FILE", "registers the names of a list or CSV file",
			ch_domain_import_main},
	};

	return ch_verbs_main("domain", "The names that are to be served over HTTPS.", verbs,
		CH_ARRAY_LEN(verbs), argc, argv);
}
