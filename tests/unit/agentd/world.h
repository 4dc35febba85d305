/* An agent over a fake store, in a scratch folder and with a clock that the test moves. */
#ifndef CH_TEST_WORLD_H
#define CH_TEST_WORLD_H

#include "agentd/follow.h"
#include "fake_store.h"

struct world {
	char dir[64];
	char replica[80];
	struct fake_store store;
	struct ch_api *api;
	struct ch_verify_set *signers;
	struct ch_follow follow;
	int64_t now_ms;
	size_t map_b;
};

/* cmocka fixtures: *state is a struct world. */
int world_setup(void **state);
int world_teardown(void **state);
/* Opens the replica again after ch_follow_close.  Brake: 10 percent and 3 names in 10 min. */
void world_open_follow(struct world *w);
void world_remove_tree(const char *path);
/* One step; returns how long to wait. */
int64_t world_step(struct world *w);
void world_steps(struct world *w, int n);
/* The version of the name's record in the generation that is written, 0: none. */
uint64_t world_version_of(struct world *w, const char *name);
struct ch_cursor world_cursor_of(struct world *w);
uint64_t world_live_names(struct world *w);
/* CERT records for n00.example.com, n01.example.com, … */
void world_put_many(struct world *w, int n, uint64_t version);

#endif
