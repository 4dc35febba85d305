/* `certherd adopt`: on the issuer's host, where its keys are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/opts.h"
#include "base/secret.h"
#include "issuerd/adopt.h"
#include "issuerd/issuerd.h"
#include "wire/name.h"
#include "wire/policy.h"
#include "wire/state.h"

#define EXIT_USAGE 2
#define ONLY_MAX_B (64u * 1024u * 1024u)

struct options {
	const char *config;
	const char *certbot;
	const char *caddy;
	const char *nginx;
	const char *apache;
	const char *folder;
	const char *only;
	const char *roots;
	const char *min_days;
	const char *threads;
	const char *tenant;
	const char *pool;
	const char *keys;
	const char *upstream;
	const char *hsts;
	const char *cas;
	const char *ca;
	bool dry_run;
	bool json;
	bool verbose;
};

struct run {
	struct ch_adopt a;
	struct ch_conf *conf;
	struct ch_issuer_config *config;
};

static int complain(const struct ch_err *err)
{
	fprintf(stderr, "certherd adopt: %s\n", err->detail);
	return err->rc == CH_EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

static void run_done(struct run *run)
{
	ch_adopt_list_done(&run->a);
	json_decref(run->a.settings);
	json_decref(run->a.only);
	ch_trust_free(run->a.own_roots);
	for (unsigned i = 0; i < CH_CREW_MAX; i++)
		ch_secret_free(run->a.scratch[i]);
	ch_api_free(run->a.api);
	ch_issuer_free(run->a.issuer);
	free(run->config);
	ch_conf_free(run->conf);
}

static int set_cas(json_t *settings, const char *text)
{
	json_t *list = json_array();

	if (json_object_set_new(settings, "cas", list))
		return CH_ENOMEM;
	while (*text) {
		size_t len = strcspn(text, ",");

		if (json_array_append_new(list, json_stringn(text, len)))
			return CH_EINVAL;
		text += len + (text[len] == ',');
	}
	return CH_OK;
}

static int set_text(json_t *settings, const char *key, const char *text)
{
	return text && json_object_set_new(settings, key, json_string(text)) ? CH_EINVAL
									     : CH_OK;
}

/* What the store would say after all has been read. */
static bool is_label(const char *text)
{
	return !text || (*text && ch_policy_is_normal(CH_POLICY_TENANT, text, strlen(text)));
}

static int read_threads(const char *text, unsigned *ret_threads)
{
	char *end = NULL;
	long n;

	*ret_threads = ch_crew_default();
	if (!text)
		return CH_OK;
	n = strtol(text, &end, 10);
	if (!*text || *end || n < 1 || n > CH_CREW_MAX)
		return CH_EINVAL;
	*ret_threads = (unsigned)n;
	return CH_OK;
}

static int read_settings(struct ch_adopt *a, const struct options *o, struct ch_err *err)
{
	enum ch_keys keys = CH_KEYS_ECDSA;
	char *end = NULL;
	long days = strtol(o->min_days ? o->min_days : "0", &end, 10);

	a->settings = json_object();
	if (o->keys && ch_keys_parse(o->keys, &keys))
		return ch_err_set(err, CH_EINVAL, "usage",
			"--keys must be ecdsa, p384, rsa, ecdsa+rsa or p384+rsa");
	if (!end || *end || days < 0 || days > 3650)
		return ch_err_set(
			err, CH_EINVAL, "usage", "--min-days must be a number of days");
	if (read_threads(o->threads, &a->threads))
		return ch_err_set(
			err, CH_EINVAL, "usage", "--threads must be 1 to %d", CH_CREW_MAX);
	if (!is_label(o->tenant) || !is_label(o->pool))
		return ch_err_set(err, CH_EINVAL, "usage",
			"--tenant and --pool must be 1 to 63 of a-z, 0-9, '.', '_', '-'");
	a->both = ch_keys_both(keys);
	a->least_left_s = days * (CH_DAY_MS / CH_SECOND_MS);
	if (set_text(a->settings, "tenant", o->tenant) ||
		set_text(a->settings, "pool", o->pool) ||
		set_text(a->settings, "keys", o->keys) ||
		set_text(a->settings, "upstream", o->upstream) ||
		set_text(a->settings, "hsts", o->hsts) ||
		(o->cas && set_cas(a->settings, o->cas)))
		return ch_err_set(err, CH_EINVAL, "usage", "an option's text is not UTF-8");
	return CH_OK;
}

