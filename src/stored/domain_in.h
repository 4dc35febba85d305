/* The fields of a domain that a client may give. */
#ifndef CH_STORED_DOMAIN_IN_H
#define CH_STORED_DOMAIN_IN_H

#include <stdbool.h>

#include "store/store.h"
#include "stored/json_in.h"

/* Reads "www", "tenant", "pool", "keys" and the policy into item; its texts are borrowed from
 * the JSON, where normalized ones take the place of what was sent.  Errors are latched in in.
 */
void ch_domain_in_read(struct ch_json_in *in, struct ch_store_put_item *item);
/* 1 … 63 of [a-z0-9._-]. */
bool ch_domain_in_is_label(const char *text);
/* What issuers may call a CA: 1 … CH_STORE_CA_NAME_MAX of [a-z0-9-].  NULL allowed. */
bool ch_domain_in_is_ca(const char *text);
/* Only characters of normalized names, 1 … 253. */
bool ch_domain_in_is_name(const char *text);
/* The same for keys of edge records (wire/record.h). */
bool ch_domain_in_is_key(const char *text);

#endif
