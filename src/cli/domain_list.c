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

struct list {
	struct ch_client client;
	const char *filters[5]; /* in the order of filter_keys */
	const char *limit;
	bool all;
	uint64_t left;
	uint64_t printed;
	struct ch_table table;
};

static const char *const filter_keys[] = {"state", "tenant", "pool", "actor", "prefix"};

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
	char when[64];

	ch_table_add(&list->table, ch_json_display(domain));
	ch_table_add(&list->table, ch_json_str(domain, "state"));
	ch_table_add(&list->table, ch_when_str(ch_json_time(domain, "next_at"), when));
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

static int print_pages(struct list *list, bool *ret_more)
{
	CH_AUTO_BUF struct ch_buf cursor;
	bool more = true;

	ch_buf_init(&cursor, 4096);
	while (more && list->left) {
		CH_AUTO_JSON json_t *answer = NULL;
		CH_AUTO_BUF struct ch_buf path;
		const json_t *domains;
		const char *next;
		struct ch_err err;

		ch_buf_init(&path, 8192);
		if (make_path(list, ch_buf_str(&cursor), &path)) {
			fprintf(stderr, "certherd domain list: a filter is too long\n");
			return CH_EXIT_USAGE;
		}
		if (ch_client_call(
			    &list->client, "GET", ch_buf_str(&path), NULL, &answer, &err))
			return ch_client_fail(&list->client, NULL, &err);
		domains = json_object_get(answer, "domains");
		next = ch_json_str(answer, "next_cursor");
		/* A part of the list in which no name fits the filters ends nothing. */
		more = *next && strcmp(next, ch_buf_str(&cursor)) != 0;
		list->left -= json_array_size(domains) < list->left ? json_array_size(domains)
								    : list->left;
		print_page(list, domains);
		if (ferror(stdout))
			return CH_EXIT_FAILED;
		ch_buf_reset(&cursor);
		ch_buf_add_str(&cursor, next);
	}
	*ret_more = more;
	return CH_EXIT_OK;
}

static int run(struct list *list)
{
	static const char *const heads[] = {
		"NAME", "STATE", "NEXT", "EXPIRES", "TENANT", "MUST ACT", "REASON"};
	bool more = false;
	char *end;
	int code;

	list->left = list->all ? UINT64_MAX : strtoull(list->limit, &end, 10);
	if (!list->all && (*list->limit < '1' || *list->limit > '9' || *end)) {
		fprintf(stderr, "certherd domain list: --limit takes a number from 1\n");
		return CH_EXIT_USAGE;
	}
	ch_table_init(&list->table, heads, CH_ARRAY_LEN(heads));
	code = print_pages(list, &more);
	ch_table_done(&list->table);
	if (code)
		return code;
	if (list->client.json)
		printf("%s], \"more\": %s}\n", list->printed ? "\n" : "{\"domains\": [",
			more ? "true" : "false");
	else if (more)
		fprintf(stderr, "There are more: --limit N or --all shows them.\n");
	return CH_EXIT_OK;
}

int ch_domain_list_main(int argc, char **argv)
{
	struct list l = {.limit = "100"};
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const struct ch_opt list[] = {
		{"state", "STATE",
			"pending, validating, issuing, active, renewing, failed, moved, paused",
			NULL, &l.filters[0]},
		{"tenant", "TEXT", "names of one tenant", NULL, &l.filters[1]},
		{"pool", "TEXT", "names of one pool", NULL, &l.filters[2]},
		{"actor", "WHO", "who must act: nobody, customer, platform, operator, ca", NULL,
			&l.filters[3]},
		{"prefix", "TEXT", "names that begin so, in their ASCII form (xn--...)", NULL,
			&l.filters[4]},
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
	return run(&l);
}
