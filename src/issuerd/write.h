/* What a step wants written to the store: the body of PATCH /v1/orders/{id} or of publish. */
#ifndef CH_ISSUERD_WRITE_H
#define CH_ISSUERD_WRITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "issuerd/work.h"

struct ch_reason { /* shown to people; valid UTF-8 */
	char code[64];
	char detail[1000];
	enum ch_actor actor;
};

void ch_reason_set(struct ch_reason *reason, const char *code, enum ch_actor actor,
	const char *detail_fmt, ...) CH_PRINTF(4, 5);
void ch_reason_from_err(struct ch_reason *reason, const struct ch_err *err);

struct ch_verdict {  /* of one name of a failed order */
	bool failed; /* at fault */
	bool paused; /* nobody tries again until somebody resumes the name */
	bool check;  /* failed before the CA was asked, */
	bool away;   /* because its DNS leads elsewhere, */
	bool moved;  /* and has for so long that it counts as gone */
	int64_t next_at_ms;
	struct ch_reason reason;
};

struct ch_write {
	bool has_state;
	enum ch_order_state state;
	bool go_on;	    /* keep the lease: the next step follows at once */
	int64_t next_at_ms; /* 0: now */
	/* Only a wait for the CA: when it is short, the store need not hear of it, and the
	 * order stays leased. */
	bool only_poll;
	/* With go_on: the store learns of it with the next write. */
	bool may_keep;
	/* As at the look before, the order waits for edges, or for what an operator lets go,
	 * for the same reason: no news, however many wait. */
	bool no_news;
	bool has_notes;
	struct ch_notes notes;
	/* Written together, with state `sealed`: */
	uint8_t *csr; /* owned */
	size_t csr_len;
	uint8_t *sealed; /* owned */
	size_t sealed_len;
	bool has_attempts;
	uint64_t attempts;
	bool has_reason;
	struct ch_reason reason;
	/* What the CA's answer has taught of a limit: nothing before that time.  NULL: nothing.
	 */
	const char *limited; /* static */
	int64_t limited_until_ms;
	uint64_t answer_under; /* the hint of the account that edges are to answer under; 0:
				  keep */
	const char *limited_account; /* the issuer's */
	/* Owned: signed records of kind CHALLENGE, for the edges; NULL: none. */
	json_t *challenges;
	struct ch_verdict verdicts[CH_WORK_NAMES_MAX]; /* state `failed`: one per name */
	json_t *publish; /* owned: the body of publish, without the fence; else NULL */
};

void ch_write_init(struct ch_write *w);
void ch_write_done(struct ch_write *w);
#define CH_AUTO_WRITE CH_CLEANUP(ch_write_done)

/* Text as the API has bytes; NULL when out of memory. */
json_t *ch_write_bytes(const uint8_t *bytes, size_t len);
json_t *ch_write_reason(const struct ch_reason *reason);
/* The body for the store, with the fence of work.  The caller releases it; NULL when out of
 * memory. */
json_t *ch_write_json(const struct ch_write *w, const struct ch_work *work);
/* After the store has taken w with go_on: work becomes what the store now has. */
void ch_write_apply(struct ch_write *w, struct ch_work *work);

#endif
