/* What issuers say with their leases (stored/says.h), known to every store on the database.
 *
 * Each lease says it; what is news is written, and what is not only now and then
 * (store/store_issuers.h).  What other stores have written is read again after some seconds. */
#ifndef CH_STORED_ISSUERS_H
#define CH_STORED_ISSUERS_H

#include <stdbool.h>

#include <jansson.h>

#include "store/store.h"

/* What others have written is known after this. */
#define CH_ISSUERS_REFRESH_MS (5 * CH_SECOND_MS)
/* News of an issuer are not written in less than this after the last. */
#define CH_ISSUERS_WRITE_MS (5 * CH_SECOND_MS)
/* Issuers that have said nothing for so long, while others have, are not gone by any more. */
#define CH_ISSUERS_BESIDE_MS CH_HOUR_MS

struct ch_issuers;

/* store outlives what is said; NULL: it is kept in memory alone. */
CH_MUST int ch_issuers_new(
	struct ch_store *store, struct ch_issuers **ret_issuers, struct ch_err *err);
/* When the store is closed.  NULL allowed, as everywhere here. */
void ch_issuers_free(struct ch_issuers *issuers);

/* The issuer has sent this lease, which was read without an error.  software: the User-Agent
 * that came with it, "certherd/0.2.0": every version has sent one, and no store refuses it;
 * NULL, or one of no use: not known.  True: it has said something new, another version is not.
 */
bool ch_issuers_hear(
	struct ch_issuers *issuers, const char *id, const json_t *lease, const char *software);
/* The lease that said something new was not written: the issuer's next one says it anew. */
void ch_issuers_unheard(struct ch_issuers *issuers, const char *id);
/* By what the store goes: what was said anew last, of those issuers that still say something.
 * A copy, since threads must not share values of jansson, which counts references to them while
 * it reads; NULL: no issuer has said anything. */
json_t *ch_issuers_says(struct ch_issuers *issuers);
/* What issuers call their CAs, "main,backup", also those that have been silent for a while; in
 * the arena.  NULL: not known. */
const char *ch_issuers_cas(struct ch_issuers *issuers, struct ch_arena *arena);
/* For people: an array of {"id", "cas", "software", "heard_at"}, each issuer that is not
 * forgotten.  What other stores hear is known as it is written, up to
 * CH_STORE_ISSUER_CONFIRM_MS later. */
json_t *ch_issuers_list(struct ch_issuers *issuers);

#endif
