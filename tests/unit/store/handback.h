/* A store that is restored, and edges that hand back. */
#ifndef CH_TEST_STORE_HANDBACK_H
#define CH_TEST_STORE_HANDBACK_H

#include "fixture.h"

#include "store/transfer.h"

/* Between what the backup knew and what the restored store gives out. */
#define LOST_ID 1000

/* Makes another leaf of the same version. */
extern uint8_t other_leaf;

void go_on_with(struct fixture *fx, const char *database);
/* The backup is `backup` in the fixture's folder. */
void lose_and_restore(struct fixture *fx);
/* As an edge of this pool, one certificate of this version for the name.  A publication in
 * *ret_item says when it ends. */
int hand_back(struct fixture *fx, const char *name, uint64_t version, const char *pool,
	struct ch_store_handback_item *ret_item);
void assert_result(struct fixture *fx, const char *name, uint64_t version,
	enum ch_store_handback_result result);
/* Refused with this code. */
void assert_no(struct fixture *fx, const char *name, uint64_t version, const char *pool,
	const char *code);
uint64_t live_version(struct fixture *fx, const char *name);

#endif
