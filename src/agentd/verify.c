/* `certherd verify`: the comparison as a command. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agentd/agentd.h"
#include "agentd/compare.h"
#include "agentd/config.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"

CH_DEFINE_CLEANUP(struct ch_api *, ch_api_free)
CH_DEFINE_CLEANUP(struct ch_replica_reader *, ch_replica_reader_free)

#define EXIT_SAME 0
#define EXIT_NOT_SAME 1
#define EXIT_USAGE 2
#define EXIT_STORE 4
#define LISTED_MAX 1000
#define WAIT_DEFAULT "30s"

struct verify {
	const char *config;
	const char *wait;
	bool names;
	bool json;
	json_t *listed; /* with json */
};

/* Of a damaged replica or a broken store: anything may be in it. */
static void print_name(const char *name)
{
	for (; *name; name++)
		putchar(isgraph((unsigned char)*name) ? *name : '?');
}

static void found(const struct ch_difference *d, void *arg)
{
	struct verify *v = arg;

	if (v->json) {
		if (json_array_size(v->listed) < LISTED_MAX)
			(void)json_array_append_new(
				v->listed, json_pack("{s:s, s:s, s:I, s:I}", "name", d->name,
						   "problem", ch_difference_str(d->kind),
						   "store", (json_int_t)d->store_version,
						   "replica", (json_int_t)d->replica_version));
		return;
	}
	if (!v->names)
		return;
	printf("%-8s ", ch_difference_str(d->kind));
	print_name(d->name);
	printf(" store=%" PRIu64 " replica=%" PRIu64 "\n", d->store_version,
		d->replica_version);
}

static void print_json(const struct verify *v, const struct ch_compare *c, bool same)
{
	char epoch[2 * CH_EPOCH_B + 1];
	json_t *all;

	ch_hex_encode(c->epoch, CH_EPOCH_B, epoch);
	all = json_pack("{s:b, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:O}", "same", same, "pool",
		c->pool, "names", (json_int_t)c->names, "differing", (json_int_t)c->differing,
		"unsettled", (json_int_t)c->unsettled, "epoch", epoch, "head",
		(json_int_t)c->head, "cursor", (json_int_t)c->cursor.seq, "differences",
		v->listed);
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
}

static int tell(const struct verify *v, const struct ch_compare *c)
{
	bool same = c->differing == 0 && c->unsettled == 0;

	if (v->json)
		print_json(v, c, same);
	else if (same)
		printf("The same: %" PRIu64 " names of pool %s, replica at %" PRIu64
		       ", store at %" PRIu64 ".\n",
			c->names, c->pool, c->cursor.seq, c->head);
	else
		printf("NOT the same: %" PRIu64 " of the names differ, and %" PRIu64
		       " changed whenever they were looked at (replica: %" PRIu64
		       " names of pool %s).\n",
			c->differing, c->unsettled, c->names, c->pool);
	if (!same && !v->json && !v->names)
		printf("Which: certherd verify --names\n");
	return same ? EXIT_SAME : EXIT_NOT_SAME;
}

/* The store's words: nothing that a terminal obeys. */
static void print_plain(const char *text)
{
	for (; *text; text++)
		fputc(iscntrl((unsigned char)*text) ? '?' : *text, stderr);
}

static int fail(const struct ch_err *err)
{
	bool is_mine = strncmp(err->problem, "replica", 7) == 0 || err->rc == CH_ENOMEM;

	fprintf(stderr, "certherd verify: %s", is_mine ? "" : "the store cannot be asked: ");
	print_plain(err->detail);
	fputs(" (", stderr);
	print_plain(err->problem);
	fputs(")\n", stderr);
	return is_mine ? EXIT_NOT_SAME : EXIT_STORE;
}

static int verify(struct verify *v, const struct ch_agent_config *config, int64_t wait_ms)
{
	CH_CLEANUP(ch_replica_reader_free_p) struct ch_replica_reader *reader = NULL;
	CH_CLEANUP(ch_api_free_p) struct ch_api *api = NULL;
	struct ch_compare compare = {.wait_ms = wait_ms, .found = found, .found_arg = v};
	struct ch_err err = {0};

	if (ch_api_new(&config->api, &api, &err))
		return fail(&err);
	if (ch_replica_reader_new(config->replica, &reader)) {
		(void)ch_err_set(&err, CH_ENOMEM, "replica-open", "cannot read a replica at %s",
			config->replica);
		return fail(&err);
	}
	compare.api = api;
	compare.reader = reader;
	if (ch_compare_run(&compare, &err))
		return fail(&err);
	return tell(v, &compare);
}

int ch_verify_main(int argc, char **argv)
{
	struct verify v = {.wait = WAIT_DEFAULT};
	const struct ch_opt list[] = {
		{"names", NULL, "lists the names that differ", &v.names, NULL},
		{"wait", "SPAN",
			"for the replica to reach the store's newest record "
			"(default: " WAIT_DEFAULT ")",
			NULL, &v.wait},
		{"json", NULL, "prints JSON for programs", &v.json, NULL},
		CH_OPT_CONFIG(&v.config),
	};
	const struct ch_opts opts = {.command = "verify",
		.usage = "[--names] [--wait SPAN] [--json]",
		.help = "Compares the replica on this edge with the store, by checksum.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	struct ch_agent_config config;
	struct ch_err err;
	int64_t wait_ms;
	size_t n_args;
	int rc;

	ch_secret_harden_process();
	rc = ch_opts_parse(&opts, argc, argv, &n_args);
	if (rc)
		return rc == CH_ECANCELED ? EXIT_SAME : EXIT_USAGE;
	if (ch_duration_parse(v.wait, &wait_ms)) {
		fprintf(stderr, "certherd verify: --wait: \"%s\" is not a span of time\n",
			v.wait);
		return EXIT_USAGE;
	}
	if (ch_conf_load(ch_opts_config(v.config), &conf, &err) ||
		ch_agent_config_read(conf, &config, &err)) {
		fprintf(stderr, "certherd verify: %s\n", err.detail);
		return EXIT_USAGE;
	}
	v.listed = json_array();
	rc = verify(&v, &config, wait_ms);
	json_decref(v.listed);
	return rc;
}
