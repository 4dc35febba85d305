#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"
#include "cli/client.h"
#include "cli/init.h"
#include "cli/setup.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crypto/pki.h"

#define REVOKED_MAX_B (8u * 1024u * 1024u)
#define LIST_MAX 4096u
#define DAYS_DEFAULT 1825
#define DAYS_MAX 7300
#define ENTRY_B 320

static const struct {
	const char *role;
	bool server;
	bool edge_ca; /* signed by the CA that stays online */
} roles[] = {
	{"operator", false, false},
	{"platform", false, false},
	{"viewer", false, false},
	{"store", true, false},
	{"issuer", false, false},
	{"edge", false, true},
};

static int complain(const struct ch_err *err)
{
	fprintf(stderr, "certherd identity: %s\n", err->detail);
	return err->rc == CH_EINVAL ||
			       (err->rc == CH_ENOTFOUND && strcmp(err->problem, "file") == 0)
		       ? 2
		       : 1;
}

struct place {
	char dir[PATH_MAX];	/* the configuration's folder */
	char revoked[PATH_MAX]; /* [store] revoked */
};

static int find_place(const char *config, struct place *place, struct ch_err *err)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	int rc = ch_conf_load(ch_opts_config(config), &conf, err);

	if (rc)
		return rc;
	snprintf(place->dir, sizeof(place->dir), "%s", ch_conf_dir(conf));
	snprintf(place->revoked, sizeof(place->revoked), "%s",
		ch_conf_path(conf, "store", "revoked", "pki/revoked"));
	return CH_OK;
}

struct wish {
	const char *config, *scope, *id, *days, *san, *ca_key, *ca_cert, *out;
};

struct paths {
	char ca_key[PATH_MAX], ca_cert[PATH_MAX], key[PATH_MAX], cert[PATH_MAX];
};

static int work_out_paths(const struct wish *w, const struct place *place, const char *role,
	bool edge_ca, struct paths *p, struct ch_err *err)
{
	char base[PATH_MAX];
	int bad = 0;

	if (w->out)
		snprintf(base, sizeof(base), "%s", w->out);
	else
		bad |= (size_t)snprintf(base, sizeof(base), "%s/pki/%s-%s", place->dir, role,
			       w->id) >= sizeof(base);
	bad |= (size_t)snprintf(p->key, sizeof(p->key), "%s.key", base) >= sizeof(p->key);
	bad |= (size_t)snprintf(p->cert, sizeof(p->cert), "%s.pem", base) >= sizeof(p->cert);
	if (w->ca_key)
		snprintf(p->ca_key, sizeof(p->ca_key), "%s", w->ca_key);
	else
		bad |= ch_init_path(
			place->dir, edge_ca ? "pki/edge-ca.key" : "offline/ca.key", p->ca_key);
	if (w->ca_cert)
		snprintf(p->ca_cert, sizeof(p->ca_cert), "%s", w->ca_cert);
	else
		bad |= ch_init_path(
			place->dir, edge_ca ? "pki/edge-ca.pem" : "pki/ca.pem", p->ca_cert);
	if (bad)
		return ch_err_set(err, CH_ETOOBIG, "path", "a path is too long");
	if (access(p->ca_key, F_OK) != 0 && errno == ENOENT)
		return ch_err_set(err, CH_ENOTFOUND, "ca-key",
			"the CA's key %s is not here: bring it from where it is kept and say "
			"--ca-key FILE",
			p->ca_key);
	return CH_OK;
}

static int split_sans(char *text, const char **ret_sans, size_t max, size_t *ret_n)
{
	char *item;
	size_t n = 0;

	while ((item = strsep(&text, ",")) != NULL) {
		if (!*item)
			continue;
		if (n == max)
			return CH_ETOOBIG;
		ret_sans[n++] = item;
	}
	*ret_n = n;
	return CH_OK;
}

static int parse_days(const char *text, int *ret_days, struct ch_err *err)
{
	char *end;
	long days = DAYS_DEFAULT;

	if (text) {
		days = strtol(text, &end, 10);
		if (!*text || *end || days < 1 || days > DAYS_MAX)
			return ch_err_set(err, CH_EINVAL, "days", "--days \"%s\": 1 to %d",
				text, DAYS_MAX);
	}
	*ret_days = (int)days;
	return CH_OK;
}

