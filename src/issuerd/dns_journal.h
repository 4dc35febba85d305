/* What has been written into the DNS and not been taken away: a small file for each record,
 * there before the record is, so that none outlives a crash. */
#ifndef CH_ISSUERD_DNS_JOURNAL_H
#define CH_ISSUERD_DNS_JOURNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "net/dns_message.h"

#define CH_DNS_CHALLENGE_B 44 /* base64url of 32 bytes and a NUL */

struct ch_dns_txt {
	char target[CH_DNS_NAME_B];
	char value[CH_DNS_CHALLENGE_B];
};

/* Makes the folder when it is not there, and tries that it can be written in. */
CH_MUST int ch_dns_journal_open(const char *folder, struct ch_err *err);
/* Notes the record, or that it is in use as of now. */
CH_MUST int ch_dns_journal_add(
	const char *folder, const struct ch_dns_txt *txt, struct ch_err *err);
/* Notes that it is to go, whatever was noted before. */
CH_MUST int ch_dns_journal_mark(
	const char *folder, const struct ch_dns_txt *txt, struct ch_err *err);
/* It is gone. */
void ch_dns_journal_forget(const char *folder, const struct ch_dns_txt *txt);
/* Calls each(txt, arg) for what is marked, and for what has not been in use for leftover_ms,
 * until it returns false. */
void ch_dns_journal_walk(const char *folder, int64_t leftover_ms,
	bool (*each)(const struct ch_dns_txt *txt, void *arg), void *arg);

#endif
