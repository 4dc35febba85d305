/* The standing TXT records of dns-persist-01 (draft-ietf-acme-dns-persist): a customer
 * publishes one, once, and it lets one account at one CA issue for the name. */
#ifndef CH_ISSUERD_PERSIST_H
#define CH_ISSUERD_PERSIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "issuerd/caa.h"
#include "net/dns_message.h"

#define CH_PERSIST_LABEL "_validation-persist."
/* Of the issuer domain names that a CA's challenge may be answered with, so many are looked at:
 * a CA must not give more. */
#define CH_PERSIST_ISSUERS_MAX 10
#define CH_PERSIST_VALUE_B 1400

/* Where the record of the name, or of a wildcard, stands.  CH_ETOOBIG: no record can. */
CH_MUST int ch_persist_owner(const char *name, char ret_owner[CH_DNS_NAME_B]);
/* What is to be published, "" while CA or account are not known. */
void ch_persist_value(const struct ch_caa_asker *asker, char ret_value[CH_PERSIST_VALUE_B]);

/* Whether one of the TXT records at the owner lets asker->account issue for name at asker's CA,
 * now.  CH_EAUTH with "persist-missing", "persist-issuer", "persist-malformed",
 * "persist-account", "persist-expired" or "persist-wildcard", and what to publish; the customer
 * must act. */
CH_MUST int ch_persist_judge(const struct ch_dns_answer *records, const char *name,
	const struct ch_caa_asker *asker, int64_t now_s, struct ch_err *err);

/* Whether the CA takes a record that names it by one of asker's identities; issuers: the
 * "issuer-domain-names" of its challenge, NULL: it did not say. */
bool ch_persist_issuer_fits(const json_t *issuers, const struct ch_caa_asker *asker);

#endif
