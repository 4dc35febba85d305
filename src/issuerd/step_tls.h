/* The tls-alpn-01 part of an order (RFC 8737): the edges' tokens.  An edge makes the answer
 * from its token and a thumbprint that is pinned there; the store, which sees that the order
 * has got on or has ended, tells the edges then that there is none any more. */
#ifndef CH_ISSUERD_STEP_TLS_H
#define CH_ISSUERD_STEP_TLS_H

#include "issuerd/step_dns.h"

/* True when all these tokens were given to the edges, which may not have them yet, or when
 * there are none.  Else they are given, and step->out says what now. */
bool ch_step_tls_is_ready(struct ch_step *step, const struct ch_step_token *items, size_t n);

#endif
