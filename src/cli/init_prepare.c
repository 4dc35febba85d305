/* What was asked of `certherd init`, checked before anything is made. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/user.h"
#include "cli/init.h"
#include "crypto/pki.h"
#include "crypto/x509.h"

#define DIRECTORY_DEFAULT "https://acme-v02.api.letsencrypt.org/directory"
#define LISTEN_DEFAULT "127.0.0.1:8443"
#define HOST_B 254

static int bad(struct ch_err *err, const char *option, const char *value, const char *want)
{
	return ch_err_set(err, CH_EINVAL, "option", "--%s \"%s\": %s", option, value, want);
}

/* Values go into an INI file: one line, no comment. */
static int check_lines(const struct ch_init *init, struct ch_err *err)
{
	const struct {
		const char *option;
		const char *value;
	} values[] = {{"directory", init->directory}, {"directory-ca", init->directory_ca},
		{"roots", init->roots}, {"contact", init->contact}, {"eab-kid", init->eab_kid},
		{"probe", init->probe}, {"store-listen", init->store_listen},
		{"nginx-group", init->nginx_group}, {"store-user", init->store_user},
		{"issuer-user", init->issuer_user}, {"agent-user", init->agent_user}};

	for (size_t i = 0; i < CH_ARRAY_LEN(values); i++) {
		const char *v = values[i].value;

		if (!v)
			continue;
		if (!*v || isspace((unsigned char)*v) ||
			isspace((unsigned char)v[strlen(v) - 1]))
			return bad(err, values[i].option, v, "is empty or has space around it");
		for (; *v; v++)
			if ((unsigned char)*v < 0x20 || *v == ';' || *v == 0x7f)
				return bad(err, values[i].option, values[i].value,
					"has a character that certherd.conf cannot hold");
	}
	return CH_OK;
}

static int check_urls(struct ch_init *init, struct ch_err *err)
{
	if (!init->directory)
		init->directory = DIRECTORY_DEFAULT;
	if (strncmp(init->directory, "https://", 8) != 0 || !init->directory[8] ||
		strchr(init->directory, ' '))
		return bad(err, "directory", init->directory, "must be an https:// URL");
	if (init->contact && strncmp(init->contact, "mailto:", 7) != 0)
		return bad(
			err, "contact", init->contact, "must be mailto:somebody@example.com");
	if (!init->eab_kid != !init->eab_hmac_file)
		return ch_err_set(err, CH_EINVAL, "option",
			"--eab-kid and --eab-hmac-file belong together");
	return CH_OK;
}

/* "ADDRESS:PORT" or "[IPv6]:PORT".  Port 0 only where a free one may be taken. */
static int split_address(const char *text, char ret_host[HOST_B], char ret_port[8])
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	size_t port_len = colon ? strlen(colon + 1) : 0;
	unsigned char binary[16];

	if (port_len == 0 || port_len > 5 || strspn(colon + 1, "0123456789") != port_len ||
		atoi(colon + 1) > 65535)
		return CH_EINVAL;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= HOST_B)
		return CH_EINVAL;
	memcpy(ret_host, text, len);
	ret_host[len] = 0;
	memcpy(ret_port, colon + 1, port_len + 1);
	if (inet_pton(strchr(ret_host, ':') ? AF_INET6 : AF_INET, ret_host, binary) != 1)
		return CH_EINVAL;
	return CH_OK;
}

