/* Leases of an issuer that keeps to limits of one account. */
#ifndef CH_TESTS_STORE_PACING_H
#define CH_TESTS_STORE_PACING_H

#include "fixture.h"

#define ACCOUNT "ca.test/thumb"
/* Orders that were leased once do not come again. */
#define LONG_MS (1000 * CH_DAY_MS)

/* Of ACCOUNT; each limit as ch_limit_parse takes it. */
struct ch_store_pace pace_of(const char *account, const char *domain, const char *set);
/* How many orders come of it; ret_orders may be NULL. */
size_t lease(struct fixture *fx, const struct ch_store_pace *pace, size_t max,
	struct ch_store_order **ret_orders);
/* A new name of that tenant. */
void add(struct fixture *fx, const char *name, const char *tenant);
void assert_waits(struct fixture *fx, const char *name, const char *code);
/* ACCOUNT has said of that limit: not before then; the order itself waits an hour longer. */
void teach(struct fixture *fx, const struct ch_store_order *order, enum ch_paced paced,
	int64_t until_ms);
/* The same, and the issuer lets it go: another CA is asked. */
void refuse_until(struct fixture *fx, const struct ch_store_order *order, enum ch_paced paced,
	int64_t until_ms);

#endif
