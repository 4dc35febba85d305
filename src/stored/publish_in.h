/* What a client says of a certificate that is to be made live, or an issuer of an order's step.
 */
#ifndef CH_STORED_PUBLISH_IN_H
#define CH_STORED_PUBLISH_IN_H

#include "store/store.h"
#include "stored/json_in.h"
#include "stored/request.h"

/* Reads all of a publication but id, fence and next_at; need: whether there must be one.
 * records: room for CH_STORE_ORDER_NAMES_MAX, which p borrows; the rest is in the request's
 * arena.  Errors are latched in in. */
void ch_publish_in_read(struct ch_req *req, struct ch_json_in *in, enum ch_json_need need,
	struct ch_op_publish *p, struct ch_store_record_bytes *records);
/* Whether the records say what the rest says, with p->id their version.  CH_EINVAL
 * "bad-record". */
CH_MUST int ch_publish_in_check(const struct ch_op_publish *p, struct ch_err *err);
/* The same, and with what comes together with it. */
CH_MUST int ch_publish_in_check_all(const struct ch_op_publish *p, struct ch_err *err);
/* The bodies of an order's publication, which is still to be checked, and of its PATCH: an
 * operation in the request's arena.  Errors are latched in in; NULL is one of them. */
struct ch_store_op *ch_publish_in_op(struct ch_req *req, struct ch_json_in *in, uint64_t id);
struct ch_store_op *ch_patch_in_read(struct ch_req *req, struct ch_json_in *in, uint64_t id);
/* Fills in what a record of ticket keys says: version and end.  NULL: it is one, of the pool;
 * else a sentence. */
const char *ch_tickets_in_check(struct ch_op_tickets *op);

#endif
