/* The commented certherd.conf.  One table says every key, its default and what it means; the
 * same facts are in doc/configuration.md, and a test compares the two. */
#include <string.h>

#include "base/mem.h"
#include "cli/init.h"

struct key {
	const char *section;
	const char *key;
	const char *fallback; /* NULL: required */
	const char *help; /* lines of a comment, without '#'; NULL: belongs to the one before */
};

#define IDENTITY(section, name)                                                                \
	{section, "identity_cert", "pki/" name ".pem", "this role's identity"},                \
		{section, "identity_key", "pki/" name ".key", NULL},                           \
	{                                                                                      \
		section, "identity_ca", "pki/ca.pem", "who signs the store's certificate"      \
	}
#define STORE(section)                                                                         \
	{                                                                                      \
		section, "store", "https://127.0.0.1:8443",                                    \
			"API of the store; several URLs, comma-separated, are tried in turn"   \
	}
#define LOG_LEVEL(section)                                                                     \
	{                                                                                      \
		section, "log_level", "info", "error, warn, info, debug"                       \
	}

static const struct key keys[] = {
	{"store", "listen", "127.0.0.1:8443",
		"addresses of the API, comma-separated, [::1]:8443 for IPv6; port 0 takes a "
		"free "
		"one"},
	{"store", "port_file", "",
		"where the first port that is listened on is written (for tests)"},
	{"store", "database", "sqlite:store/certherd.db", "where everything is kept"},
	{"store", "cert", "pki/store.pem", "server identity"},
	{"store", "key", "pki/store.key", NULL},
	{"store", "identity_ca", "pki/ca.pem", "signs every role"},
	{"store", "edge_ca", "pki/edge-ca.pem", "signs edge identities only"},
	{"store", "revoked", "pki/revoked",
		"revoked identities, see `certherd identity revoke`; read again when it "
		"changes"},
	{"store", "signers", "store/signers",
		"public signing keys: after a restore only what they have signed is taken "
		"back"},
	{"store", "keys", "ecdsa",
		"certificates of new names that say nothing: ecdsa, p384 or rsa; ecdsa+rsa or "
		"p384+rsa for two"},
	{"store", "edge_timeout", "60s", "an edge not seen for so long holds nothing up"},
	{"store", "tombstone_keep", "30d", "how long removals are remembered for absent edges"},
	{"store", "history_keep", "400d",
		"how long the history of names is kept, but for the last history_least "
		"entries of\neach name that is registered"},
	{"store", "history_least", "10", NULL},
	{"store", "orders_keep", "90d", "how long orders that have ended are kept"},
	{"store", "audit_keep", "400d", "how long the audit log is kept"},
	{"store", "claims", "on",
		"whether taking a name over from another tenant takes a TXT record as proof"},
	{"store", "wildcards", "no",
		"whether *.NAME may be registered; the issuer needs [dns] for them"},
	{"store", "resolvers", "",
		"DNS resolvers by which `claims` look, ADDRESS or ADDRESS:PORT; empty: this "
		"host's"},
	{"store", "threads", "4", "of the API server"},
	{"store", "identify_within", "20s",
		"a connection without an accepted client certificate is closed after so long"},
	{"store", "connections_per_identity", "512",
		"connections of one identity; an issuer has workers + 2"},
	LOG_LEVEL("store"),

	STORE("issuer"),
	IDENTITY("issuer", "issuer"),
	{"issuer", "directory", NULL, "the CA: URL of its ACME directory"},
	{"issuer", "directory_ca", "system",
		"trust anchor for the directory's HTTPS: system, or a PEM file"},
	{"issuer", "roots", "system",
		"what the chain of a new certificate is judged against: system, any, or a PEM "
		"file"},
	{"issuer", "contact", "", "mailto:…, comma-separated"},
	{"issuer", "terms_agreed", "no",
		"yes, once you have read the CA's terms of service: no account is made before"},
	{"issuer", "eab_kid", "", "external account binding, for CAs that ask for it"},
	{"issuer", "eab_hmac_file", "", "the file holds the base64url key, mode 0600"},
	{"issuer", "fallback", "",
		"further CAs, in this order: the names of sections [ca NAME]"},
	{"issuer", "profile", "", "certificate profile to ask for; empty: the CA's default"},
	{"issuer", "preferred_chain", "",
		"common name of an issuer that the chain to serve should have"},
	{"issuer", "ca_timeout", "30s",
		"how long the CA may take for the answer to one request; below lease"},
	{"issuer", "account_key", "issuer/account.key", "ACME account key (P-256)"},
	{"issuer", "account_state", "issuer/state/account.json",
		"the account's URL, once it exists"},
	{"issuer", "limits", "",
		"what the CA allows: letsencrypt, letsencrypt-staging, zerossl, google, "
		"generic;\n"
		"empty: by the host of directory. Each of the next overrides a part, as "
		"300/3h"},
	{"issuer", "orders_per_account", "", "new orders"},
	{"issuer", "certificates_per_domain", "", "for one registered domain"},
	{"issuer", "certificates_per_set", "", "for the very same names"},
	{"issuer", "failures_per_name", "", "failed validations of a name"},
	{"issuer", "new_order_requests", "", "requests for new orders"},
	{"issuer", "new_nonce_requests", "", "requests for nonces"},
	{"issuer", "requests", "", "all other requests"},
	{"issuer", "renewals_exempt", "",
		"whether renewals are free of the limits of account and domain: yes or no"},
	{"issuer", "signing_key", "issuer/signing.key", "signs the edge records"},
	{"issuer", "recipients", "issuer/recipients",
		"who can open the leaf keys: one certherd-pub-… a line"},
	{"issuer", "standby", "",
		"the CA of standby certificates: main, or a name in fallback"},
	{"issuer", "key_type", "p256",
		"curve of the keys of names that say ecdsa: p256 or p384"},
	{"issuer", "rsa_bits", "2048", "size of RSA keys: 2048, 3072 or 4096"},
	{"issuer", "workers", "16", "threads, each making one step at a time; 1 to 256"},
	{"issuer", "lease", "60s",
		"how long an order is one worker's, should it vanish meanwhile"},
	{"issuer", "retry_ladder", "1m,10m,100m,1d",
		"waits after the 1st, 2nd, … failure of a name; the last repeats"},
	{"issuer", "retry_jitter_percent", "20", "of each wait, at random"},
	{"issuer", "poll_interval", "500ms",
		"between polls of a CA that names no Retry-After; doubles up to 30 s"},
	{"issuer", "renew_left_percent", "33", "renew when so much of the lifetime is left"},
	{"issuer", "renew_jitter_percent", "5",
		"of the lifetime: over so much renewals are spread where it is too short for "
		"the\n"
		"calendar of hours"},
	{"issuer", "ari", "yes", "ask the CA when to renew (RFC 9773), if it can be asked"},
	{"issuer", "metrics", "",
		"where Prometheus gets figures: an address of loopback, 127.0.0.1:9101"},
	{"issuer", "ari_rate", "30", "such requests a second; orders have limits of their own"},
	{"issuer", "step_tries", "10",
		"tries of one order at a CA with passing errors, before it counts as failed"},
	{"issuer", "edge_wait", "15m",
		"how long an order waits for edges that report but do not get the name, while\n"
		"others have it"},
	{"issuer", "ticket_rotation", "24h",
		"how long each key makes session tickets; edges share them, so that visitors\n"
		"resume on any; 0s: none are made"},
	{"issuer", "probe", "dns",
		"how a publication is confirmed: dns (the name's public addresses, port 443),\n"
		"off, or ADDRESS:PORT"},
	{"issuer", "probe_tries", "5",
		"after so many the name is active with the reason probe-mismatch or "
		"probe-unreachable"},
	{"issuer", "preflight", "auto",
		"look at a name's DNS and CAA before an attempt is spent at the CA: on, off, "
		"or\n"
		"auto: with probe = dns, and with addresses or targets"},
	{"issuer", "addresses", "",
		"where the platform's names lead: 192.0.2.0/24, 2001:db8::1, …"},
	{"issuer", "targets", "",
		"host names that customers' CNAMEs may lead to; *.edge.example.net: any below"},
	{"issuer", "self_check", "auto",
		"fetch a probe token through the name's address, port 80: on, off, or auto: "
		"with\n"
		"addresses or targets"},
	{"issuer", "preflight_port", "80", "of that fetch"},
	{"issuer", "resolvers", "",
		"DNS resolvers of the preflight, ADDRESS or ADDRESS:PORT; empty: this host's"},
	{"issuer", "caa_identities", "",
		"by which names CAA records mean the CA; empty: as its directory says"},
	{"issuer", "preflight_ladder", "1m,2m,5m,10m,30m,1h,3h,6h",
		"waits after the 1st, 2nd, … failure of a name before the CA was asked"},
	{"issuer", "moved_after", "7d",
		"a name whose DNS has led elsewhere for so long is moved: not renewed, and "
		"looked at\n"
		"ever more rarely, until it leads here again; 0s: never"},
	{"issuer", "challenge", "http-01",
		"how names are validated: http-01, tls-alpn-01 (port 443 alone), dns-01 "
		"(see [dns]),\n"
		"or dns-persist-01 (a TXT record that customers publish once)"},
	{"issuer", "wildcard_challenge", "auto",
		"how wildcards are: dns-01 or dns-persist-01; auto: dns-persist-01 if names "
		"are, else dns-01"},
	LOG_LEVEL("issuer"),

	{"dns", "method", "none",
		"how TXT records get into the DNS: rfc2136 (signed updates), hook (a program "
		"of\n"
		"yours), or none"},
	{"dns", "servers", "",
		"rfc2136: DNS servers that take updates, ADDRESS or ADDRESS:PORT, tried in "
		"turn"},
	{"dns", "tsig_name", "", "rfc2136: name of the TSIG key"},
	{"dns", "tsig_algorithm", "hmac-sha256", "hmac-sha256, hmac-sha384 or hmac-sha512"},
	{"dns", "tsig_key_file", "", "the file holds the key's base64, mode 0600"},
	{"dns", "hook", "", "hook: the program; it is run as HOOK present|cleanup NAME VALUE"},
	{"dns", "hook_timeout", "60s", NULL},
	{"dns", "zones", "",
		"zones of yours, comma-separated, in which _acme-challenge records may be "
		"written"},
	{"dns", "delegate", "",
		"zone of yours that customers delegate to by a CNAME, once: acme.example.net"},
	{"dns", "ttl", "60", "of the records, in seconds"},
	{"dns", "check", "authoritative",
		"where a record must be seen before the CA is told: authoritative (the zone's\n"
		"name servers), addresses of DNS servers, or off"},
	{"dns", "check_limit", "2m", "how long that is tried, and the writing"},
	{"dns", "threads", "4", "records that are worked on at a time"},
	{"dns", "state", "issuer/state/dns", "folder: what was written and not taken away yet"},
	{"dns", "leftovers", "3h",
		"what no order has asked for for so long is taken away, as after a crash"},

	{"alerts", "look_every", "20s", "how often stores and issuers look for troubles"},
	{"alerts", "hook", "", "a program that is told: HOOK alert, with JSON on its input"},
	{"alerts", "hook_timeout", "30s", NULL},
	{"alerts", "webhook", "", "an https URL that alerts are posted to, signed"},
	{"alerts", "webhook_ca", "system", NULL},
	{"alerts", "webhook_secret", "", "file with the secret of the signature, mode 0600"},

	STORE("agent"),
	IDENTITY("agent", "edge"),
	{"agent", "replica", "edge/replica", "folder that nginx reads (certherd_replica)"},
	{"agent", "replica_group", "", "group that may read it: nginx's; a name or a number"},
	{"agent", "replica_check", "12h",
		"how often all of it is read through, to find what a disk has damaged; also\n"
		"done at each start and when a worker of nginx has crashed; 0s: only then"},
	{"agent", "metrics", "",
		"where Prometheus gets figures: an address of loopback, 127.0.0.1:9102"},
	{"agent", "nginx_status", "",
		"where nginx gives its figures (certherd_status), "
		"http://127.0.0.1:8081/metrics:\n"
		"the store is told when nginx cannot open keys, or does not answer"},
	{"agent", "wanted", "yes",
		"the store is told which names without a certificate visitors ask for, and\n"
		"puts them before new ones that nobody waits for"},
	{"agent", "signers", "edge/signers", "pinned public signing keys"},
	{"agent", "poll_wait", "30s", "long poll"},
	{"agent", "removal_limit_percent", "1",
		"a change that removes more than this share of the live names, and more than\n"
		"removal_limit_count, within removal_window, is refused until\n"
		"`certherd agent --confirm-removal`"},
	{"agent", "removal_limit_count", "10", NULL},
	{"agent", "removal_window", "10m", NULL},
	LOG_LEVEL("agent"),

	STORE("cli"),
	IDENTITY("cli", "operator"),

	{"up", "roles", "store,issuer,agent", "which of them run"},
	{"up", "store_user", "certherd-store",
		"as root: each role runs as this user; a name, or uid or uid:gid as numbers;\n"
		"- for no separation"},
	{"up", "issuer_user", "certherd-issuer", NULL},
	{"up", "agent_user", "certherd-agent", NULL},
	LOG_LEVEL("up"),
};

