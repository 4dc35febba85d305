/* Roots, intermediates, leaves, and the chains in which they are handed out. */
#ifndef CASIM_CA_H
#define CASIM_CA_H

#include "reply.h"

struct sim_ca *sim_ca_new(void);
/* PEM of a root or an intermediate; in all kinds, intermediates are signed by root 0 and, with
 * the same key, by root 1.  Appends. */
void sim_ca_root(const struct sim_ca *ca, unsigned root, struct ch_buf *out);

/* How a certificate is bad; all false: it is not. */
struct sim_flaws {
	bool wrong_key, wrong_names, extra_name, expired, not_yet, is_ca, no_usage, huge;
};
/* Issues for an order that is ready; the certificate's record is in sim->certs. */
struct sim_cert *sim_ca_issue(struct sim *sim, struct sim_order *order, EVP_PKEY *key);
/* The DER of the same certificate with flaws; owned by the caller. */
uint8_t *sim_ca_flawed(const struct sim *sim, const struct sim_cert *cert, EVP_PKEY *key,
	const struct sim_flaws *flaws, size_t *ret_len);
void sim_pem_add(const uint8_t *der, size_t len, struct ch_buf *out);
/* Leaf, then the intermediate as this root signed it. */
void sim_ca_chain(
	const struct sim *sim, const struct sim_cert *cert, unsigned root, struct ch_buf *out);
/* base64url of the authority's key identifier, as renewalInfo has it. */
const char *sim_ca_aki(const struct sim_ca *ca, unsigned intermediate);

#endif
