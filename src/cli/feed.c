/* What edges get: freeze, thaw, canary. */
#include "cli/feed.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/verbs.h"
#include "store/store.h"

#define PATH_MAX_B 2048

#define OPT_POOL(to)                                                                           \
	{                                                                                      \
		"pool", "POOL", "whose edges (default: default)", NULL, to                     \
	}

/* "<method> /v1/pools/<pool>/<what>", then prints what the pool's rules now are.  Takes the
 * body over. */
static int change(struct ch_client *client, const char *method, const char *pool,
	const char *what, json_t *body)
{
	CH_AUTO_BUF struct ch_buf path = {.max_b = PATH_MAX_B};
	CH_AUTO_JSON json_t *given = body;
	CH_AUTO_JSON json_t *answer = NULL;
	struct ch_err err = {0};
	int rc;

	ch_buf_add_str(&path, "/v1/pools/");
	ch_url_encode(&path, pool);
	ch_buf_addf(&path, "/%s", what);
	if (path.rc)
		rc = ch_err_set(&err, CH_EINVAL, "bad-field",
			"the pool's name is too long: 1 to %d characters", CH_STORE_LABEL_MAX);
	else
		rc = ch_client_call(client, method, ch_buf_str(&path), given, &answer, &err);
	if (rc)
		return ch_client_fail(client, NULL, &err);
	if (client->json)
		ch_json_print(answer);
	else
		ch_feed_print_pool(answer);
	return CH_EXIT_OK;
}

static int freeze_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const char *pool = CH_STORE_LABEL_DEFAULT;
	const char *reason = NULL;
	const struct ch_opt list[] = {
		{"reason", "TEXT", "why, for whoever finds it frozen; must be given", NULL,
			&reason},
		OPT_POOL(&pool), CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "feed freeze",
		.usage = "--reason TEXT [--pool POOL] [--json]",
		.help = "Gives the edges of a pool no changes until `certherd feed thaw`: they "
			"serve on what\n"
			"they have. A pool that is frozen already stays so as it was.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (!reason) {
		fprintf(stderr, "certherd feed freeze: say why: --reason TEXT\n");
		return CH_EXIT_USAGE;
	}
	return change(&client, "POST", pool, "freeze", json_pack("{s:s}", "reason", reason));
}

static int thaw_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const char *pool = CH_STORE_LABEL_DEFAULT;
	const struct ch_opt list[] = {
		OPT_POOL(&pool), CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "feed thaw",
		.usage = "[--pool POOL] [--json]",
		.help = "Ends the freeze of a pool: its edges get what has changed meanwhile.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	return code >= 0 ? code : change(&client, "POST", pool, "thaw", NULL);
}

struct canary {
	const char *edge; /* NULL: none given */
	const char *soak;
	bool off;
	bool release;
};

static int usage(const char *text)
{
	fprintf(stderr, "certherd feed canary: %s\nMore: certherd feed canary --help\n", text);
	return CH_EXIT_USAGE;
}

static int run_canary(struct ch_client *client, const char *pool, const struct canary *canary)
{
	int64_t soak_ms = 0;

	if ((canary->edge != NULL) + canary->off + canary->release != 1)
		return usage("give an edge with --soak, or --release, or --off");
	if (!canary->edge != !canary->soak)
		return usage("--soak goes with an edge, and an edge with --soak");
	if (canary->soak && ch_duration_parse(canary->soak, &soak_ms))
		return usage("--soak takes a span such as 30s or 10m");
	if (soak_ms > CH_STORE_SOAK_MAX_MS)
		return usage("--soak is 7d at most");
	if (canary->release)
		return change(client, "POST", pool, "release", NULL);
	if (canary->off)
		return change(client, "DELETE", pool, "canary", NULL);
	return change(client, "PUT", pool, "canary",
		json_pack("{s:s, s:I}", "edge", canary->edge, "soak_ms", (json_int_t)soak_ms));
}

static int canary_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const char *pool = CH_STORE_LABEL_DEFAULT;
	struct canary canary = {.edge = NULL};
	const struct ch_opt list[] = {
		{"soak", "SPAN", "how long it alone has a change, such as 10m; at most 7d",
			NULL, &canary.soak},
		{"release", NULL, "all that waits goes to all edges now", &canary.release,
			NULL},
		{"off", NULL, "no canary any more: all edges get changes at once", &canary.off,
			NULL},
		OPT_POOL(&pool), CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "feed canary",
		.usage = "EDGE --soak SPAN | --release | --off  [--pool POOL] [--json]",
		.help = "Has certificates and policies go to one edge of a pool first, and to "
			"the others when\n"
			"it has had them for a while without trouble. EDGE is the id of an "
			"edge, such as e1.\n"
			"Names that are new or removed do not wait.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_max = 1};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (n_args)
		canary.edge = argv[1];
	return run_canary(&client, pool, &canary);
}

int ch_feed_main(int argc, char **argv)
{
	static const struct ch_verb verbs[] = {
		{"show", "", "whether edges get changes, and what waits", ch_feed_show_main},
		{"freeze", "--reason TEXT", "edges get no changes", freeze_main},
		{"thaw", "", "they do again", thaw_main},
		{"canary", "EDGE --soak SPAN", "one edge gets changes first", canary_main},
	};

	return ch_verbs_main(
		"feed", "What edges get, and when.", verbs, CH_ARRAY_LEN(verbs), argc, argv);
}
