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
	/* A look at this order is worth it now; 0: at what was found out without one. */
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
	void *who; /* CA and account, not NULL; borrowed as long as there is a preflight, */
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

/* ---- looks at names before there is an order, in what does not depend on the CA: whether they
 * have addresses, and, without a self-check, whether these lead to the platform.  Orders go on
 * from what is known. ---- */

struct ch_look { /* as the store hands it out */
	const char *name;
	int64_t until_ms;
	uint64_t failures;
	uint64_t checks_failed;
	int64_t away_since_ms;
	int64_t needed_by_ms;
};

/* Begins, or begins anew; forgotten when there is no room. */
void ch_preflight_scout(struct ch_preflight *preflight, const struct ch_look *look);

struct ch_preflight_counts {
	size_t open;  /* looks under way, */
	size_t next;  /* of these: not begun yet, */
	size_t alive; /* and those that are to be told of */
	size_t dead;
	size_t room; /* for more */
};
/* To be asked for each tenth of a second as long as any is open: then more of them begin. */
void ch_preflight_counts(
	struct ch_preflight *preflight, struct ch_preflight_counts *ret_counts);

struct ch_scouted {
	char name[CH_DNS_NAME_B];
	struct ch_look look;		   /* its name is that */
	struct ch_preflight_result result; /* of dead ones */
};
/* Those that are dead, or those that are not (so far as is known), the first first; they stay
 * until they are told. */
size_t ch_preflight_scouted(
	struct ch_preflight *preflight, bool dead, struct ch_scouted *ret_list, size_t most);
/* The store knows. */
void ch_preflight_told(struct ch_preflight *preflight, const struct ch_scouted *list, size_t n);

#endif
