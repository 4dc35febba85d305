#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "issuerd/config.h"

#define MAIN_SECTION "issuer"
#define SECTION_PREFIX "ca "

static int add_contact(const char *item, void *arg)
{
	struct ch_ca_config *ca = arg;

	if (ca->signup.n_contacts == CH_ACME_CONTACTS_MAX ||
		strlen(item) >= sizeof(ca->contacts[0]))
		return CH_ETOOBIG;
	strcpy(ca->contacts[ca->signup.n_contacts++], item);
	return CH_OK;
}

int ch_issuer_config_host(const char *item, char ret_name[CH_DNS_NAME_B])
{
	size_t len = strlen(item);

	if (len && item[len - 1] == '.')
		len--;
	if (len == 0 || len >= CH_DNS_NAME_B)
		return CH_EINVAL;
	memcpy(ret_name, item, len);
	ret_name[len] = 0;
	return strpbrk(ret_name, " \t/:@") ? CH_EINVAL : CH_OK;
}

static int add_identity(const char *item, void *arg)
{
	struct ch_ca_config *ca = arg;

	if (ca->n_caa_identities == CH_CAA_IDENTITIES_MAX)
		return CH_ETOOBIG;
	return ch_issuer_config_host(item, ca->caa_identities[ca->n_caa_identities++]);
}

/* What is known of a CA by the host of its directory. */
static const char *preset_of(const char *directory)
{
	static const struct {
		const char *host;
		const char *preset;
	} known[] = {
		{"https://acme-v02.api.letsencrypt.org/", "letsencrypt"},
		{"https://acme-staging-v02.api.letsencrypt.org/", "letsencrypt-staging"},
		{"https://acme.zerossl.com/", "zerossl"},
		{"https://dv.acme-v02.api.pki.goog/", "google"},
	};

	for (size_t i = 0; directory && i < CH_ARRAY_LEN(known); i++)
		if (strncmp(directory, known[i].host, strlen(known[i].host)) == 0)
			return known[i].preset;
	return "generic";
}

static const char *optional(struct ch_conf *conf, const char *section, const char *key)
{
	const char *text = ch_conf_str(conf, section, key, "");

	return text && *text ? text : NULL;
}

static void read_eab(struct ch_conf *conf, const char *section, struct ch_ca_config *ca)
{
	const char *kid = ch_conf_str(conf, section, "eab_kid", "");

	ca->signup.eab_kid = kid[0] ? kid : NULL;
	ca->eab_hmac_file = ch_conf_path(conf, section, "eab_hmac_file", "");
	if (!ca->eab_hmac_file[0] != !kid[0])
		ch_conf_fail(conf, section, "eab_kid", "goes with eab_hmac_file: set both");
}

/* key, state: the files of the account, when the section does not say. */
static void read_ca(struct ch_conf *conf, const char *section, const char *key,
	const char *state, struct ch_ca_config *ca)
{
	ca->directory = ch_conf_str(conf, section, "directory", NULL);
	if (ca->directory && !ch_acme_url_ok(ca->directory))
		ch_conf_fail(conf, section, "directory", "must be an https:// URL");
	ca->directory_ca = ch_conf_str(conf, section, "directory_ca", "system");
	if (strcmp(ca->directory_ca, "system") != 0)
		ca->directory_ca = ch_conf_path(conf, section, "directory_ca", NULL);
	ca->roots = ch_conf_str(conf, section, "roots", "system");
	if (strcmp(ca->roots, "system") != 0 && strcmp(ca->roots, "any") != 0)
		ca->roots = ch_conf_path(conf, section, "roots", NULL);
	ch_conf_list(conf, section, "contact", "", "URLs such as mailto:ops@example.com",
		add_contact, ca);
	ca->terms_agreed = ch_conf_bool(conf, section, "terms_agreed", false);
	read_eab(conf, section, ca);
	ca->account_key = ch_conf_path(conf, section, "account_key", key);
	ca->account_state = ch_conf_path(conf, section, "account_state", state);
	ca->profile = optional(conf, section, "profile");
	ca->preferred_chain = optional(conf, section, "preferred_chain");
	ch_conf_list(conf, section, "caa_identities", "", "domain names", add_identity, ca);
	ca->timeout_ms = ch_conf_duration(
		conf, section, "ca_timeout", "30s", CH_SECOND_MS, 5 * CH_MINUTE_MS);
	ch_limits_read(conf, section, preset_of(ca->directory), &ca->limits);
}

/* "none" would be taken for no standby. */
static bool is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len < CH_CA_NAME_B && !text[len] && strcmp(text, "none") != 0;
}

struct naming {
	struct ch_conf *conf;
	struct ch_issuer_config *config;
};

