/* A program of the operator's that writes TXT records: HOOK present|cleanup NAME VALUE. */
#ifndef CH_ISSUERD_DNS_HOOK_H
#define CH_ISSUERD_DNS_HOOK_H

#include "base/err.h"

/* Runs it, without a shell, in a process group of its own, with PATH alone in its environment,
 * no file open but its standard error, and waits.  Whatever of the group is left when it ends
 * or its time is over is killed.  canceled as in ch_dns_tcp_ask.  CH_EAGAIN "dns-hook-failed",
 * "dns-hook-timeout"; CH_EINVAL "dns-hook-failed": it cannot be started; CH_ECANCELED. */
CH_MUST int ch_dns_hook_run(const char *hook, const char *verb, const char *name,
	const char *value, int64_t timeout_ms, int (*canceled)(void *arg), void *arg,
	struct ch_err *err);

#endif
