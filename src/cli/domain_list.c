#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/domain.h"
#include "cli/table.h"
#include "cli/text.h"

#define PAGE 1000
#define REASON_B 80
/* Parts without a name, one after the other: a store looks at 10,000 names for each, and has no
 * ten million. */
#define EMPTY_MAX 1000

enum filter { STATE, TENANT, POOL, ACTOR, PREFIX, FILTERS };

/* Whether the list gets on: cursors are the store's own affair, so one that has been there
 * before is looked for as Brent's algorithm finds circles. */
struct course {
	struct ch_buf mark;
	uint64_t since_mark;
	uint64_t next_mark;
	uint64_t empty;
};

struct list {
	struct ch_client client;
	const char *filters[FILTERS]; /* in the order of filter_keys */
	char prefix[CH_NAME_PREFIX_B];
	const char *limit;
	bool all;
	uint64_t left;
	uint64_t printed;
	struct ch_table table;
};

static const char *const filter_keys[FILTERS] = {"state", "tenant", "pool", "actor", "prefix"};

static int make_path(const struct list *list, const char *cursor, struct ch_buf *path)
{
	ch_buf_addf(path, "/v1/domains?limit=%d", list->left < PAGE ? (int)list->left : PAGE);
	for (size_t i = 0; i < CH_ARRAY_LEN(filter_keys); i++) {
		if (!list->filters[i])
			continue;
		ch_buf_addf(path, "&%s=", filter_keys[i]);
		ch_url_encode(path, list->filters[i]);
	}
	if (*cursor) {
		ch_buf_add_str(path, "&cursor=");
		ch_url_encode(path, cursor);
	}
	return path->rc;
}

/* The whole of it is for `domain show`: a CA's own words can fill a screen. */
static void add_reason(struct list *list, const char *code, const char *detail)
{
	int len = (int)strnlen(detail, REASON_B);

	if (len == REASON_B)
		while (len > 0 &&
			(detail[len] & 0xc0) == 0x80) /* in the middle of a character */
			len--;
	ch_table_addf(&list->table, "%s: %.*s%s", code, len, detail,
		len && detail[len] ? " ..." : "");
}

static void add_row(struct list *list, const json_t *domain)
{
	const json_t *cert = json_object_get(domain, "certificate");
	const json_t *reason = json_object_get(domain, "reason");
	const char *code = ch_json_str(reason, "code");
	int64_t next_ms;
	char when[64];

	ch_table_add(&list->table, ch_json_display(domain));
	ch_table_add(&list->table, ch_json_str(domain, "state"));
	ch_table_add(&list->table,
		ch_answer_next(domain, &next_ms) ? ch_when_str(next_ms, when) : "in line");
	ch_table_add(&list->table, ch_when_str(ch_json_time(cert, "not_after"), when));
	ch_table_add(&list->table, ch_json_str(domain, "tenant"));
	ch_table_add(&list->table, ch_json_str(reason, "actor"));
	if (strcmp(code, "ok") == 0)
		ch_table_add(&list->table, NULL);
	else
		add_reason(list, code, ch_json_str(reason, "detail"));
}

