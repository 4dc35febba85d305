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

/* One that no pool can be called is not asked for: the store would say that there is none. */
static int check_pool(const char *pool, struct ch_err *err)
{
	size_t len = strlen(pool);

	if (len < 1 || len > CH_STORE_LABEL_MAX ||
		strspn(pool, "abcdefghijklmnopqrstuvwxyz0123456789._-") != len)
		return ch_err_set(err, CH_EINVAL, "bad-field",
			"--pool takes 1 to %d of a-z, 0-9, '.', '_' and '-'",
			CH_STORE_LABEL_MAX);
	return CH_OK;
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
	int rc = check_pool(pool, &err);

	ch_buf_add_str(&path, "/v1/pools/");
	ch_url_encode(&path, pool);
	ch_buf_addf(&path, "/%s", what);
	if (!rc && path.rc)
		rc = ch_err_set(&err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (!rc)
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
		{"soak", "SPAN",
			"how long EDGE serves a change before the others get it, such as 10m; "
			"at most 7d",
			NULL, &canary.soak},
		{"release", NULL,
			"let what waits now through to all edges; later changes wait again",
			&canary.release, NULL},
		{"off", NULL, "end it: no edge is the canary, and all get every change at once",
			&canary.off, NULL},
		OPT_POOL(&pool), CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "feed canary",
		.usage = "EDGE --soak SPAN | --release | --off  [--pool POOL] [--json]",
		.help = "Tries changes on one edge before all others. From now on each new "
			"certificate and\n"
			"policy of the pool goes to EDGE, its canary, first; the other edges "
			"get it when EDGE\n"
			"has served it for SPAN and reported no trouble. In trouble, or "
			"silent, it lets nothing\n"
			"through: `certherd feed show` says what waits, and why. Names that "
			"are added or removed\n"
			"do not wait. EDGE is the id of one of the pool's edges without what "
			"stands before it in\n"
			"`certherd status`: e1 for edge/default/e1.\n"
			"  certherd feed canary e1 --soak 10m    begin, or change the edge or "
			"the time\n"
			"  certherd feed canary --release        do not wait this once\n"
			"  certherd feed canary --off            end it",
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
