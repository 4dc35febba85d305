/* Whether the proof that a name is a tenant's is in its DNS. */
#ifndef CH_STORED_CLAIM_H
#define CH_STORED_CLAIM_H

#include "stored/request.h"

struct ch_claim { /* in the request's arena */
	const char *text;
	bool found; /* out */
	struct ch_req *req;
};

/* Looks for the TXT record _certherd.<name> with that text; then next runs.  Both are borrowed
 * until then. */
void ch_claim_look(struct ch_req *req, struct ch_claim *claim, const char *name,
	const char *text, ch_req_fn *next);

#endif
