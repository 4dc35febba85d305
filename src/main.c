/* The one place that knows every program: a table of commands, which is also the help. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agentd/agentd.h"
#include "base/mem.h"
#include "base/opts.h"
#include "cli/cli.h"
#include "cli/kinds.h"
#include "cli/output.h"
#include "cli/setup.h"
#include "cli/text.h"
#include "issuerd/issuerd.h"
#include "stored/stored.h"
#include "up/up.h"

struct command {
	const char *name;
	const char *usage;   /* what follows the name */
	const char *summary; /* one line for the list; NULL: hidden */
	int (*run)(int argc, char **argv);
};

static int help_main(int argc, char **argv);
static int version_main(int argc, char **argv);

/* In the order of the help.  Each command prints its own --help. */
static const struct command commands[] = {
	{"init", "DIR", "makes a folder with configuration, internal CA, identities, keys",
		ch_init_main},
	{"up", "", "runs store, issuer and agent on this machine", ch_up_main},
	{"store", "", "serves the API over the database", ch_store_main},
	{"issuer", "", "obtains certificates for what is due and publishes them",
		ch_issuer_main},
	{"agent", "", "keeps an edge's replica the same as the store's feed", ch_agent_main},
	{"verify", "", "compares the replica on this edge with the store", ch_verify_main},
	{"domain", "COMMAND", "the names: add, show, list, rm, retry, pause, resume, import",
		ch_domain_main},
	{"status", "", "counts by state, what is due next, the edges", ch_status_main},
	{"ui", "", "a web interface on this machine, to look at all of it", ch_ui_main},
	{"cert", "show|rollback|standby NAME",
		"the certificates of a name: live, before, standby", ch_cert_main},
	{"feed", "COMMAND", "what edges get: show, freeze, thaw, canary", ch_feed_main},
	{"rekey", "--all|…", "new certificates for many names before their renewal",
		ch_rekey_main},
	{"limits", "", "what is used up of the CAs' limits, and how many names wait",
		ch_limits_main},
	{"alerts", "[--all]", "what is wrong, and since when", ch_alerts_main},
	{"calendar", "", "the renewals that are planned, by day", ch_calendar_main},
	{"probe", "NAME", "what the name's public addresses serve, and what they should",
		ch_probe_main},
	{"forecast", "[SCENARIO]", "when names have their turn, and which limit to raise",
		ch_forecast_main},
	{"simulate", "SCENARIO", "a year of names against a CA's limits, in minutes",
		ch_simulate_main},
	{"account", "", "the issuer's account at a CA: show, new key, close", ch_account_main},
	{"revoke", "FILE", "has the CA revoke a certificate", ch_revoke_main},
	{"adopt", "SOURCE", "takes over certificates and keys of certbot, Caddy, nginx, Apache",
		ch_adopt_main},
	{"backup", "FILE", "the store's database into one file, while the store runs",
		ch_backup_main},
	{"restore", "FILE", "the store's database from a backup, or only a check of one",
		ch_restore_main},
	{"migrate", "URL", "the store's database from SQLite to PostgreSQL", ch_migrate_main},
	{"key", "COMMAND", "recipient and account keys: make one, show the public half",
		ch_key_main},
	{"identity", "new|revoke|list", "who may talk to the store, and as what",
		ch_identity_main},
	{"help", "[COMMAND]", "this text, or the help of a command", help_main},
	{"version", "", "the version", version_main},
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Characters of UTF-8, whatever the terminal's locale is. */
static int command_width(const struct command *command)
{
	int width = (int)strlen(command->name);

	for (const char *c = command->usage; *c; c++)
		width += (*c & 0xc0) != 0x80;
	return width;
}

static void print_help(FILE *out)
{
	int width = 0;

	for (size_t i = 0; i < CH_ARRAY_LEN(commands); i++)
		if (commands[i].summary && command_width(&commands[i]) > width)
			width = command_width(&commands[i]);
	fprintf(out, "certherd: HTTPS for every custom domain that a platform hosts\n\n"
		     "Usage: certherd COMMAND [options]\n\nCommands:\n");
	for (size_t i = 0; i < CH_ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (c->summary)
			fprintf(out, "  %s %s%*s  %s\n", c->name, c->usage,
				width - command_width(c), "", c->summary);
	}
	fprintf(out, "\nMore: certherd COMMAND --help\n");
}

static int unknown(const char *name)
{
	const char *words[CH_ARRAY_LEN(commands)];
	size_t n = 0;
	const char *meant;

	for (size_t i = 0; i < CH_ARRAY_LEN(commands); i++)
		if (commands[i].summary)
			words[n++] = commands[i].name;
	meant = ch_opts_suggest(name, words, n);
	if (name[0] == '-') {
		fprintf(stderr,
			"certherd: %s stands where the command belongs: options come after "
			"it, as in `certherd status --json`\nAll commands: certherd --help\n",
			name);
		return 2;
	}
	fprintf(stderr, "certherd: there is no command \"%s\"", name);
	if (meant)
		fprintf(stderr, ": did you mean \"%s\"?", meant);
	fprintf(stderr, "\nAll commands: certherd --help\n");
	return 2;
}

static int help_main(int argc, char **argv)
{
	const struct command *command = argc > 1 ? find(argv[1]) : NULL;
	char help[] = "--help";
	char *command_argv[] = {argv[1], argc > 2 ? argv[2] : help, help, NULL};

	if (argc > 1 && !command && argv[1][0] != '-')
		return unknown(argv[1]);
	if (command && command->run != help_main)
		return command->run(argc > 2 ? 3 : 2, command_argv);
	print_help(stdout);
	return 0;
}

static int version_main(int argc, char **argv)
{
	printf("certherd " CH_VERSION "\n");
	return 0;
}

static const char *command_name(const char *given)
{
	if (strcmp(given, "--help") == 0 || strcmp(given, "-h") == 0)
		return "help";
	if (strcmp(given, "--version") == 0 || strcmp(given, "-V") == 0)
		return "version";
	return given;
}

int main(int argc, char **argv)
{
	const struct command *command;

	/* Every program here writes to sockets and pipes and looks at the result. */
	signal(SIGPIPE, SIG_IGN);
	ch_text_init();
	if (argc < 2) {
		print_help(stderr);
		return 2;
	}
	ch_opts_set_kinds(ch_cli_kinds, ch_cli_n_kinds);
	command = find(command_name(argv[1]));
	if (!command)
		return unknown(argv[1]);
	ch_output_begin();
	/* What was not written was not said: a full disk must not look like success. */
	return ch_output_end(command->run(argc - 1, argv + 1));
}
