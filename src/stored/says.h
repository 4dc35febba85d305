/* What an issuer says of itself with its leases, as JSON: the parts of the body of POST
 * /v1/leases that are no matter of that lease.
 *   "pace", "fallback"        under which accounts and limits it works
 *   "caa"                     what CAA records should allow
 *   "persist", "persist_all"  standing TXT records of dns-persist-01
 * It comes from the database too, where a store of another version may have written it: what is
 * not known here is passed over. */
#ifndef CH_STORED_SAYS_H
#define CH_STORED_SAYS_H

#include "base/arena.h"
#include "store/pace.h"
#include "stored/json_in.h"

#define CH_SAYS_RECORDS_MAX 8 /* of a kind */
#define CH_SAYS_RECORD_MAX 400
#define CH_SAYS_PACES_MAX 8 /* the first account and those to fall back to */

/* Reads an optional list of DNS records' values from a lease.  What is wrong is latched. */
void ch_says_check_records(struct ch_json_in *in, const char *key);

/* Of the body of a lease, which was read without an error: a new object, with new references.
 * NULL: out of memory. */
json_t *ch_says_from_lease(const json_t *lease);

/* The data of CAA records as in a zone file, for a wildcard or for a name: a new array.  says:
 * NULL where no issuer has said anything, here and below. */
json_t *ch_says_caa(const json_t *says, bool wildcard);
/* The standing TXT records that the name is validated by, {"name", "txt"}: a new array. */
json_t *ch_says_persist(const json_t *says, const char *name);
/* In the order in which they are used; texts are copied into the arena. */
CH_MUST int ch_says_paces(const json_t *says, struct ch_arena *arena,
	struct ch_store_pace ret_paces[CH_SAYS_PACES_MAX], size_t *ret_n);
/* What it calls its CAs, those that have a name: borrowed from says. */
size_t ch_says_cas(const json_t *says, const char *ret_cas[CH_SAYS_PACES_MAX]);

#endif
