/* Telling people of an alert: a program of theirs, and a signed POST. */
#ifndef CH_ISSUERD_ALERT_TELL_H
#define CH_ISSUERD_ALERT_TELL_H

#include <jansson.h>

#include "base/secret.h"
#include "net/http.h"

struct ch_alert_config {	    /* strings are borrowed */
	const char *hook;	    /* NULL: none */
	const char *webhook;	    /* https URL; NULL: none */
	const char *webhook_ca;	    /* NULL: the system's */
	const char *webhook_secret; /* file; NULL: none */
	int64_t hook_timeout_ms;
	int64_t look_every_ms;
};

/* "t=UNIX SECONDS,v1=HEX" with HMAC-SHA256 over "UNIX SECONDS.BODY". */
#define CH_ALERT_SIGNATURE_B 96
CH_MUST int ch_alert_sign(struct ch_secret *secret, int64_t now_s, const char *body,
	char ret_signature[CH_ALERT_SIGNATURE_B]);

/* By all ways that are configured; the first that fails is the error, the others are tried all
 * the same.  http and secret belong to the webhook. */
CH_MUST int ch_alert_tell(const struct ch_alert_config *config, struct ch_http *http,
	struct ch_secret *secret, const json_t *alert, int (*canceled)(void *arg), void *arg,
	struct ch_err *err);

#endif