static const struct {
	const char *section;
	const char *help;
} sections[] = {
	{"store", "The store: domains, orders, certificates, sealed keys; `certherd store`."},
	{"issuer", "The issuer: talks to the CA, seals the keys; `certherd issuer`."},
	{"dns", "DNS challenges of the issuer, for wildcards; the store reads delegate, and "
		"shows it."},
	{"alerts", "Who is told when something is wrong; by the issuer."},
	{"agent", "The agent on an edge: keeps nginx's replica up to date; `certherd agent`."},
	{"cli", "The operator's commands: `certherd domain`, `certherd status`, …"},
	{"up", "All roles on one machine: `certherd up`."},
};

struct choice {
	const char *section; /* NULL: in each that has the key */
	const char *key;
	const char *value; /* NULL or empty: not chosen */
};

/* What was chosen for a key, or NULL. */
static const char *chosen(const struct ch_init *init, const struct key *key)
{
	const struct choice choices[] = {
		{"store", "listen", init->store_listen},
		{NULL, "store", init->store_listen ? init->store_url : NULL},
		{"issuer", "directory", init->directory},
		{"issuer", "directory_ca", init->directory_ca_path},
		{"issuer", "roots", init->roots_path},
		{"issuer", "contact", init->contact},
		{"issuer", "terms_agreed", init->agree_terms ? "yes" : NULL},
		{"issuer", "eab_kid", init->eab_kid},
		{"issuer", "eab_hmac_file", init->eab_hmac_file ? "issuer/eab.key" : NULL},
		{"issuer", "probe", init->probe},
		{"agent", "replica_group", init->nginx_group},
		{"up", "store_user", init->store_user},
		{"up", "issuer_user", init->issuer_user},
		{"up", "agent_user", init->agent_user},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(choices); i++)
		if ((!choices[i].section || strcmp(choices[i].section, key->section) == 0) &&
			strcmp(choices[i].key, key->key) == 0 && choices[i].value &&
			*choices[i].value)
			return choices[i].value;
	return NULL;
}