static int find_role(const char *text, size_t *ret_at, struct ch_err *err)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(roles); i++) {
		if (strcmp(roles[i].role, text) == 0) {
			*ret_at = i;
			return CH_OK;
		}
	}
	return ch_err_set(err, CH_EINVAL, "role",
		"there is no role \"%s\": operator, platform, viewer, store, issuer or edge",
		text);
}

/* What of the command line can be wrong without looking at any file. */
static int check_wish(const struct wish *w, bool server, struct ch_err *err)
{
	if (!w->id)
		return ch_err_set(err, CH_EINVAL, "id", "--id is missing: who is it?");
	if (server && !w->san)
		return ch_err_set(err, CH_EINVAL, "san",
			"a store needs --san: the names and addresses it is reached under, "
			"such "
			"as DNS:store.example.com");
	if (!server && w->san)
		return ch_err_set(err, CH_EINVAL, "san", "--san is for a store only");
	return CH_OK;
}

static int make(const struct wish *w, const char *role, struct ch_err *err)
{
	struct ch_pki_identity identity = {0};
	const char *sans[CH_INIT_SANS_MAX];
	CH_AUTO_FREE char *san_text = strdup(w->san ? w->san : "");
	char uri[3 * CH_IDENTITY_PART_B + 16];
	struct place place;
	struct paths p;
	size_t r = 0;
	int rc = find_role(role, &r, err);

	if (rc == CH_OK)
		rc = check_wish(w, roles[r].server, err);
	if (rc == CH_OK)
		rc = parse_days(w->days, &identity.days, err);
	if (rc)
		return rc;
	if (!san_text || split_sans(san_text, sans, CH_ARRAY_LEN(sans), &identity.n_sans))
		return ch_err_set(err, CH_EINVAL, "san", "--san: too many names");
	/* Cut at one more than is allowed: it is refused then, not shortened. */
	snprintf(uri, sizeof(uri), "certherd://%s/%.64s/%.64s", role,
		w->scope ? w->scope : "default", w->id);
	identity.uri = uri;
	identity.server = roles[r].server;
	identity.sans = sans;
	rc = find_place(w->config, &place, err);
	if (rc == CH_OK)
		rc = work_out_paths(w, &place, role, roles[r].edge_ca, &p, err);
	if (rc == CH_OK)
		rc = ch_pki_create_identity(&identity, p.ca_key, p.ca_cert, p.key, p.cert, err);
	if (rc)
		return rc;
	printf("%s\n  certificate  %s\n  key          %s\n  valid for    %d days\n", uri,
		p.cert, p.key, identity.days);
	return CH_OK;
}

static int identity_new(int argc, char **argv)
{
	struct wish w = {0};
	const struct ch_opt list[] = {
		CH_OPT_CONFIG(&w.config),
		{"id", "ID", "which one: 1 to 63 of [a-z0-9._-]", NULL, &w.id},
		{"scope", "S", "an edge's pool, else a tenant (default: default)", NULL,
			&w.scope},
		{"days", "N", "how long it is valid (default: 1825)", NULL, &w.days},
		{"san", "NAMES", "a store's names: DNS:name or IP:address, comma-separated",
			NULL, &w.san},
		{"ca-key", "FILE",
			"the CA's key (default: offline/ca.key; pki/edge-ca.key for edges)",
			NULL, &w.ca_key},
		{"ca-cert", "FILE", "its certificate (default: pki/ca.pem; pki/edge-ca.pem)",
			NULL, &w.ca_cert},
		{"out", "PREFIX", "writes PREFIX.pem and PREFIX.key (default: pki/ROLE-ID)",
			NULL, &w.out},
	};
	const struct ch_opts opts = {"identity new", "ROLE --id ID [options]",
		"Makes an identity for operator, platform, viewer, store, issuer or edge: a "
		"key\n"
		"(mode 0600) and a certificate.  Never overwrites a file.",
		list, CH_ARRAY_LEN(list), 1, 1};
	struct ch_err err;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	return make(&w, argv[1], &err) ? complain(&err) : 0;
}