/* One name a line; what is no name is told. */
static int read_only(struct ch_adopt *a, const char *path, struct ch_err *err)
{
	static const struct ch_name_rules any = {.allow_wildcard = true};
	CH_AUTO_FREE char *text = NULL;
	char *rest;
	size_t len;
	int rc = ch_file_read(path, ONLY_MAX_B, &text, &len, err);

	if (rc)
		return ch_err_set(err, CH_EINVAL, "usage", "--only: %s cannot be read", path);
	a->only = json_object();
	rest = text;
	while (rest && *rest) {
		char *line = strsep(&rest, "\n");
		char name[CH_NAME_TEXT_B];

		line += strspn(line, " \t\r");
		line[strcspn(line, " \t\r")] = '\0';
		if (!*line || *line == '#')
			continue;
		rc = ch_name_normalize(line, strlen(line), &any, name, err);
		if (rc) {
			ch_err_prefix(err, "--only %s", path);
			err->rc = CH_EINVAL;
			return rc;
		}
		if (json_object_set_new(a->only, name, json_true()))
			return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	return CH_OK;
}

static int find_ca(struct ch_adopt *a, const char *name, struct ch_err *err)
{
	const struct ch_issuer_config *config = a->issuer->config;
	char known[256] = "";
	size_t len = 0;

	a->ca = -1;
	for (size_t i = 0; name && i < config->n_cas; i++) {
		if (strcmp(config->cas[i].name, name) == 0)
			a->ca = (int)i;
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
				len ? ", " : "", config->cas[i].name);
	}
	return name && a->ca < 0
		       ? ch_err_set(err, CH_EINVAL, "usage",
				 "--ca: the configuration has no such CA, but %s", known)
		       : CH_OK;
}

static int open_issuer(struct run *run, const struct options *o, struct ch_err *err)
{
	struct ch_adopt *a = &run->a;
	int rc = ch_conf_load(ch_opts_config(o->config), &run->conf, err);

	run->config = calloc(1, sizeof(*run->config));
	if (!rc && !run->config)
		rc = ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (!rc)
		rc = ch_issuer_config_read(run->conf, run->config, err);
	if (!rc)
		rc = ch_issuer_open(run->config, &a->issuer, err);
	if (!rc)
		rc = find_ca(a, o->ca, err);
	if (!rc && o->roots)
		rc = ch_trust_load(o->roots, &a->own_roots, err);
	if (!rc)
		rc = ch_api_new(&run->config->store, &a->api, err);
	/* Whatever is wrong with the configuration is for who called this to mend. */
	if (rc && rc != CH_ENOMEM)
		err->rc = CH_EINVAL;
	if (!rc)
		a->roots = o->roots ? a->own_roots : a->issuer->cas[0].roots;
	return rc;
}

static int open_run(struct run *run, const struct options *o, struct ch_err *err)
{
	struct ch_adopt *a = &run->a;
	int rc = read_settings(a, o, err);

	a->dry_run = a->report.dry_run = o->dry_run;
	a->report.json = o->json;
	a->report.verbose = o->verbose;
	a->by_path = json_object();
	a->names = json_object();
	for (unsigned i = 0; !rc && i < a->threads; i++)
		if (ch_secret_new(CH_ADOPT_FILE_MAX_B, &a->scratch[i]))
			rc = ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (!rc && (!a->by_path || !a->names))
		rc = ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (!rc && o->only)
		rc = read_only(a, o->only, err);
	return rc ? rc : open_issuer(run, o, err);
}

static int find_all(struct ch_adopt *a, const struct options *o, struct ch_err *err)
{
	int rc = CH_OK;

	if (o->certbot)
		rc = ch_adopt_find_certbot(a, o->certbot, err);
	if (!rc && o->caddy)
		rc = ch_adopt_find_caddy(a, o->caddy, err);
	if (!rc && o->nginx)
		rc = ch_adopt_find_conf(a, CH_WORDS_NGINX, o->nginx, err);
	if (!rc && o->apache)
		rc = ch_adopt_find_conf(a, CH_WORDS_APACHE, o->apache, err);
	if (!rc && o->folder)
		rc = ch_adopt_find_folder(a, o->folder, err);
	if (!rc)
		ch_adopt_match_keys(a);
	return rc;
}

