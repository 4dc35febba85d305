/* What a CA limits, and how much: presets, which a configuration overrides one by one. */
#ifndef CH_PACE_LIMITS_H
#define CH_PACE_LIMITS_H

#include "base/conf.h"
#include "pace/bucket.h"

/* X(member, key of the configuration) */
#define CH_LIMITS_LIST(X)                                                                      \
	X(account, "orders_per_account")     /* new orders, under one account */               \
	X(domain, "certificates_per_domain") /* per registered domain */                       \
	X(set, "certificates_per_set")	     /* per exact set of names */                      \
	X(failures, "failures_per_name")     /* failed validations, per name and account */    \
	X(new_orders, "new_order_requests")  /* requests to newOrder */                        \
	X(new_nonces, "new_nonce_requests")  /* requests to newNonce */                        \
	X(requests, "requests")		     /* requests to anything else */

struct ch_limits {
#define X(member, key) struct ch_limit member;
	CH_LIMITS_LIST(X)
#undef X
	/* Renewals of the same names are free of account and domain, those in the CA's window
	 * of the set too. */
	bool renewals_exempt;
};

/* "letsencrypt", "letsencrypt-staging", "zerossl", "google", "generic".  CH_ENOTFOUND. */
CH_MUST int ch_limits_preset(const char *name, struct ch_limits *ret_limits);
/* All of them, for messages: "letsencrypt, …". */
extern const char ch_limits_presets[];

/* Reads `limits` (a preset; fallback when missing) and the overrides, `renewals_exempt` too;
 * what is wrong is latched in conf. */
void ch_limits_read(struct ch_conf *conf, const char *section, const char *fallback,
	struct ch_limits *ret_limits);

#endif
