/* The payloads of requests. */
#ifndef CH_ACME_PAYLOAD_H
#define CH_ACME_PAYLOAD_H

#include "acme/call.h"

/* JSON text, "" for POST-as-GET; the caller frees it. */
CH_MUST int ch_acme_payload(const struct ch_acme_request *req,
	const struct ch_acme_session *session, char **ret_text, struct ch_err *err);

#endif
