#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/domain.h"
#include "cli/import_progress.h"
#include "cli/import_read.h"
#include "cli/import_seen.h"
#include "cli/pools.h"
#include "cli/text.h"

#define BATCH 1000
#define TRIES 6
#define CALL_TIMEOUT_MS 120000
/* Pools that are remembered. */
#define POOLS_MAX 1000

struct import {
	struct ch_client client;
	bool www;
	const char *tenant;
	const char *pool;
	struct ch_import_reader reader;
	struct ch_import_progress progress;
	struct ch_import_seen seen;
	/* The batch that is being filled: its lines, and the items of those that are sent. */
	struct {
		uint64_t line;
		char *given;   /* owned */
		bool is_wrong; /* rejected here, for this reason: */
		char code[64];
		char detail[256];
	} lines[BATCH];
	size_t n;
	json_t *items;
	json_t *pools;	 /* an object: those that names which were taken were given */
	bool answered;	 /* the store has taken a batch */
	bool no_changes; /* … and is one of before that does not say what has changed */
};

static void reject(struct import *im, uint64_t line, const char *given, const char *code,
	const char *detail)
{
	ch_import_progress_clear(&im->progress);
	im->progress.rejected++;
	if (im->client.json) {
		CH_AUTO_JSON json_t *row = json_pack("{s:I, s:s?, s:s, s:s}", "line",
			(json_int_t)line, "text", given, "code", code, "detail", detail);

		/* A line that is not UTF-8 cannot be a JSON string. */
		if (!row)
			row = json_pack("{s:I, s:n, s:s, s:s}", "line", (json_int_t)line,
				"text", "code", code, "detail", detail);
		json_dumpf(row, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
		return;
	}
	printf("line %" PRIu64 ": \"", line);
	ch_text_print(stdout, given);
	fputs("\" rejected: ", stdout);
	ch_text_print(stdout, detail);
	fputs(" (", stdout);
	ch_text_print(stdout, code);
	fputs(")\n", stdout);
}

static void forget_batch(struct import *im)
{
	for (size_t i = 0; i < im->n; i++)
		free(im->lines[i].given);
	im->n = 0;
	json_array_clear(im->items);
}

static void take_one(struct import *im, const json_t *item, const json_t *result)
{
	const json_t *changed = json_object_get(result, "changed");
	const char *pool = json_string_value(json_object_get(item, "pool"));

	if (strcmp(ch_json_str(result, "status"), "created") == 0) {
		im->progress.created++;
	} else {
		im->progress.existing++;
		im->progress.changed += json_is_true(changed);
		im->no_changes |= !json_is_boolean(changed);
	}
	if (pool && json_object_size(im->pools) < POOLS_MAX)
		(void)json_object_set_new(im->pools, pool, json_true());
}

/* The word on each line of the batch, in the order of the lines. */
static int take_results(struct import *im, const json_t *answer, struct ch_err *err)
{
	const json_t *results = json_object_get(answer, "results");
	size_t at = 0;

	if (json_array_size(results) != json_array_size(im->items))
		return ch_err_set(err, CH_EPROTO, "batch-answer",
			"the store answered for another number of names than were sent");
	for (size_t i = 0; i < im->n; i++) {
		const json_t *item;
		const json_t *result;
		const char *status;

		if (im->lines[i].is_wrong) {
			reject(im, im->lines[i].line, im->lines[i].given, im->lines[i].code,
				im->lines[i].detail);
			continue;
		}
		item = json_array_get(im->items, at);
		result = json_array_get(results, at++);
		status = ch_json_str(result, "status");
		if (strcmp(status, "created") == 0 || strcmp(status, "exists") == 0) {
			take_one(im, item, result);
			continue;
		}
		ch_import_seen_refused(&im->seen, item, im->lines[i].line);
		reject(im, im->lines[i].line, im->lines[i].given, ch_json_str(result, "code"),
			ch_json_str(result, "detail"));
	}
	return CH_OK;
}

static bool may_pass(int rc)
{
	return rc == CH_ENETWORK || rc == CH_ETIMEOUT || rc == CH_EAGAIN;
}

/* A long import outlives a restart of the store: sending a batch again does no harm. */
static int send_patiently(
	struct import *im, json_t *body, json_t **ret_answer, struct ch_err *err)
{
	int64_t wait_ms = 500;

	for (int i = 1;; i++) {
		struct ch_api_call call = {.method = "POST",
			.path = "/v1/domains",
			.body = body,
			.timeout_ms = CALL_TIMEOUT_MS};
		int rc = ch_api_call(im->client.api, &call, err);

		if (rc == CH_OK) {
			*ret_answer = call.answer;
			return CH_OK;
		}
		if (i == TRIES || !may_pass(rc) || (rc != CH_EAGAIN && !im->answered))
			return rc;
		usleep((useconds_t)wait_ms * 1000);
		wait_ms *= 2;
	}
}

static int send_batch(struct import *im, struct ch_err *err)
{
	CH_AUTO_JSON json_t *body = json_pack("{s:O}", "domains", im->items);
	CH_AUTO_JSON json_t *answer = NULL;
	int rc = CH_OK;

	if (!body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (json_array_size(im->items)) {
		rc = send_patiently(im, body, &answer, err);
		im->answered |= rc == CH_OK;
	}
	if (rc == CH_OK)
		rc = take_results(im, answer, err);
	if (rc)
		return rc;
	forget_batch(im);
	ch_import_progress_show(&im->progress, im->reader.line, im->reader.read_b);
	return CH_OK;
}

static json_t *make_item(const struct import *im, const struct ch_import_row *row)
{
	struct ch_domain_settings settings = row->settings;
	int www = row->www >= 0 ? row->www : im->www ? 1 : -1;
	json_t *item = json_pack("{s:s}", "name", row->name);

	if (item && www >= 0)
		json_object_set_new(item, "www", json_boolean(www));
	if (!settings.tenant)
		settings.tenant = im->tenant;
	if (!settings.pool)
		settings.pool = im->pool;
	if (ch_domain_settings_put(&settings, item)) {
		json_decref(item);
		return NULL;
	}
	return item;
}

/* A line of the batch; wrong: why it is not sent, or NULL with an item, which is taken. */
static int add_line(
	struct import *im, json_t *item, const struct ch_err *wrong, struct ch_err *err)
{
	size_t i = im->n;

	im->lines[i].line = im->reader.line;
	im->lines[i].is_wrong = wrong != NULL;
	if (wrong) {
		snprintf(im->lines[i].code, sizeof(im->lines[i].code), "%s", wrong->problem);
		snprintf(im->lines[i].detail, sizeof(im->lines[i].detail), "%.255s",
			wrong->detail);
	}
	if (item && json_array_append_new(im->items, item))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	im->lines[i].given = strdup(im->reader.given);
	if (!im->lines[i].given)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	return ++im->n == BATCH ? send_batch(im, err) : CH_OK;
}

static int look_for_twin(
	struct import *im, const json_t *item, uint64_t *ret_before, struct ch_err *err)
{
	int rc = ch_import_seen_add(&im->seen, item, im->reader.line, ret_before);

	if (rc == CH_ECONFLICT)
		return CH_OK;
	*ret_before = 0;
	return rc ? ch_err_set(err, rc, "out-of-memory", "out of memory") : CH_OK;
}

/* Only a line that the store took counts: of one that it has not seen yet it is asked first.
 * *ret_before: where the name stands with other settings; 0: nowhere. */
static int find_twin(
	struct import *im, const json_t *item, uint64_t *ret_before, struct ch_err *err)
{
	int rc = look_for_twin(im, item, ret_before, err);

	if (rc || !*ret_before || !im->n || *ret_before < im->lines[0].line)
		return rc;
	rc = send_batch(im, err);
	return rc ? rc : look_for_twin(im, item, ret_before, err);
}

static int add_wrong(
	struct import *im, const char *code, const char *detail, struct ch_err *err)
{
	struct ch_err wrong;

	(void)ch_err_set(&wrong, CH_EINVAL, code, "%s", detail);
	return add_line(im, NULL, &wrong, err);
}

static int add_row(struct import *im, const struct ch_import_row *row, struct ch_err *err)
{
	json_t *item = make_item(im, row);
	char detail[128];
	uint64_t before;
	int rc;

	if (!item)
		return add_wrong(im, "name-not-utf8",
			"the line is not UTF-8: save the file as UTF-8", err);
	rc = find_twin(im, item, &before, err);
	if (!rc && !before)
		return add_line(im, item, NULL, err);
	json_decref(item);
	if (rc)
		return rc;
	snprintf(detail, sizeof(detail),
		"the name stands in line %" PRIu64 " already, with other settings: keep one of "
		"the two",
		before);
	return add_wrong(im, "name-twice", detail, err);
}

static int import_lines(struct import *im, struct ch_err *err)
{
	for (;;) {
		struct ch_import_row row;
		struct ch_err wrong;
		int rc = ch_import_read(&im->reader, &row, &wrong);

		if (rc == CH_ENOTFOUND)
			return send_batch(im, err);
		if (rc == CH_OK) {
			rc = add_row(im, &row, err);
		} else if (rc == CH_EINVAL || rc == CH_ETOOBIG) {
			rc = add_line(im, NULL, &wrong, err);
		} else {
			*err = wrong;
			/* A head line that is not understood is bad input. */
			err->rc = rc == CH_EUNSUPPORTED ? CH_EINVAL : rc;
		}
		if (rc)
			return rc;
	}
}

static void print_summary(const struct import *im)
{
	const struct ch_import_progress *p = &im->progress;

	if (im->client.json && im->no_changes)
		printf("{\"created\":%" PRIu64 ",\"exists\":%" PRIu64 ",\"rejected\":%" PRIu64
		       "}\n",
			p->created, p->existing, p->rejected);
	else if (im->client.json)
		printf("{\"created\":%" PRIu64 ",\"exists\":%" PRIu64 ",\"changed\":%" PRIu64
		       ",\"rejected\":%" PRIu64 "}\n",
			p->created, p->existing, p->changed, p->rejected);
	else if (im->no_changes)
		printf("%" PRIu64 " registered, %" PRIu64 " registered before, %" PRIu64
		       " rejected\n",
			p->created, p->existing, p->rejected);
	else
		printf("%" PRIu64 " registered, %" PRIu64 " changed, %" PRIu64
		       " unchanged, %" PRIu64 " rejected\n",
			p->created, p->changed, p->existing - p->changed, p->rejected);
}

/* What of the batch that failed is not done: all of it, as far as is known. */
static int fail(const struct import *im, const char *path, const struct ch_err *err)
{
	const char *subject = strcmp(err->problem, "file") == 0 ? path : NULL;
	char lines[64];
	int code;

	if (!subject && im->answered && im->n) {
		snprintf(lines, sizeof(lines), "lines %" PRIu64 " to %" PRIu64,
			im->lines[0].line, im->lines[im->n - 1].line);
		subject = lines;
	}
	(void)fflush(stdout);
	code = ch_client_fail(&im->client, subject, err);
	if (im->answered)
		fprintf(stderr,
			"Stopped before line %" PRIu64 ": go on from there, or run all of it "
			"again, which does no harm: what is done stays so.\n",
			im->n ? im->lines[0].line : im->reader.line + 1);
	return code;
}

static int import_file(struct import *im, const char *path)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct ch_err err;
	struct stat st;
	uint64_t size_b = 0;
	int rc;

	if (!in || fstat(fileno(in), &st) < 0) {
		fprintf(stderr, "certherd domain import: cannot open %s: %s\n", path,
			strerror(errno));
		return CH_EXIT_USAGE;
	}
	if (S_ISDIR(st.st_mode)) {
		fprintf(stderr, "certherd domain import: %s is a folder, not a file\n", path);
		if (in != stdin)
			fclose(in);
		return CH_EXIT_USAGE;
	}
	if (S_ISREG(st.st_mode))
		size_b = (uint64_t)st.st_size;
	ch_import_reader_init(&im->reader, in);
	ch_import_progress_begin(&im->progress, size_b);
	im->items = json_array();
	im->pools = json_object();
	rc = import_lines(im, &err);
	ch_import_progress_clear(&im->progress);
	if (in != stdin)
		fclose(in);
	if (rc == CH_OK || im->answered)
		print_summary(im);
	if (rc == CH_OK)
		ch_pools_warn(&im->client, im->pools);
	if (rc)
		rc = fail(im, path, &err);
	else
		rc = im->progress.rejected ? CH_EXIT_PARTLY : CH_EXIT_OK;
	forget_batch(im);
	json_decref(im->items);
	json_decref(im->pools);
	ch_import_seen_done(&im->seen);
	return rc;
}

int ch_domain_import_main(int argc, char **argv)
{
	CH_AUTO_FREE struct import *im = calloc(1, sizeof(*im));
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const char *tenant = NULL;
	const char *pool = NULL;
	bool www = false;
	const struct ch_opt list[] = {
		{"www", NULL, "names whose line does not say: also cover www.NAME", &www, NULL},
		{"tenant", "TEXT", "names whose line does not say: whose they are", NULL,
			&tenant},
		{"pool", "TEXT", "names whose line does not say: who serves them", NULL, &pool},
		CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "domain import",
		.usage = "FILE [--www] [--tenant TEXT] [--pool TEXT] [--json]",
		.help = "Registers the names of a file (- is standard input): one name a line, "
			"or CSV whose\n"
			"first line names its columns out of\n"
			"name,www,tenant,pool,upstream,hsts,redirect,keys,cas,standby. Lines "
			"that are rejected\n"
			"are told one by one; the others are registered, and the exit code is "
			"then 3. A\n"
			"name that is registered already gets what its line and the options "
			"say, as by\n"
			"`domain add`: another pool takes it from that of before. Running the "
			"same again\n"
			"changes nothing. With --json: one object a rejected line, then one "
			"with the counts.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = 1};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (!im)
		return CH_EXIT_FAILED;
	im->client = client;
	im->www = www;
	im->tenant = tenant;
	im->pool = pool;
	im->seen.slots_max = CH_IMPORT_SEEN_SLOTS;
	return import_file(im, argv[1]);
}