/* "uri:…" for an identity's URI, else "sha256:…" of the certificate in the file. */
static int revocation_entry(
	const char *what, char ret_entry[ENTRY_B], char ret_uri[ENTRY_B], struct ch_err *err)
{
	struct ch_identity_uri uri;
	struct ch_pki_cert cert;
	char hex[65];
	int rc;

	if (strncmp(what, "certherd:", 9) == 0) {
		if (ch_identity_uri_parse(what, strlen(what), &uri))
			return ch_err_set(err, CH_EINVAL, "identity-uri",
				"\"%s\" is not an identity: certherd://role/scope/id", what);
		snprintf(ret_entry, ENTRY_B, "uri:%s", what);
		snprintf(ret_uri, ENTRY_B, "%s", what);
		return CH_OK;
	}
	rc = ch_pki_cert_read(what, &cert, err);
	if (rc)
		return rc;
	if (!*cert.uri)
		return ch_err_set(err, CH_EINVAL, "identity-uri",
			"%s is no identity but a CA or somebody else's certificate", what);
	ch_hex_encode(cert.sha256, sizeof(cert.sha256), hex);
	snprintf(ret_entry, ENTRY_B, "sha256:%s", hex);
	snprintf(ret_uri, ENTRY_B, "%s", cert.uri);
	return CH_OK;
}

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)) != NULL; at += len)
		if ((at == text || at[-1] == '\n') && (!at[len] || strchr(" \t\r\n", at[len])))
			return true;
	return false;
}

static int add_revoked(const char *config, const char *what, struct ch_err *err)
{
	CH_AUTO_FREE char *text = NULL;
	CH_AUTO_BUF struct ch_buf out;
	char entry[ENTRY_B];
	char uri[ENTRY_B];
	char when[CH_TIME_STR_B];
	struct place place;
	size_t len = 0;
	int rc = revocation_entry(what, entry, uri, err);

	ch_buf_init(&out, REVOKED_MAX_B);
	if (rc == CH_OK)
		rc = find_place(config, &place, err);
	if (rc)
		return rc;
	rc = ch_file_read(place.revoked, REVOKED_MAX_B, &text, &len, err);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (text && has_line(text, entry)) {
		printf("%s was revoked before.\n", what);
		return CH_OK;
	}
	(void)ch_buf_add(&out, text ? text : "", len);
	if (len && text[len - 1] != '\n')
		(void)ch_buf_add_str(&out, "\n");
	rc = ch_buf_addf(&out, "# %s %s\n%s\n", ch_time_str(ch_now_ms(), when), uri, entry);
	if (rc)
		return ch_err_set(err, rc, "revoked-size", "%s would be over %u bytes",
			place.revoked, REVOKED_MAX_B);
	ch_file_sweep(place.revoked);
	rc = ch_file_write_atomic(place.revoked, out.data, out.len, 0644, err);
	if (rc == CH_OK)
		printf("Revoked %s:\n  %s\n  in %s\nThe store refuses it within seconds; copy "
		       "the file "
		       "to the other stores if there are any.\n",
			uri, entry, place.revoked);
	return rc;
}

static int identity_revoke(int argc, char **argv)
{
	const char *config = NULL;
	const struct ch_opt list[] = {CH_OPT_CONFIG(&config)};
	const struct ch_opts opts = {"identity revoke", "FILE|URI [options]",
		"Adds a certificate (FILE), or all certificates of an identity (its URI\n"
		"certherd://role/scope/id), to the store's file of revoked ones.",
		list, CH_ARRAY_LEN(list), 1, 1};
	struct ch_err err;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	return add_revoked(config, argv[1], &err) ? complain(&err) : 0;
}

struct row {
	char file[256];
	struct ch_pki_cert cert;
};

static int by_uri(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->cert.uri, ((const struct row *)b)->cert.uri);
}

/* The identities among the .pem files; a file that is none is passed over. */
static int read_rows(const char *pki, struct row **ret_rows, size_t *ret_n, struct ch_err *err)
{
	CH_AUTO_FREE struct row *rows = NULL;
	DIR *dir = opendir(pki);
	const struct dirent *entry;
	size_t n = 0;

	if (!dir)
		return ch_err_set(
			err, CH_EIO, "pki", "cannot read %s: %s", pki, strerror(errno));
	while ((entry = readdir(dir)) != NULL && n < LIST_MAX) {
		char path[PATH_MAX];
		size_t len = strlen(entry->d_name);
		struct row *grown = reallocarray(rows, n + 1, sizeof(*rows));

		if (!grown) {
			closedir(dir);
			return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
		}
		rows = grown;
		if (len < 5 || strcmp(entry->d_name + len - 4, ".pem") != 0 ||
			ch_init_path(pki, entry->d_name, path) ||
			ch_pki_cert_read(path, &rows[n].cert, NULL) || !*rows[n].cert.uri)
			continue;
		snprintf(rows[n++].file, sizeof(rows->file), "%.255s", entry->d_name);
	}
	closedir(dir);
	qsort(rows, n, sizeof(*rows), by_uri);
	*ret_rows = TAKE_PTR(rows);
	*ret_n = n;
	return CH_OK;
}

