/* [issuer] of certherd.conf; doc/configuration.md describes each key. */
#ifndef CH_ISSUERD_CONFIG_H
#define CH_ISSUERD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme/call.h"
#include "base/conf.h"
#include "base/log.h"
#include "issuerd/caa.h"
#include "issuerd/alert_tell.h"
#include "issuerd/dns_config.h"
#include "issuerd/sites.h"
#include "net/api.h"
#include "net/probe.h"
#include "pace/limits.h"

#define CH_LADDER_MAX 16
#define CH_WORKERS_MAX 256
#define CH_CAS_MAX 8
#define CH_CA_MAIN "main"
#define CH_CA_NAME_B 32 /* with NUL */

enum ch_probe_mode { CH_PROBE_OFF, CH_PROBE_DNS, CH_PROBE_FIXED };

/* A CA and our account there: [issuer] has the first, a section [ca NAME] each further one. */
struct ch_ca_config {	  /* strings are borrowed from the ch_conf; not to be copied */
	const char *name; /* "main", or that of its section */
	const char *directory;
	const char *directory_ca; /* "system" or a path */
	const char *roots;	  /* "system", "any" or a path */
	char contacts[CH_ACME_CONTACTS_MAX][256];
	struct ch_acme_signup signup; /* without the secret */
	bool terms_agreed;
	const char *eab_hmac_file; /* "" when there is none */
	const char *account_key;
	const char *account_state;
	const char *profile; /* NULL: the CA's default */
	/* Common name of a certificate of the chain to prefer; NULL: what the CA sends. */
	const char *preferred_chain;
	char caa_identities[CH_CAA_IDENTITIES_MAX][CH_DNS_NAME_B]; /* instead of the CA's */
	size_t n_caa_identities;
	int64_t timeout_ms;	 /* of one request */
	struct ch_limits limits; /* of the CA, as they are kept to */
};

struct ch_issuer_config { /* strings are borrowed from the ch_conf; not to be copied */
	struct ch_api_options store;
	struct ch_ca_config cas[CH_CAS_MAX]; /* the first is asked as long as it can be */
	size_t n_cas;
	const char *standby; /* the CA of standby certificates; NULL: none */
	const char *signing_key;
	const char *recipients;
	bool p384; /* keys of names that say ecdsa */
	unsigned rsa_bits;
	size_t workers;
	int64_t lease_ms;
	int64_t ladder_ms[CH_LADDER_MAX];
	size_t n_ladder;
	unsigned retry_jitter_percent;
	int64_t poll_interval_ms;
	unsigned renew_left_percent;
	unsigned renew_jitter_percent;
	bool ari;
	unsigned ari_rate;   /* requests a second */
	const char *metrics; /* "ADDRESS:PORT" of loopback; NULL: off */
	unsigned step_tries;
	int64_t edge_wait_ms;
	int64_t ticket_rotation_ms; /* 0: no ticket keys are made */
	enum ch_probe_mode probe;
	char probe_address[CH_PROBE_ADDR_B];
	uint16_t probe_port;
	unsigned probe_tries;
	bool preflight;
	bool preflight_persist; /* of names with dns-persist-01, where there is none else */
	bool self_check;
	uint16_t preflight_port;
	const char *resolvers; /* "": the host's */
	struct ch_platform platform;
	int64_t preflight_ladder_ms[CH_LADDER_MAX];
	size_t n_preflight_ladder;
	int64_t moved_after_ms;		       /* 0: never */
	enum ch_acme_challenge_type challenge; /* of names that are no wildcards */
	enum ch_acme_challenge_type wildcard_challenge;
	struct ch_dns_config dns;
	struct ch_alert_config alerts;
	enum ch_log_level log_level;
};

/* config_ca.c: the CAs.  What is wrong is latched in conf. */
void ch_issuer_config_cas(struct ch_conf *conf, struct ch_issuer_config *config);
/* Once nothing is moved any more; and the keys of [ca NAME] that nobody asked for. */
CH_MUST int ch_issuer_config_finish_cas(
	struct ch_conf *conf, struct ch_issuer_config *config, struct ch_err *err);

/* A host name, without its last full stop. */
CH_MUST int ch_issuer_config_host(const char *item, char ret_name[CH_DNS_NAME_B]);

/* config_preflight.c: the keys of the preflight; probe has been read.  What is wrong is latched
 * in conf. */
void ch_issuer_config_preflight(struct ch_conf *conf, struct ch_issuer_config *config);

/* The same, once it is known how names are validated. */
void ch_issuer_config_persist(struct ch_conf *conf, struct ch_issuer_config *config);

/* *ret_config is written to even on failure. */
CH_MUST int ch_issuer_config_read(
	struct ch_conf *conf, struct ch_issuer_config *ret_config, struct ch_err *err);

#endif
