/* A fresh store under a clock that stands still, and one-line forms of the operations.  Uses
 * store.h only: the same tests are meant for every backend. */
#ifndef CH_TEST_STORE_FIXTURE_H
#define CH_TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

#define EDGE_TIMEOUT_MS (60 * CH_SECOND_MS)
#define LEASE_MS (60 * CH_SECOND_MS)
#define START_MS INT64_C(1790000000000)

struct fixture {
	char dir[64];
	char database[128];
	struct ch_store *store;
	struct ch_arena *arena; /* outputs of every helper; freed by teardown */
	struct ch_err err;	/* of the last operation */
	bool has_other;		/* database on PostgreSQL */
};

extern int64_t test_now_ms;

/* Whether the tests run against PostgreSQL (CERTHERD_TEST_POSTGRES) and not SQLite. */
bool fx_is_postgres(void);

int fx_setup(void **state);
int fx_teardown(void **state);
/* Another database of the same kind, which is empty (PostgreSQL) or not there yet (SQLite);
 * once for each fixture. */
#define FX_URL_B 192
void fx_other_database(struct fixture *fx, char ret_database[FX_URL_B]);
/* Closes and opens again. */
void fx_reopen(struct fixture *fx);
void fx_remove_dir(const char *dir);

/* These return the operation's rc. */
int fx_run(struct fixture *fx, struct ch_store_op *op);
/* With a day as the age of all that has one. */
struct ch_op_housekeep fx_housekeep(struct fixture *fx);
int fx_put(struct fixture *fx, const char *name, enum ch_store_tri www, const char *tenant,
	const char *pool, struct ch_store_put_item *ret_item);
int fx_put_keys(struct fixture *fx, const char *name, enum ch_store_tri www, enum ch_keys keys,
	struct ch_store_put_item *ret_item);
int fx_name_op(struct fixture *fx, enum ch_store_op_type type, const char *name);
int fx_patch(struct fixture *fx, struct ch_op_patch *patch);
/* What an issuer writes of an order that one of several CAs has refused with a limit. */
void fx_refuse(struct fixture *fx, const struct ch_store_order *order,
	const struct ch_store_limited *limited);
int fx_ack(struct fixture *fx, const char *pool, const char *id, uint64_t seq);

/* Behind the store's back, as a program of before has left it: one statement. */
void fx_rewrite(struct fixture *fx, const char *sql);

/* These assert success. */
void fx_add(struct fixture *fx, const char *name);
void fx_add_pair(struct fixture *fx, const char *name);
struct ch_store_domain fx_get(struct fixture *fx, const char *name);
struct ch_store_order *fx_lease(struct fixture *fx, size_t max, size_t *ret_n);
/* Leases exactly one order. */
struct ch_store_order *fx_lease_one(struct fixture *fx);
void fx_lease_none(struct fixture *fx);
struct ch_store_order fx_get_order(struct fixture *fx, uint64_t id);
/* A patch that takes the order to this state, to be filled further. */
struct ch_op_patch fx_step(const struct ch_store_order *order, enum ch_order_state state);
/* Brings a leased order to `sealed`, publishes it and patches it to done. */
void fx_seal(struct fixture *fx, const struct ch_store_order *order);
void fx_finish(struct fixture *fx, const struct ch_store_order *order);
void fx_issue(struct fixture *fx, const struct ch_store_order *order);
/* Registers a name with two certificates and issues both and their standbys, of the CA
 * "backup". */
void fx_issue_four(struct fixture *fx, const char *name);
struct ch_store_feed_info fx_feed_info(struct fixture *fx);
struct ch_store_pool_head fx_pool_head(struct fixture *fx, const char *pool);

/* A publication of all names of the order, with the second certificate that it puts back;
 * leaf_byte makes different leaves.  In the arena. */
struct ch_op_publish *fx_publication(
	struct fixture *fx, const struct ch_store_order *order, uint8_t leaf_byte);
int fx_publish(struct fixture *fx, const struct ch_op_publish *publish);
#define RENEW_MS (60 * CH_DAY_MS)
#define LIFETIME_MS (90 * CH_DAY_MS)

#define assert_ok(rc) assert_int_equal(rc, CH_OK)
#define assert_refused(fx, got, want_rc, want_problem)                                         \
	do {                                                                                   \
		assert_int_equal(got, want_rc);                                                \
		assert_string_equal((fx)->err.problem, want_problem);                          \
	} while (0)

#endif
