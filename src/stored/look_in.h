/* What an issuer says of names that it looks at before there is an order, and what it is told.
 */
#ifndef CH_STORED_LOOK_IN_H
#define CH_STORED_LOOK_IN_H

#include "store/store.h"
#include "stored/json_in.h"
#include "stored/request.h"

/* The object's "reason", its fields named in errors with this prefix.  False: there is none. */
bool ch_reason_in_read(struct ch_json_in *from, enum ch_json_need need, const char *prefix,
	struct ch_store_reason *ret_reason);
/* "looks", "looked" and "dead" of a lease.  NULL: none of them is there, or something is
 * wrong, which is latched in in.  In the request's arena, borrows from its JSON. */
struct ch_store_looking *ch_look_in_read(struct ch_req *req, struct ch_json_in *in);
/* Those that are handed out.  A new array; NULL when out of memory. */
json_t *ch_look_in_present(const struct ch_store_looking *looking);

#endif
