/* What the store knows, as the JSON of doc/api.md.  Every function returns a new reference, or
 * NULL when out of memory.  No form of a private key ever gets here but the sealed one that
 * the issuer itself wrote and gets back with a lease. */
#ifndef CH_STORED_PRESENT_H
#define CH_STORED_PRESENT_H

#include <jansson.h>

#include "store/store.h"

json_t *ch_present_time(int64_t at_ms);			    /* null for 0 and INT64_MAX */
json_t *ch_present_bytes(const uint8_t *bytes, size_t len); /* base64url; null for NULL */
json_t *ch_present_hex(const uint8_t *bytes, size_t len);
/* delegate: the zone that DNS challenges are delegated to, "" for none. */
json_t *ch_present_domain(const struct ch_store_domain *domain, const char *delegate);
json_t *ch_present_history(const struct ch_store_event *events, size_t n);
/* With PEM, for GET /v1/certificates; null for NULL. */
json_t *ch_present_cert(const struct ch_store_cert *cert);
json_t *ch_present_order(const struct ch_store_order *order);
json_t *ch_present_leased(const struct ch_store_order *order);
json_t *ch_present_edges_state(const struct ch_store_edges_state *edges);
json_t *ch_present_pool(const struct ch_store_pool *pool);
json_t *ch_present_pools(const struct ch_store_pool *pools, size_t n);
json_t *ch_present_edge(const struct ch_store_edge *edge);

#endif