static const char *find_section(const struct ch_conf *conf, const char *name)
{
	const char *section;

	for (size_t i = 0; (section = ch_conf_section(conf, i)) != NULL; i++)
		if (strncmp(section, SECTION_PREFIX, strlen(SECTION_PREFIX)) == 0 &&
			strcmp(section + strlen(SECTION_PREFIX), name) == 0)
			return section;
	return NULL;
}

static const struct ch_ca_config *find_ca(
	const struct ch_issuer_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_cas; i++)
		if (strcmp(config->cas[i].name, name) == 0)
			return &config->cas[i];
	return NULL;
}

static int add_fallback(const char *item, void *arg)
{
	struct naming *naming = arg;
	struct ch_issuer_config *config = naming->config;
	const char *section = find_section(naming->conf, item);
	const char *why = NULL;

	if (!is_name(item))
		why = "a name has 1 to 31 of a-z, 0-9 and -, and is not \"none\"";
	else if (!section)
		why = "there is no such [ca NAME] section";
	else if (find_ca(config, item))
		why = "it is named twice, or is \"" CH_CA_MAIN "\"";
	else if (config->n_cas == CH_CAS_MAX)
		why = "there are too many";
	if (why) {
		ch_conf_fail(naming->conf, MAIN_SECTION, "fallback", "%s: %s", item, why);
		return CH_EINVAL;
	}
	config->cas[config->n_cas++].name = section + strlen(SECTION_PREFIX);
	return CH_OK;
}

/* One that is never asked would be taken for one that is. */
static void refuse_unused(struct ch_conf *conf, const struct ch_issuer_config *config)
{
	const char *section;

	for (size_t i = 0; (section = ch_conf_section(conf, i)) != NULL; i++)
		if (strncmp(section, SECTION_PREFIX, strlen(SECTION_PREFIX)) == 0 &&
			!find_ca(config, section + strlen(SECTION_PREFIX)))
			ch_conf_fail(conf, MAIN_SECTION, "fallback",
				"does not name [%s], which would not be used", section);
}

static void read_fallback(struct ch_conf *conf, struct ch_ca_config *ca)
{
	char section[sizeof(SECTION_PREFIX) + CH_CA_NAME_B];
	char key[64];
	char state[64];

	snprintf(section, sizeof(section), SECTION_PREFIX "%s", ca->name);
	snprintf(key, sizeof(key), "issuer/account-%s.key", ca->name);
	snprintf(state, sizeof(state), "issuer/state/account-%s.json", ca->name);
	read_ca(conf, section, key, state, ca);
}

/* Two accounts with one CA could not be told apart in what the edges and the limits go by. */
static void refuse_twins(struct ch_conf *conf, const struct ch_issuer_config *config)
{
	for (size_t i = 0; i < config->n_cas; i++)
		for (size_t n = 0; n < i; n++)
			if (config->cas[i].directory && config->cas[n].directory &&
				strcmp(config->cas[i].directory, config->cas[n].directory) == 0)
				ch_conf_fail(conf, MAIN_SECTION, "fallback",
					"%s and %s have the same directory",
					config->cas[n].name, config->cas[i].name);
}

void ch_issuer_config_cas(struct ch_conf *conf, struct ch_issuer_config *config)
{
	struct naming naming = {.conf = conf, .config = config};

	config->cas[0].name = CH_CA_MAIN;
	config->n_cas = 1;
	read_ca(conf, MAIN_SECTION, "issuer/account.key", "issuer/state/account.json",
		&config->cas[0]);
	ch_conf_list(conf, MAIN_SECTION, "fallback", "", "names of [ca NAME] sections",
		add_fallback, &naming);
	for (size_t i = 1; i < config->n_cas; i++)
		read_fallback(conf, &config->cas[i]);
	refuse_twins(conf, config);
	refuse_unused(conf, config);
	config->standby = optional(conf, MAIN_SECTION, "standby");
	if (config->standby && (!find_ca(config, config->standby) || config->n_cas < 2))
		ch_conf_fail(conf, MAIN_SECTION, "standby",
			"must be one of several CAs: " CH_CA_MAIN ", or a name in `fallback`");
}

int ch_issuer_config_finish_cas(
	struct ch_conf *conf, struct ch_issuer_config *config, struct ch_err *err)
{
	char section[sizeof(SECTION_PREFIX) + CH_CA_NAME_B];
	int rc = CH_OK;

	for (size_t i = 1; rc == CH_OK && i < config->n_cas; i++) {
		snprintf(section, sizeof(section), SECTION_PREFIX "%s", config->cas[i].name);
		rc = ch_conf_finish(conf, section, err);
	}
	for (size_t i = 0; i < config->n_cas; i++)
		for (size_t n = 0; n < config->cas[i].signup.n_contacts; n++)
			config->cas[i].signup.contacts[n] = config->cas[i].contacts[n];
	return rc;
}
