/* Names that visitors ask for, and what an issuer that looks at names is handed out. */
#ifndef CH_TESTS_STORE_WANTED_H
#define CH_TESTS_STORE_WANTED_H

#include "pacing.h"

/* How many of them count then. */
size_t want_all(struct fixture *fx, const char *pool, const char *const *names, size_t n);
size_t want(struct fixture *fx, const char *name);

/* "NAME-<number>.example", of one domain each. */
struct many {
	char names[CH_STORE_PUT_MAX][40];
	const char *list[CH_STORE_PUT_MAX];
	size_t n;
};

struct many *many(struct fixture *fx, const char *name, size_t n);
void import(struct fixture *fx, const struct many *m, const char *tenant);
size_t want_many(struct fixture *fx, const struct many *m);

struct ch_store_looking hand_out(struct fixture *fx, size_t most);
/* A look has found no address; the issuer would try again then. */
void bury(struct fixture *fx, const struct ch_store_look_key *key, int64_t next_at_ms);

#endif
