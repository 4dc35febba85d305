/* A CA's limits in virtual time, with counters of its own: it shares the numbers with src/pace
 * but not the arithmetic, so that each checks the other.  Times are ms from the beginning, and
 * never go back. */
#ifndef CH_SIM_CA_H
#define CH_SIM_CA_H

#include "sim/scenario.h"

enum ch_sim_limit {
	CH_SIM_LIMIT_NONE,
	CH_SIM_LIMIT_ACCOUNT,
	CH_SIM_LIMIT_DOMAIN,
	CH_SIM_LIMIT_SET,
	CH_SIM_LIMIT_FAILURES,
	CH_SIM_LIMIT_NEW_ORDERS,
	CH_SIM_LIMIT_REQUESTS,
	CH_SIM_LIMIT_COUNT
};
extern const char *const ch_sim_limit_names[CH_SIM_LIMIT_COUNT];

struct ch_sim_ca;

/* Borrows the scenario.  CH_ENOMEM. */
CH_MUST int ch_sim_ca_new(const struct ch_scenario *scenario, struct ch_sim_ca **ret_ca);
void ch_sim_ca_free(struct ch_sim_ca *ca);

bool ch_sim_ca_is_down(const struct ch_sim_ca *ca, int64_t now_ms);
/* A request for a new order: CH_SIM_LIMIT_NONE: it is there; else nothing was counted, and
 * *ret_at_ms is when it would be.  Of a name that has a certificate here it is a renewal, which
 * account and domain do not count, where the CA exempts renewals; in the certificate's ARI
 * window nothing does.  Domain and set count certificates: an order that fails is none. */
enum ch_sim_limit ch_sim_ca_new_order(struct ch_sim_ca *ca, uint32_t name, uint32_t domain,
	int64_t now_ms, int64_t *ret_at_ms);
/* n requests to anything else. */
enum ch_sim_limit ch_sim_ca_requests(struct ch_sim_ca *ca, unsigned n, int64_t now_ms);
/* A failed validation. */
void ch_sim_ca_failed(struct ch_sim_ca *ca, uint32_t name, int64_t now_ms);
/* Issues a certificate: its lifetime. */
int64_t ch_sim_ca_issue(struct ch_sim_ca *ca, uint32_t name, uint32_t domain, int64_t now_ms);

#endif