/* JSON goes out domain by domain: a million of them are never held at once. */
static void print_page(struct list *list, const json_t *domains)
{
	const json_t *domain;
	size_t i;

	json_array_foreach(domains, i, domain)
	{
		if (list->client.json) {
			fputs(list->printed ? ",\n" : "{\"domains\": [\n", stdout);
			json_dumpf(domain, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		} else {
			add_row(list, domain);
		}
		list->printed++;
	}
	if (!list->client.json)
		ch_table_print(&list->table, stdout);
}

static bool gets_on(struct course *course, const char *next, size_t n_names)
{
	course->empty = n_names ? 0 : course->empty + 1;
	if (strcmp(next, ch_buf_str(&course->mark)) == 0 || course->empty > EMPTY_MAX)
		return false;
	if (course->since_mark++ == course->next_mark) {
		course->since_mark = 0;
		course->next_mark = 2 * course->next_mark + 1;
		ch_buf_reset(&course->mark);
		return ch_buf_add_str(&course->mark, next) == CH_OK;
	}
	return true;
}

static int fail_course(struct ch_err *err)
{
	return ch_err_set(err, CH_EPROTO, "list-endless",
		"the store's list does not get on: it names a next part again and again");
}

/* The names that are out already cannot be taken back: whoever reads them finds, in what comes
 * last, that they are not all.  Before the first there is nothing to end. */
static int fail(const struct list *list, const struct ch_err *err)
{
	CH_AUTO_JSON json_t *error = NULL;

	/* It is told by all commands alike (output.h). */
	if (ferror(stdout))
		return CH_EXIT_FAILED;
	if (list->client.json && list->printed) {
		error = json_pack("{s:s, s:s}", "code", err->problem, "detail", err->detail);
		/* What is no UTF-8 is on standard error. */
		if (!error)
			error = json_pack("{s:s, s:s}", "code", "error", "detail",
				"what is wrong is on standard error");
		fputs("\n], \"more\": true, \"error\": ", stdout);
		json_dumpf(error, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputs("}\n", stdout);
		fflush(stdout);
	}
	return ch_client_fail(&list->client, NULL, err);
}

static int print_pages(
	struct list *list, struct course *course, bool *ret_more, struct ch_err *err)
{
	CH_AUTO_BUF struct ch_buf cursor;
	bool more = true;

	ch_buf_init(&cursor, 4096);
	while (more && list->left) {
		CH_AUTO_JSON json_t *answer = NULL;
		CH_AUTO_BUF struct ch_buf path;
		const json_t *domains;
		const char *next;
		int rc;

		ch_buf_init(&path, 8192);
		if (make_path(list, ch_buf_str(&cursor), &path))
			return ch_err_set(err, CH_EINVAL, "bad-query", "a filter is too long");
		rc = ch_client_call(
			&list->client, "GET", ch_buf_str(&path), NULL, &answer, err);
		if (rc)
			return rc;
		domains = json_object_get(answer, "domains");
		next = ch_json_str(answer, "next_cursor");
		/* A part of the list in which no name fits the filters ends nothing. */
		more = *next;
		if (more && !gets_on(course, next, json_array_size(domains)))
			return fail_course(err);
		list->left -= json_array_size(domains) < list->left ? json_array_size(domains)
								    : list->left;
		print_page(list, domains);
		if (ferror(stdout))
			return ch_err_set(err, CH_EIO, "stdout", "cannot write the list");
		ch_buf_reset(&cursor);
		ch_buf_add_str(&cursor, next);
	}
	*ret_more = more;
	return CH_OK;
}

static int run(struct list *list)
{
	static const char *const heads[] = {
		"NAME", "STATE", "NEXT", "EXPIRES", "TENANT", "MUST ACT", "REASON"};
	struct course course = {.since_mark = 0};
	struct ch_err err;
	bool more = false;
	int rc;

	ch_table_init(&list->table, heads, CH_ARRAY_LEN(heads));
	ch_buf_init(&course.mark, 4096);
	rc = print_pages(list, &course, &more, &err);
	ch_buf_done(&course.mark);
	ch_table_done(&list->table);
	if (rc)
		return fail(list, &err);
	if (list->client.json)
		printf("%s], \"more\": %s}\n", list->printed ? "\n" : "{\"domains\": [",
			more ? "true" : "false");
	else if (more)
		fprintf(stderr, "There are more: --limit N or --all shows them.\n");
	return CH_EXIT_OK;
}

static int read_limit(struct list *list)
{
	const char *limit = list->limit ? list->limit : "100";
	char *end;

	if (list->all && list->limit) {
		fprintf(stderr, "certherd domain list: --limit or --all, not both\n");
		return CH_EXIT_USAGE;
	}
	list->left = list->all ? UINT64_MAX : strtoull(limit, &end, 10);
	if (!list->all && (*limit < '1' || *limit > '9' || *end)) {
		fprintf(stderr, "certherd domain list: --limit takes a number from 1\n");
		return CH_EXIT_USAGE;
	}
	return CH_EXIT_OK;
}

static int read_prefix(struct list *list)
{
	const char *given = list->filters[PREFIX];
	struct ch_err err;

	if (!given)
		return CH_EXIT_OK;
	if (ch_name_prefix(given, list->prefix, &err))
		return ch_client_fail(
			&list->client, strcmp(err.problem, "prefix") == 0 ? NULL : given, &err);
	list->filters[PREFIX] = list->prefix;
	return CH_EXIT_OK;
}

int ch_domain_list_main(int argc, char **argv)
{
	struct list l = {.all = false};
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const struct ch_opt list[] = {
		{"state", "STATE",
			"pending, validating, issuing, active, renewing, failed, moved, paused",
			NULL, &l.filters[STATE]},
		{"tenant", "TEXT", "names of one tenant", NULL, &l.filters[TENANT]},
		{"pool", "TEXT", "names of one pool", NULL, &l.filters[POOL]},
		{"actor", "WHO", "who must act: nobody, customer, platform, operator, ca", NULL,
			&l.filters[ACTOR]},
		{"prefix", "TEXT",
			"names that begin so, in their ASCII form (xn--...), or by whole "
			"labels",
			NULL, &l.filters[PREFIX]},
		{"limit", "N", "how many at most (default: 100)", NULL, &l.limit},
		{"all", NULL, "all of them", &l.all, NULL}, CH_OPT_JSON(&client),
		CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "domain list",
		.usage = "[filters] [--limit N | --all] [--json]",
		.help = "Lists names in order, with the beginning of each reason; `domain "
			"show` has all of it.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	l.client = client;
	code = read_limit(&l);
	if (code == CH_EXIT_OK)
		code = read_prefix(&l);
	return code ? code : run(&l);
}
