/* One order between a fake CA and a store in memory, in virtual time. */
#ifndef BENCH_H
#define BENCH_H

#include "fake_ca.h"
#include "issuerd/step.h"

struct bench {
	char dir[64];
	char path[6][128];
	struct ch_issuer_config config;
	struct ch_issuer *issuer;
	struct fake_ca ca;
	struct fake_ca other; /* the second, after bench_add_ca */
	bool has_other;
	/* What the store has; what the worker has is read from it anew after each "crash". */
	struct ch_work row;
	struct ch_write last; /* the last write */
	int publications;
	json_t *published;
	/* Called by the probe; see bench_new. */
	int probe_rc;
	const char *probe_note; /* what was not asked, when probe_rc is 0; NULL: all was */
	int probe_rsa_rc;	/* likewise, asked for RSA */
	int probes;
	enum ch_probe_offer probe_offer; /* of the last one */
	uint8_t probe_leaf[CH_SHA256_B];
};

extern int64_t bench_now_ms;

/* names: one or two.  The account exists at the CA only after the first step. */
struct bench *bench_new(const char *name, const char *www);
void bench_free(struct bench *b);
/* A second CA, with an account of its own. */
void bench_add_ca(struct bench *b);
/* Opens the issuer anew, as a restarted process would. */
void bench_restart(struct bench *b);

/* Makes the next step; write false: the process dies before the write.  Advances the time to
 * the row's next_at afterwards. */
void bench_step(struct bench *b, bool write);
/* Steps until the order is in the state; fails after 200 steps. */
void bench_run_to(struct bench *b, enum ch_order_state state);

#endif