static int is_address(const char *host)
{
	unsigned char binary[16];

	return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

static int add_san(struct ch_init *init, const char *host, struct ch_err *err)
{
	const char *prefix = strncmp(host, "DNS:", 4) == 0 || strncmp(host, "IP:", 3) == 0 ? ""
			     : is_address(host) ? "IP:"
						: "DNS:";
	char san[sizeof(init->sans[0])];

	if (init->n_sans == CH_INIT_SANS_MAX || strlen(host) >= HOST_B)
		return bad(err, "store-san", host, "is too long, or there are too many");
	snprintf(san, sizeof(san), "%s%s", prefix, host);
	for (size_t i = 0; i < init->n_sans; i++)
		if (strcmp(init->sans[i], san) == 0)
			return CH_OK;
	memcpy(init->sans[init->n_sans++], san, sizeof(san));
	return CH_OK;
}

static int add_given_sans(struct ch_init *init, struct ch_err *err)
{
	CH_AUTO_FREE char *copy = strdup(init->store_san ? init->store_san : "");
	char *rest = copy;
	char *item;
	int rc = CH_OK;

	if (!copy)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	while (rc == CH_OK && (item = strsep(&rest, ",")) != NULL) {
		item += strspn(item, " ");
		if (*item)
			rc = add_san(init, item, err);
	}
	return rc;
}

static const char *bare_host(const char *san)
{
	return strchr(san, ':') + 1;
}

/* The names in the store's certificate, and the URL that the other roles find it under. */
static int work_out_store(struct ch_init *init, struct ch_err *err)
{
	char host[HOST_B] = "127.0.0.1";
	char port[8] = "8443";
	const char *reach;
	int any;
	int rc = add_given_sans(init, err);

	if (rc)
		return rc;
	if (init->store_listen && split_address(init->store_listen, host, port))
		return bad(err, "store-listen", init->store_listen,
			"must be ADDRESS:PORT, such as 192.0.2.1:8443 or [2001:db8::1]:8443");
	any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
	reach = !any ? host : init->n_sans ? bare_host(init->sans[0]) : "127.0.0.1";
	snprintf(init->store_url, sizeof(init->store_url),
		strchr(reach, ':') ? "https://[%s]:%s" : "https://%s:%s", reach, port);
	rc = any ? CH_OK : add_san(init, host, err);
	if (rc == CH_OK)
		rc = add_san(init, "localhost", err);
	if (rc == CH_OK)
		rc = add_san(init, "127.0.0.1", err);
	return rc ? rc : add_san(init, "::1", err);
}

static int check_probe(const struct ch_init *init, struct ch_err *err)
{
	char host[HOST_B];
	char port[8];

	if (!init->probe || strcmp(init->probe, "dns") == 0 ||
		strcmp(init->probe, "off") == 0 ||
		split_address(init->probe, host, port) == CH_OK)
		return CH_OK;
	return bad(err, "probe", init->probe, "must be dns, off, or ADDRESS:PORT");
}

static int check_edge(struct ch_init *init, struct ch_err *err)
{
	char uri[300];
	struct ch_identity_uri parts;

	if (!init->edge)
		init->edge = "e1";
	if (!init->pool)
		init->pool = "default";
	snprintf(uri, sizeof(uri), "certherd://edge/%.100s/%.100s", init->pool, init->edge);
	if (ch_identity_uri_parse(uri, strlen(uri), &parts))
		return ch_err_set(err, CH_EINVAL, "option",
			"--pool \"%s\" and --edge \"%s\": each must be 1 to 63 of [a-z0-9._-]",
			init->pool, init->edge);
	return CH_OK;
}

/* A word, or a PEM file that can be read: then its absolute path. */
static int check_trust(const char *option, const char *value, const char *words,
	char ret_value[PATH_MAX], struct ch_err *err)
{
	struct ch_trust *trust;
	const char *word = value ? strstr(words, value) : NULL;
	size_t len = value ? strlen(value) : 0;

	ret_value[0] = 0;
	if (!value)
		return CH_OK;
	if (word && (word == words || word[-1] == ' ') && (!word[len] || word[len] == ' ')) {
		snprintf(ret_value, PATH_MAX, "%s", value);
		return CH_OK;
	}
	if (!realpath(value, ret_value))
		return bad(err, option, value, strerror(errno));
	if (ch_trust_load(ret_value, &trust, err))
		return bad(err, option, value, "has no certificate in PEM form");
	ch_trust_free(trust);
	return CH_OK;
}

static int check_users(struct ch_init *init, struct ch_err *err)
{
	const char *const given[] = {init->store_user, init->issuer_user, init->agent_user};
	struct ch_user user;
	gid_t gid;
	int rc;

	for (size_t i = 0; i < CH_ARRAY_LEN(given); i++) {
		if (!given[i])
			continue;
		rc = ch_user_parse(given[i], &user, err);
		if (rc == CH_ENOTFOUND)
			(void)ch_err_set(err, CH_EINVAL, "user-unknown",
				"there is no user %s: make it with `useradd --system "
				"--no-create-home --shell /usr/sbin/nologin %s`, or give - to "
				"go "
				"without separation",
				given[i], given[i]);
		if (rc)
			return CH_EINVAL;
	}
	if (init->nginx_group && ch_group_parse(init->nginx_group, &gid, err))
		return bad(err, "nginx-group", init->nginx_group, "there is no such group");
	/* Debian's nginx. */
	if (!init->nginx_group && geteuid() == 0 &&
		ch_group_parse("www-data", &gid, NULL) == CH_OK)
		init->nginx_group = "www-data";
	return CH_OK;
}

int ch_init_prepare(struct ch_init *init, struct ch_err *err)
{
	int rc = check_lines(init, err);

	if (rc == CH_OK)
		rc = check_urls(init, err);
	if (rc == CH_OK)
		rc = work_out_store(init, err);
	if (rc == CH_OK)
		rc = check_probe(init, err);
	if (rc == CH_OK)
		rc = check_edge(init, err);
	if (rc == CH_OK)
		rc = check_trust("directory-ca", init->directory_ca, "system",
			init->directory_ca_path, err);
	if (rc == CH_OK)
		rc = check_trust("roots", init->roots, "system any", init->roots_path, err);
	return rc ? rc : check_users(init, err);
}
