#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cert_verbs.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/recipients.h"
#include "cli/text.h"
#include "cli/verbs.h"

static void print_line(const char *label, const char *text)
{
	printf("  %-11s ", label);
	ch_text_print(stdout, text);
	putchar('\n');
}

static void print_list(const char *label, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);

		print_line(i ? "" : label, text ? text : "");
	}
}

/* Whose each is: the store does not know it, a file of the issuer does. */
struct whose {
	bool is_known;
	struct ch_known_recipients known;
	struct ch_err err; /* else: why not */
};

static void print_recipients(const struct whose *whose, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		CH_AUTO_BUF struct ch_buf text = {.max_b = 1024};
		const char *id = json_string_value(item);

		ch_buf_addf(&text, "%s", id ? id : "");
		if (whose->is_known && id) {
			ch_buf_add_str(&text, "  ");
			ch_known_recipients_find(&whose->known, id, &text);
		}
		print_line(i ? "" : "sealed to", ch_buf_str(&text));
	}
	if (whose->is_known || !json_array_size(list))
		return;
	print_line("", "whose: `certherd key recipients` where the issuer is, "
		       "`certherd key pub --id FILE` on an edge");
	printf("  %-11s (not known here: ", "");
	ch_text_print(stdout, whose->err.detail);
	puts(")");
}

static void print_cert(const char *title, const json_t *cert, const struct whose *whose)
{
	char when[64];

	if (!json_is_object(cert)) {
		printf("%s: none\n", title);
		return;
	}
	printf("%s: version %" PRId64, title, ch_json_int(cert, "version"));
	if (ch_json_int(cert, "rolled_back_to"))
		printf(" (the certificate of version %" PRId64 ", put live by a command)",
			ch_json_int(cert, "rolled_back_to"));
	putchar('\n');
	print_line("serial", ch_json_str(cert, "serial"));
	print_line("issuer", ch_json_str(cert, "issuer"));
	print_line("CA", *ch_json_str(cert, "ca") ? ch_json_str(cert, "ca") : "unknown");
	print_list("names", json_object_get(cert, "names"));
	print_line("not before", ch_json_str(cert, "not_before"));
	printf("  %-11s ", "not after");
	ch_text_print(stdout, ch_json_str(cert, "not_after"));
	printf(" (%s)\n", ch_when_str(ch_json_time(cert, "not_after"), when));
	print_line("published", ch_json_str(cert, "published_at"));
	print_line("SPKI", ch_json_str(cert, "spki_sha256"));
	print_recipients(whose, json_object_get(cert, "recipients"));
}

/* PEM is letters, digits and line ends; anything else from the store is not shown. */
static int print_pem(const struct ch_client *client, const char *name, const json_t *answer)
{
	const char *pem = ch_json_str(json_object_get(answer, "current"), "pem");
	struct ch_err err;

	if (!*pem) {
		(void)ch_err_set(&err, CH_ENOTFOUND, "no-certificate",
			"there is no certificate yet: `certherd domain show` says why");
		return ch_client_fail(client, name, &err);
	}
	for (; *pem; pem++)
		putchar(*pem == '\n' || (*pem >= ' ' && *pem < 0x7f) ? *pem : '?');
	return CH_EXIT_OK;
}

/* It may be not on this host, or not for who asks. */
static void load_recipients(const struct ch_client *client, struct whose *whose)
{
	whose->is_known = ch_known_recipients_load(ch_known_recipients_path(client->conf),
				  &whose->known, &whose->err) == CH_OK;
}

static int show_main(int argc, char **argv)
{
	static const struct {
		const char *key;
		const char *title;
	} others[] = {{"second", "second"}, {"standby", "standby, not live"},
		{"second_standby", "standby of the second, not live"}};
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	CH_AUTO_JSON json_t *answer = NULL;
	struct whose whose;
	bool pem = false;
	const struct ch_opt list[] = {
		{"pem", NULL, "prints certificate and intermediates in PEM", &pem, NULL},
		CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "cert show",
		.usage = "NAME [--pem | --json]",
		.help = "Shows the certificate of a name that is live, the one before it, its "
			"second one if\nit has two, and its standby certificates. CA: what "
			"`cert standby --ca` calls it.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = 1};
	struct ch_err err;
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	if (pem && client.json) {
		fprintf(stderr,
			"certherd cert show: --pem or --json, not both: the JSON has the "
			"certificates in `pem`\n");
		return CH_EXIT_USAGE;
	}
	if (ch_client_call_name(&client, "GET", "/v1/certificates/", argv[1], "", NULL, &answer,
		    NULL, &err))
		return ch_client_fail(&client, argv[1], &err);
	if (pem)
		return print_pem(&client, argv[1], answer);
	if (client.json) {
		ch_json_print(answer);
		return CH_EXIT_OK;
	}
	ch_text_print(stdout, ch_json_str(answer, "name"));
	putchar('\n');
	load_recipients(&client, &whose);
	print_cert("current", json_object_get(answer, "current"), &whose);
	print_cert("previous", json_object_get(answer, "previous"), &whose);
	for (size_t i = 0; i < CH_ARRAY_LEN(others); i++)
		if (json_is_object(json_object_get(answer, others[i].key)))
			print_cert(others[i].title, json_object_get(answer, others[i].key),
				&whose);
	return CH_EXIT_OK;
}

int ch_cert_main(int argc, char **argv)
{
	static const struct ch_verb verbs[] = {
		{"show", "NAME", "the certificates of a name, standbys too", show_main},
		{"rollback", "NAME", "puts the one before it back", ch_cert_rollback_main},
		{"standby", "NAME|--all", "puts the standby certificate live",
			ch_cert_standby_main},
	};

	return ch_verbs_main("cert", "Certificates.", verbs, CH_ARRAY_LEN(verbs), argc, argv);
}
