/* What is looked at before an attempt is spent at the CA: where the name's DNS leads, whether
 * a standing record is there (dns-persist-01), whether CAA lets the CA issue, and whether an
 * edge of ours answers there.  Lookups run on threads of their own, so that names that are dead
 * hold up no worker; waiting takes some hundred bytes.
 */
#ifndef CH_ISSUERD_PREFLIGHT_H
#define CH_ISSUERD_PREFLIGHT_H

#include "acme/object.h"
#include "issuerd/caa.h"
#include "issuerd/sites.h"

/* Names looked at, at a time; one more waits for its turn. */
#define CH_PREFLIGHT_MAX 16384u

/* Every code that it can end with: X(code).  doc/troubleshooting.md has a section for each. */
#define CH_PREFLIGHT_CODES(X)                                                                  \
	X("dns-no-address")                                                                    \
	X("dns-failed")                                                                        \
	X("dns-points-elsewhere")                                                              \
	X("dns-ipv6-elsewhere")                                                                \
	X("dns-partly-elsewhere")                                                              \
	X("caa-forbids")                                                                       \
	X("caa-account")                                                                       \
	X("caa-method")                                                                        \
	X("caa-critical")                                                                      \
	X("caa-failed")                                                                        \
	X("self-check-unreachable")                                                            \
	X("self-check-wrong-answer")                                                           \
	X("self-check-account")                                                                \
	X("persist-missing")                                                                   \
	X("persist-issuer")                                                                    \
	X("persist-malformed")                                                                 \
	X("persist-account")                                                                   \
	X("persist-expired")                                                                   \
	X("persist-wildcard")                                                                  \
	X("persist-too-long")                                                                  \
	X("persist-failed")

struct ch_preflight;

struct ch_preflight_options {
	const char *resolvers; /* as struct ch_dns_options */
	int64_t dns_timeout_ms;
	const struct ch_platform *platform; /* borrowed */
	bool self_check;
	uint16_t http_port;
	/* Whether an address that a stranger chose may be asked. */
	bool (*may_ask)(const char *address);
	/* Fills in CA and account of `who` as they are known now. */
	void (*asker)(
		void *who, struct ch_caa_asker *ret_asker, char *ret_account, size_t account_b);
	/* A look at this order is worth it now. */
	void (*wake)(void *arg, uint64_t order);
	void *arg;
};

CH_MUST int ch_preflight_new(const struct ch_preflight_options *options,
	struct ch_preflight **ret_preflight, struct ch_err *err);
void ch_preflight_free(struct ch_preflight *preflight); /* NULL allowed */

enum ch_preflight_fate {
	CH_PREFLIGHT_WAIT,
	CH_PREFLIGHT_GOOD,
	CH_PREFLIGHT_BAD,     /* err says why */
	CH_PREFLIGHT_UNKNOWN, /* our resolvers do not answer: it says nothing about the name */
};

struct ch_preflight_result {
	enum ch_preflight_fate fate;
	bool away; /* BAD: nothing that the name leads to is ours */
	struct ch_err err;
};

struct ch_preflight_subject {
	const char *name;
	uint64_t order;
	void *who;		/* CA and account; borrowed as long as there is a preflight, */
	const char *thumbprint; /* as is its, which our edges answer with */
	/* By the DNS, as wildcards: where it leads does not matter, only CAA; with
	 * dns-persist-01 the standing record too. */
	enum ch_acme_challenge_type method;
};

/* Begins, or tells how it stands.  Whoever does not come back for the end within two minutes
 * gets a new one. */
void ch_preflight_look(struct ch_preflight *preflight,
	const struct ch_preflight_subject *subject, struct ch_preflight_result *ret_result);
/* What has come to an end: the next look begins anew. */
void ch_preflight_forget(
	struct ch_preflight *preflight, const struct ch_preflight_subject *subject);

#endif
