/* Whether CAA records let a CA issue for an account by a method: RFC 8659, RFC 8657. */
#ifndef CH_ISSUERD_CAA_H
#define CH_ISSUERD_CAA_H

#include <stdbool.h>

#include "base/err.h"
#include "net/dns_message.h"

#define CH_CAA_IDENTITIES_MAX 8

struct ch_caa_asker {
	char identities[CH_CAA_IDENTITIES_MAX][CH_DNS_NAME_B]; /* of the CA */
	size_t n_identities; /* 0: not known, then any CA that is named may be this one */
	const char *account; /* URL; "": not known yet, then any may be ours */
	const char *method;  /* "http-01" */
	bool wildcard;
};

/* records: those of the closest ancestor that has any; owner: that name, for the sentence.
 * CH_EAUTH with "caa-forbids", "caa-account", "caa-method" or "caa-critical"; the customer must
 * act. */
CH_MUST int ch_caa_judge(const struct ch_dns_answer *records, const char *owner,
	const struct ch_caa_asker *asker, struct ch_err *err);

#endif