static int work(struct ch_adopt *a, const struct options *o, struct ch_err *err)
{
	int rc = find_all(a, o, err);
	bool begun = rc == CH_OK;

	if (!rc) {
		rc = ch_adopt_survey(a);
		if (rc)
			(void)ch_err_set(err, rc, "out-of-memory", "%s", ch_rc_str(rc));
	}
	if (!rc)
		rc = ch_adopt_send(a, err);
	if (!rc && !a->report.n_reasons) {
		rc = ch_err_set(err, CH_EINVAL, "nothing-found",
			"no certificate was found there: is it the right folder or file, and "
			"may it be read?");
		begun = false;
	}
	if (begun)
		ch_adopt_report_print(&a->report, rc == CH_OK);
	if (rc)
		return begun ? (complain(err), EXIT_FAILURE) : complain(err);
	return ch_adopt_report_count(&a->report, CH_FATE_REFUSED) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_with(const struct options *o)
{
	CH_CLEANUP(run_done) struct run run = {.conf = NULL};
	struct ch_err err = {0};

	ch_secret_harden_process();
	ch_log_init("adopt", CH_LOG_WARN);
	if (!o->certbot && !o->caddy && !o->nginx && !o->apache && !o->folder)
		return complain(
			(ch_err_set(&err, CH_EINVAL, "usage",
				 "say where the certificates are: --certbot DIR, --caddy "
				 "DIR, --nginx FILE, --apache FILE or --folder DIR"),
				&err));
	if (open_run(&run, o, &err))
		return complain(&err);
	return work(&run.a, o, &err);
}

int ch_adopt_main(int argc, char **argv)
{
	struct options o = {.config = NULL};
	const struct ch_opt list[] = {
		{"certbot", "DIR", "certbot's folder, as /etc/letsencrypt", NULL, &o.certbot},
		{"caddy", "DIR", "Caddy's storage, with certificates/ in it", NULL, &o.caddy},
		{"nginx", "FILE", "nginx's configuration, with what it includes", NULL,
			&o.nginx},
		{"apache", "FILE", "Apache's configuration, with what it includes", NULL,
			&o.apache},
		{"folder", "DIR", "PEM files, at any depth; keys are matched by public key",
			NULL, &o.folder},
		{"only", "FILE", "no other names than those of this file, one a line", NULL,
			&o.only},
		{"min-days", "N", "not what ends in less than N days (default: 0)", NULL,
			&o.min_days},
		{"threads", "N", "check and seal on N threads (default: one a processor)", NULL,
			&o.threads},
		{"roots", "system|any|FILE",
			"what chains must lead to (default: roots of [issuer])", NULL,
			&o.roots},
		{"tenant", "TEXT", "new names: whose they are; others: only theirs", NULL,
			&o.tenant},
		{"pool", "TEXT", "new names: who serves them; others: only of it", NULL,
			&o.pool},
		{"keys", "KEYS", "new names: ecdsa, p384, rsa, ecdsa+rsa or p384+rsa", NULL,
			&o.keys},
		{"upstream", "TEXT", "new names: upstream", NULL, &o.upstream},
		{"hsts", "TEXT", "new names: HSTS", NULL, &o.hsts},
		{"cas", "CAS", "new names: which CAs renew them", NULL, &o.cas},
		{"ca", "CA", "they are from this CA of ours: it is asked when to renew", NULL,
			&o.ca},
		{"dry-run", NULL, "says what would be done, and does nothing", &o.dry_run,
			NULL},
		{"verbose", NULL, "tells also what is kept or not used, one by one", &o.verbose,
			NULL},
		{"json", NULL, "prints JSON for programs", &o.json, NULL},
		CH_OPT_CONFIG(&o.config)};
	const struct ch_opts opts = {.command = "adopt",
		.usage = "--certbot DIR|--caddy DIR|--nginx FILE|--apache FILE|--folder DIR "
			 "[options]",
		.help = "Takes certificates over that others have issued, with their keys; to "
			"be called on\nthe issuer's host, by a user who may read the keys. "
			"They "
			"are sealed to the\nrecipients, go live, and are renewed when it is "
			"time. Several sources may be given.\nWhat a name has that ends no "
			"earlier is kept, so running it again does no harm.\nThe exit code is "
			"1 "
			"when something could not be adopted.",
		.list = list,
		.n = CH_ARRAY_LEN(list)};
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
	return run_with(&o);
}