static const char *state_of(const struct ch_pki_cert *cert, const char *revoked)
{
	char entry[ENTRY_B];
	char hex[65];

	ch_hex_encode(cert->sha256, sizeof(cert->sha256), hex);
	snprintf(entry, sizeof(entry), "sha256:%s", hex);
	if (has_line(revoked, entry))
		return "revoked";
	snprintf(entry, sizeof(entry), "uri:%s", cert->uri);
	if (has_line(revoked, entry))
		return "revoked";
	return cert->not_after_s * CH_SECOND_MS <= ch_now_ms() ? "expired" : "valid";
}

static void print_rows(const struct row *rows, size_t n, const char *revoked)
{
	static const char *const heads[] = {"IDENTITY", "EXPIRES", "STATE", "FILE"};
	struct ch_table table;
	char when[CH_TIME_STR_B];

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	for (size_t i = 0; i < n; i++) {
		ch_table_add(&table, rows[i].cert.uri);
		ch_table_addf(&table, "%.10s",
			ch_time_str(rows[i].cert.not_after_s * CH_SECOND_MS, when));
		ch_table_add(&table, state_of(&rows[i].cert, revoked));
		ch_table_add(&table, rows[i].file);
	}
	ch_table_print(&table, stdout);
	ch_table_done(&table);
}

static int print_rows_json(
	const struct row *rows, size_t n, const char *revoked, struct ch_err *err)
{
	CH_AUTO_JSON json_t *list = json_array();
	char when[CH_TIME_STR_B];

	for (size_t i = 0; i < n; i++) {
		const struct ch_pki_cert *cert = &rows[i].cert;
		/* A file's name may be any bytes: what is not UTF-8 is null. */
		json_t *file = json_string(rows[i].file);

		if (json_array_append_new(
			    list, json_pack("{s:s, s:s, s:s, s:o}", "identity", cert->uri,
					  "not_after",
					  ch_time_str(cert->not_after_s * CH_SECOND_MS, when),
					  "state", state_of(cert, revoked), "file",
					  file ? file : json_null())))
			return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	ch_json_print(list);
	return CH_OK;
}

static int list_identities(const char *config, bool json, struct ch_err *err)
{
	CH_AUTO_FREE struct row *rows = NULL;
	CH_AUTO_FREE char *revoked = NULL;
	char pki[PATH_MAX];
	struct place place;
	size_t len;
	size_t n = 0;
	int rc = find_place(config, &place, err);

	if (rc == CH_OK)
		rc = ch_init_path(place.dir, "pki", pki);
	if (rc == CH_OK)
		rc = read_rows(pki, &rows, &n, err);
	if (rc)
		return rc;
	rc = ch_file_read(place.revoked, REVOKED_MAX_B, &revoked, &len, err);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (json)
		return print_rows_json(rows, n, revoked ? revoked : "", err);
	print_rows(rows, n, revoked ? revoked : "");
	return CH_OK;
}

static int identity_list(int argc, char **argv)
{
	const char *config = NULL;
	bool json = false;
	const struct ch_opt list[] = {{"json", NULL, "prints JSON for programs", &json, NULL},
		CH_OPT_CONFIG(&config)};
	const struct ch_opts opts = {"identity list", "[--json]",
		"Lists the identities whose certificates are in the folder pki beside the\n"
		"configuration.",
		list, CH_ARRAY_LEN(list), 0, 0};
	struct ch_err err;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	return list_identities(config, json, &err) ? complain(&err) : 0;
}

int ch_identity_main(int argc, char **argv)
{
	static const struct ch_verb verbs[] = {
		{"new", "ROLE --id ID", "make an identity: key and certificate", identity_new},
		{"revoke", "FILE|URI", "the store refuses it from now on", identity_revoke},
		{"list", "", "those in the folder pki, with their expiry", identity_list},
	};

	ch_secret_harden_process();
	return ch_verbs_main("identity",
		"Who may talk to the store, and as what: each identity is a certificate for\n"
		"certherd://ROLE/SCOPE/ID, signed by the internal CA.",
		verbs, CH_ARRAY_LEN(verbs), argc, argv);
}