static void add_comment(struct ch_buf *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		(void)ch_buf_addf(out, "# %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void add_key(const struct ch_init *init, const struct key *key, struct ch_buf *out)
{
	const char *value = chosen(init, key);

	if (key->help) {
		(void)ch_buf_add_str(out, "\n");
		add_comment(out, key->help);
	}
	if (value)
		(void)ch_buf_addf(out, "%s = %s\n", key->key, value);
	else
		(void)ch_buf_addf(out, "# %s =%s%s\n", key->key, *key->fallback ? " " : "",
			key->fallback);
}

int ch_init_conf(const struct ch_init *init, struct ch_buf *out)
{
	(void)ch_buf_add_str(out,
		"# certherd.conf: one section per role; a role reads its own only.\n"
		"# Keys that are commented out show their default.  Relative paths are "
		"relative "
		"to this\n"
		"# file's folder.  Spans of time: 500ms 30s 10m 3h 90d.  An unknown key is an "
		"error.\n");
	for (size_t s = 0; s < CH_ARRAY_LEN(sections); s++) {
		(void)ch_buf_addf(out, "\n# %s\n[%s]\n", sections[s].help, sections[s].section);
		for (size_t i = 0; i < CH_ARRAY_LEN(keys); i++)
			if (strcmp(keys[i].section, sections[s].section) == 0)
				add_key(init, &keys[i], out);
	}
	return out->rc;
}
