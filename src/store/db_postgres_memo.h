/* What the open transaction has read and nothing has changed since: it is not asked for again,
 * which would take as long as the way to the server and back.  Nobody else writes meanwhile
 * (the writer's lock; the snapshot of a reader). */
#ifndef CH_STORE_DB_POSTGRES_MEMO_H
#define CH_STORE_DB_POSTGRES_MEMO_H

#include <libpq-fe.h>

#include "store/db.h"
#include "store/db_postgres_touch.h"

/* The answer to a statement; it may be still to come. */
struct ch_answer {
	PGresult *result; /* NULL: to come, or it never will */
	unsigned holders;
	/* while it is remembered: */
	struct ch_answer *next;
	const void *stmt;
	uint64_t args; /* a hash of them; equal bytes are compared, too */
	unsigned char *bytes;
	size_t n_bytes;
	struct ch_touch touch;
	uint64_t key;
};

#define CH_MEMO_BUCKETS 256

struct ch_memo {
	bool is_open;
	size_t n;
	unsigned tables; /* of any of them */
	size_t bytes;	 /* of those that have come */
	struct ch_answer *buckets[CH_MEMO_BUCKETS];
};

/* Held once; NULL: no memory. */
struct ch_answer *ch_answer_new(void);
struct ch_answer *ch_answer_hold(struct ch_answer *answer);
/* Takes any of them, NULL too. */
void ch_answer_let_go(struct ch_answer *answer);
/* It has come: kept if anybody but who brings it wants it, else cleared. */
void ch_answer_bring(struct ch_answer *answer, PGresult *result);

bool ch_answer_same(const struct ch_answer *a, const struct ch_answer *b);

/* Held for the caller; NULL: it is not known. */
struct ch_answer *ch_memo_find(
	const struct ch_memo *memo, const void *stmt, const struct ch_db_arg *args, size_t n);
/* If it is worth it and the memo is open. */
void ch_memo_add(struct ch_memo *memo, struct ch_answer *answer, const void *stmt,
	const struct ch_touch *touch, const struct ch_db_arg *args, size_t n);
/* It has come: it may be too large to be remembered, or one too many. */
void ch_memo_came(struct ch_memo *memo, struct ch_answer *answer);
/* A statement that writes is run. */
void ch_memo_written(
	struct ch_memo *memo, const struct ch_touch *touch, const struct ch_db_arg *args);
/* Begins empty, or ends so. */
void ch_memo_open(struct ch_memo *memo, bool is_open);

#endif
