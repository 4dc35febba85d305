/* `certherd account` and `certherd revoke`: what an operator does at a CA, on the issuer's
 * host, where the account key is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acme/client.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"
#include "crypto/keys.h"
#include "issuerd/ca.h"
#include "issuerd/issuerd.h"

#define EXIT_USAGE 2
#define PEM_MAX_B (160u * 1024u)
#define CA_OPTION                                                                              \
	{                                                                                      \
		"ca", "CA", "which CA: a name of `fallback` (default: main)", NULL, &c.name    \
	}

struct desk {
	const char *config_path;
	bool json;
	const char *name; /* of the CA */
	struct ch_conf *conf;
	struct ch_issuer_config *config;
	struct ch_ca ca;
	struct ch_http *http;
};

static int complain(const char *command, const struct ch_err *err)
{
	bool is_absent = err->rc == CH_ENOTFOUND &&
			 (strcmp(err->problem, "file") == 0 ||
				 strcmp(err->problem, "secret-file-open") == 0);

	fprintf(stderr, "certherd %s: %s\n", command, err->detail);
	return err->rc == CH_EINVAL || is_absent ? EXIT_USAGE : EXIT_FAILURE;
}

static void desk_close(struct desk *c)
{
	ch_http_free(c->http);
	if (c->ca.config)
		ch_ca_close(&c->ca);
	free(c->config);
	ch_conf_free(c->conf);
}

static const struct ch_ca_config *find(const struct ch_issuer_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_cas; i++)
		if (strcmp(config->cas[i].name, name) == 0)
			return &config->cas[i];
	return NULL;
}

static int desk_open(struct desk *c, struct ch_err *err)
{
	struct ch_http_options options = {.user_agent = "certherd/" CH_VERSION};
	const char *name = c->name ? c->name : CH_CA_MAIN;
	const struct ch_ca_config *ca;
	int rc = ch_conf_load(ch_opts_config(c->config_path), &c->conf, err);

	ch_secret_harden_process();
	ch_log_init("account", CH_LOG_WARN);
	c->config = calloc(1, sizeof(*c->config));
	if (rc == CH_OK && !c->config)
		rc = ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (rc == CH_OK)
		rc = ch_issuer_config_read(c->conf, c->config, err);
	if (rc)
		return rc;
	ca = find(c->config, name);
	if (!ca)
		return ch_err_set(err, CH_EINVAL, "no-such-ca",
			"there is no CA \"%s\": main, or one that `fallback` of [issuer] names",
			name);
	rc = ch_ca_open(ca, &c->ca, err);
	if (rc)
		return rc;
	options.ca_file = strcmp(ca->directory_ca, "system") == 0 ? NULL : ca->directory_ca;
	return ch_http_new_curl(&options, &c->http, err);
}

static int ask(struct desk *c, struct ch_acme *acme, const struct ch_acme_request *req,
	struct ch_acme_answer *ans, struct ch_err *err)
{
	if (ch_acme_run(acme, c->http, req, ans) == CH_ACME_OK)
		return CH_OK;
	*err = ans->err;
	if (!err->rc || err->rc == CH_EINVAL)
		err->rc = CH_EPROTO;
	return err->rc;
}

/* Looks the account of this key up at the CA; never makes one. */
static int find_account(
	struct desk *c, struct ch_acme *acme, char ret_url[CH_ACME_URL_B], struct ch_err *err)
{
	struct ch_acme_request req = {.kind = CH_ACME_FIND_ACCOUNT};
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	int rc;

	ch_acme_answer_init(&ans);
	rc = ask(c, acme, &req, &ans, err);
	if (rc)
		return rc;
	ch_acme_set_account(acme, ans.location);
	strcpy(ret_url, ans.location);
	return CH_OK;
}

/* Takes it over.  ASCII only: no character of a stranger's can steer the terminal. */
static int print_json(json_t *value, struct ch_err *err)
{
	if (!value)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(value);
	putchar('\n');
	return CH_OK;
}

/* null for what is no UTF-8, as a path may be. */
static json_t *text_json(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_null();
}

