/* `certherd cert rollback`: the certificate before is put back.  The issuer refuses that when a
 * recipient of now cannot open its key, but only once it has the order: so what can be known of
 * it here is looked at first. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "cli/cert_verbs.h"
#include "cli/client.h"
#include "cli/recipients.h"
#include "cli/text.h"

#define LACKING_TOLD_MAX 3

static bool is_version(const json_t *cert, int64_t version)
{
	return version && (ch_json_int(cert, "version") == version ||
				  ch_json_int(cert, "rolled_back_to") == version);
}

/* Whether the store would begin it, as far as the versions tell: all else is its to refuse. */
static bool goes_back(const json_t *certs, int64_t to)
{
	const json_t *current = json_object_get(certs, "current");
	const json_t *before = json_object_get(certs, "previous");

	if (!json_is_object(current) || !json_is_object(before))
		return false;
	return to ? !is_version(current, to) && is_version(before, to)
		  : !ch_json_int(current, "rolled_back_to");
}

static bool has_id(const json_t *ids, const char *id)
{
	const json_t *item;
	size_t i;

	json_array_foreach(ids, i, item)
	{
		const char *text = json_string_value(item);

		if (text && strcmp(text, id) == 0)
			return true;
	}
	return false;
}

static void add_lacking(struct ch_buf *lacking, size_t n, const char *id)
{
	if (n < LACKING_TOLD_MAX)
		ch_buf_addf(lacking, "%s%s", n ? ", " : "", id);
}

static void add_more(struct ch_buf *lacking, size_t n)
{
	if (n > LACKING_TOLD_MAX)
		ch_buf_addf(lacking, " and %zu more", n - LACKING_TOLD_MAX);
}

/* By the issuer's own file. */
static int check_known(
	const struct ch_known_recipients *known, const json_t *ids, struct ch_err *err)
{
	CH_AUTO_BUF struct ch_buf lacking = {.max_b = 512};
	size_t n = 0;

	for (size_t i = 0; i < known->all.n; i++) {
		char hex[2 * sizeof(known->all.list[i].id) + 1];

		ch_hex_encode(known->all.list[i].id, sizeof(known->all.list[i].id), hex);
		if (has_id(ids, hex))
			continue;
		add_lacking(&lacking, n, hex);
		if (n++ < LACKING_TOLD_MAX)
			ch_buf_addf(&lacking, " (line %u)", known->all.line[i]);
	}
	add_more(&lacking, n);
	if (!n)
		return CH_OK;
	return ch_err_set(err, CH_ECONFLICT, "rollback-refused",
		"the certificate before cannot be put back: of the recipients in %s, %s cannot "
		"open its key (`certherd key recipients`). Nothing was asked for; where the "
		"issuer has other recipients than this file, do it on the issuer's host",
		known->path, ch_buf_str(&lacking));
}

/* Where the file is not: a recipient may have been taken out since, so that this is no more
 * than a hint. */
static void warn_of_lacking(const json_t *certs)
{
	const json_t *now = json_object_get(json_object_get(certs, "current"), "recipients");
	const json_t *ids = json_object_get(json_object_get(certs, "previous"), "recipients");
	CH_AUTO_BUF struct ch_buf lacking = {.max_b = 512};
	const json_t *item;
	size_t n = 0;
	size_t i;

	json_array_foreach(now, i, item)
	{
		const char *id = json_string_value(item);

		if (id && !has_id(ids, id))
			add_lacking(&lacking, n++, id);
	}
	add_more(&lacking, n);
	if (!n)
		return;
	fputs("The key of the certificate before is not sealed to ", stderr);
	ch_text_print(stderr, ch_buf_str(&lacking));
	fputs(", as that of the live one is: if the issuer still has it among its recipients, "
	      "it refuses this.\n",
		stderr);
}

static int look_first(
	struct ch_client *client, const char *name, int64_t to, struct ch_err *err)
{
	CH_AUTO_JSON json_t *certs = NULL;
	struct ch_known_recipients known;
	struct ch_err ignored;
	const json_t *ids;
	int rc = ch_client_call_name(
		client, "GET", "/v1/certificates/", name, "", NULL, &certs, NULL, err);

	/* What is not there is told by the answer to the request itself. */
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	ids = json_object_get(json_object_get(certs, "previous"), "recipients");
	if (!goes_back(certs, to) || !json_array_size(ids))
		return CH_OK;
	if (ch_known_recipients_load(
		    ch_known_recipients_path(client->conf), &known, &ignored) == CH_OK)
		return check_known(&known, ids, err);
	warn_of_lacking(certs);
	return CH_OK;
}

static int put_back(struct ch_client *client, const char *name, int64_t to)
{
	CH_AUTO_JSON json_t *answer = NULL;
	CH_AUTO_JSON json_t *body = to ? json_pack("{s:I}", "to", (json_int_t)to) : NULL;
	struct ch_err err;
	int rc = look_first(client, name, to, &err);

	if (!rc)
		rc = ch_client_call_name(client, "POST", "/v1/certificates/", name, "/rollback",
			body, &answer, NULL, &err);
	if (rc)
		return ch_client_fail(client, name, &err);
	if (client->json) {
		ch_json_print(answer);
		return CH_EXIT_OK;
	}
	ch_text_print(stdout, ch_json_str(answer, "name"));
	puts(is_version(json_object_get(answer, "certificate"), to)
			? ": that version is live"
			: ": the certificate before is being put back; `certherd domain show` "
			  "says when edges have it, or why it was refused");
	return CH_EXIT_OK;
}

int ch_cert_rollback_main(int argc, char **argv)
{
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const char *to = NULL;
	const struct ch_opt list[] = {
		{"to", "VERSION", "only if this is the one (`certherd cert show NAME`)", NULL,
			&to},
		CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "cert rollback",
		.usage = "NAME [--to VERSION] [--json]",
		.help = "Puts the certificate that was live before back, with its key, as a "
			"new version. The\n"
			"one that it replaces is then the one before: --to puts that back "
			"again. Refused when a\n"
			"recipient of now cannot open its key: at once where the issuer's "
			"file of recipients is.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = 1};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);
	long long version = 0;
	char *end = NULL;

	if (code >= 0)
		return code;
	if (to)
		version = strtoll(to, &end, 10);
	if (to && (*to < '1' || *to > '9' || *end)) {
		fprintf(stderr, "certherd cert rollback: --to takes a version, such as 12: "
				"`certherd cert show` has them\n");
		return CH_EXIT_USAGE;
	}
	return put_back(&client, argv[1], version);
}