static int show_json(struct desk *c, const char *url, struct ch_err *err)
{
	json_t *error = err->rc ? json_pack("{s:s, s:o}", "code", err->problem, "detail",
					  text_json(err->detail))
				: json_null();

	return print_json(
		json_pack("{s:s, s:o, s:o, s:s, s:o, s:o}", "ca", c->ca.config->name,
			"directory", text_json(c->ca.config->directory), "key",
			text_json(c->ca.config->account_key), "thumbprint", c->ca.thumbprint,
			"account", err->rc ? json_null() : text_json(url), "error", error),
		err);
}

static int show(struct desk *c)
{
	char url[CH_ACME_URL_B] = "";
	struct ch_err err = {0};
	int rc = find_account(c, c->ca.acme, url, &err);

	if (c->json)
		return show_json(c, url, &err) || rc ? EXIT_FAILURE : EXIT_SUCCESS;
	printf("ca          %s\ndirectory   %s\nkey         %s\nthumbprint  %s\n",
		c->ca.config->name, c->ca.config->directory, c->ca.config->account_key,
		c->ca.thumbprint);
	printf("account     %s\n", rc ? err.detail : url);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int deactivate(struct desk *c, struct ch_err *err)
{
	struct ch_acme_request req = {.kind = CH_ACME_DEACTIVATE};
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	char url[CH_ACME_URL_B];
	int rc = find_account(c, c->ca.acme, url, err);

	ch_acme_answer_init(&ans);
	if (rc == CH_OK)
		rc = ask(c, c->ca.acme, &req, &ans, err);
	if (rc)
		return rc;
	if (c->json)
		return print_json(json_pack("{s:s, s:o, s:b}", "ca", c->ca.config->name,
					  "account", text_json(url), "deactivated", 1),
			err);
	printf("The account %s is deactivated: nothing can be ordered or revoked under it any "
	       "more.\n",
		url);
	return CH_OK;
}

/* The new key's file takes the old one's place, whose own stays beside it. */
static int swap_files(const char *now, const char *fresh, const char *old, struct ch_err *err)
{
	struct stat st;

	if (stat(now, &st) != 0 || link(now, old) != 0)
		return ch_err_set(err, CH_EIO, "account-key",
			"cannot keep the old key as %s: %s. The CA knows the new one: give "
			"this "
			"command again when that is mended",
			old, strerror(errno));
	/* Made by root, read by the issuer's user. */
	if (geteuid() == 0 && chown(fresh, st.st_uid, st.st_gid) != 0)
		return ch_err_set(err, CH_EIO, "account-key", "cannot give %s its owner: %s",
			fresh, strerror(errno));
	if (rename(fresh, now) != 0)
		return ch_err_set(err, CH_EIO, "account-key",
			"cannot rename %s to %s: %s. The CA knows the new key: rename it by "
			"hand",
			fresh, now, strerror(errno));
	return CH_OK;
}

/* A key that the CA knows already is that of a change of which the end was not reached here. */
static int change_at_ca(struct desk *c, EVP_PKEY *fresh, struct ch_err *err)
{
	struct ch_acme_request req = {.kind = CH_ACME_KEY_CHANGE, .new_key = fresh};
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	struct ch_acme *acme = NULL;
	char before[CH_ACME_URL_B] = "";
	char after[CH_ACME_URL_B] = "";
	struct ch_err ignored;
	int rc = ch_acme_new(c->ca.config->directory, fresh, &acme, err);
	bool known;

	ch_acme_answer_init(&ans);
	if (rc)
		return rc;
	known = find_account(c, acme, after, &ignored) == CH_OK;
	ch_acme_free(acme);
	rc = find_account(c, c->ca.acme, before, err);
	if (known && rc) {
		if (!c->json)
			printf("The CA knows the new key already, for %s.\n", after);
		return CH_OK;
	}
	if (known)
		return ch_err_set(err, CH_EINVAL, "account-key",
			"the new key is that of another account, %s: make a fresh one with "
			"`certherd key account FILE`",
			after);
	return rc ? rc : ask(c, c->ca.acme, &req, &ans, err);
}

static int roll_over(struct desk *c, const char *path, struct ch_err *err)
{
	const char *now = c->ca.config->account_key;
	char print[CH_THUMBPRINT_TEXT_B];
	CH_AUTO_PKEY EVP_PKEY *fresh = NULL;
	char old[4096];
	int rc = ch_key_load_pem(path, &fresh, err);

	if (rc == CH_OK && ch_jwk_thumbprint(fresh, print))
		rc = ch_err_set(err, CH_EINVAL, "account-key", "%s is not a P-256 key", path);
	if (rc == CH_OK && strcmp(print, c->ca.thumbprint) == 0)
		rc = ch_err_set(
			err, CH_EINVAL, "account-key", "%s is the account's key now", path);
	if (rc)
		return rc;
	snprintf(old, sizeof(old), "%s.old", now);
	if (access(old, F_OK) == 0)
		return ch_err_set(err, CH_EINVAL, "account-key",
			"%s is there, from a change before: remove it first, if all goes well "
			"with the key that came after it",
			old);
	rc = change_at_ca(c, fresh, err);
	if (rc == CH_OK)
		rc = swap_files(now, path, old, err);
	if (rc)
		return rc;
	if (c->json)
		return print_json(json_pack("{s:s, s:s, s:o, s:o}", "ca", c->ca.config->name,
					  "thumbprint", print, "key", text_json(now), "old_key",
					  text_json(old)),
			err);
	printf("The account has a new key, with the thumbprint\n  %s\nThe old one is in %s. "
	       "Start the issuers again, each with the new one (until then they order "
	       "nothing), "
	       "and have the edges pin the new thumbprint first.\n",
		print, old);
	return CH_OK;
}

int ch_account_main(int argc, char **argv)
{
	CH_CLEANUP(desk_close) struct desk c = {.name = NULL};
	const char *fresh = NULL;
	bool off = false;
	bool sure = false;
	struct ch_err err = {0};
	const struct ch_opt list[] = {CA_OPTION,
		{"rollover", "FILE",
			"replace the account's key by the one in FILE (`certherd key account "
			"FILE` "
			"makes it)",
			NULL, &fresh},
		{"deactivate", NULL, "close the account at the CA, for good", &off, NULL},
		{"yes", NULL, "do what cannot be undone", &sure, NULL},
		{"json", NULL, "prints JSON for programs", &c.json, NULL},
		CH_OPT_CONFIG(&c.config_path)};
	const struct ch_opts opts = {"account", "[options]",
		"Shows the issuer's account at a CA, as the CA knows it; to be called on the\n"
		"issuer's host. Before --rollover, stop the issuers, and have all edges pin "
		"the\n"
		"new thumbprint beside the old one (certherd_account_thumbprint).",
		list, CH_ARRAY_LEN(list), 0, 0};
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
	if (off && fresh)
		return complain("account", (ch_err_set(&err, CH_EINVAL, "usage",
						    "--rollover or --deactivate, not both"),
						   &err));
	if ((off || fresh) && !sure) {
		(void)ch_err_set(&err, CH_EINVAL, "usage",
			"this cannot be undone, and what it asks of you before is in --help: "
			"give "
			"--yes too");
		return complain("account", &err);
	}
	rc = desk_open(&c, &err);
	if (rc == CH_OK && !off && !fresh)
		return show(&c);
	if (rc == CH_OK)
		rc = off ? deactivate(&c, &err) : roll_over(&c, fresh, &err);
	return rc ? complain("account", &err) : EXIT_SUCCESS;
}

static int parse_reason(const char *text, int *ret_reason, struct ch_err *err)
{
	static const struct {
		const char *word;
		int code;
	} reasons[] = {
#define X(id, name) {name, id},
		CH_REVOKE_REASONS(X)
#undef X
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(reasons); i++) {
		if (strcmp(text, reasons[i].word) == 0) {
			*ret_reason = reasons[i].code;
			return CH_OK;
		}
	}
	return ch_err_set(err, CH_EINVAL, "usage",
		"there is no reason \"%s\": unspecified, keyCompromise, affiliationChanged, "
		"superseded, cessationOfOperation or privilegeWithdrawn",
		text);
}

static int read_pem(const char *path, char **ret_text, size_t *ret_len, struct ch_err *err)
{
	struct ch_buf buf;
	char part[4096];
	size_t n;

	if (strcmp(path, "-") != 0)
		return ch_file_read(path, PEM_MAX_B, ret_text, ret_len, err);
	ch_buf_init(&buf, PEM_MAX_B);
	while ((n = fread(part, 1, sizeof(part), stdin)) > 0 && !buf.rc)
		(void)ch_buf_add(&buf, part, n);
	if (buf.rc) {
		ch_buf_done(&buf);
		return ch_err_set(err, CH_EINVAL, "cert-parse",
			"standard input has more than %u bytes: a certificate in PEM is "
			"expected",
			PEM_MAX_B);
	}
	*ret_len = buf.len;
	*ret_text = buf.data ? (char *)TAKE_PTR(buf.data) : strdup("");
	return *ret_text ? CH_OK : ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
}

static int revoke_cert(struct desk *c, const char *path, int reason, struct ch_err *err)
{
	struct ch_acme_request req = {.kind = CH_ACME_REVOKE, .reason = reason};
	CH_AUTO_FREE struct ch_cert_info *info = malloc(sizeof(*info));
	struct ch_cert_chain *chain = NULL;
	CH_AUTO_FREE char *pem = NULL;
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	char url[CH_ACME_URL_B];
	size_t len;
	int rc = info ? read_pem(path, &pem, &len, err) : CH_ENOMEM;

	ch_acme_answer_init(&ans);
	if (rc == CH_OK)
		rc = ch_cert_chain_parse_pem(pem, len, &chain, err);
	if (rc == CH_OK)
		rc = ch_cert_chain_leaf_info(chain, info, err);
	if (rc) {
		ch_cert_chain_free(chain);
		err->rc = CH_EINVAL;
		return rc;
	}
	ch_cert_chain_der(chain, 0, &req.cert, &req.cert_len);
	rc = find_account(c, c->ca.acme, url, err);
	if (rc == CH_OK)
		rc = ask(c, c->ca.acme, &req, &ans, err);
	ch_cert_chain_free(chain);
	if (rc && strstr(ch_acme_problem_type(ans.doc), "alreadyRevoked")) {
		printf("%s was revoked before.\n", info->serial);
		return CH_OK;
	}
	if (rc == CH_OK)
		printf("%s is revoked (%s%s).\n", info->serial,
			info->n_names ? info->names[0] : "no name",
			info->n_names > 1 ? ", …" : "");
	return rc;
}

int ch_revoke_main(int argc, char **argv)
{
	CH_CLEANUP(desk_close) struct desk c = {.name = NULL};
	const char *word = "unspecified";
	struct ch_err err = {0};
	const struct ch_opt list[] = {
		{"reason", "REASON",
			"unspecified, keyCompromise, affiliationChanged, superseded, "
			"cessationOfOperation or privilegeWithdrawn",
			NULL, &word},
		CA_OPTION, CH_OPT_CONFIG(&c.config_path)};
	const struct ch_opts opts = {"revoke", "FILE|- [options]",
		"Has the CA revoke the certificate in FILE (PEM; of a chain, the first one), "
		"which "
		"was\nissued to the issuer's account; to be called on the issuer's host:\n"
		"  certherd cert show NAME --pem | certherd revoke - --reason keyCompromise\n"
		"Nothing is replaced by it: give the name a new certificate first.",
		list, CH_ARRAY_LEN(list), 1, 1};
	int reason = 0;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
	rc = parse_reason(word, &reason, &err);
	if (rc == CH_OK)
		rc = desk_open(&c, &err);
	if (rc == CH_OK)
		rc = revoke_cert(&c, argv[1], reason, &err);
	return rc ? complain("revoke", &err) : EXIT_SUCCESS;
}
