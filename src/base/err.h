/* Return codes and the error record that travels with them.
 *
 * Every function that can fail returns 0 or a negative enum ch_rc and is marked CH_MUST.
 * Outputs named ret_* are written only on success.  At module borders a struct ch_err carries
 * what a person needs to know; its strings are copied in, so it owns nothing and may be
 * copied by assignment.  Foreign error numbers (SQLite, LMDB, OpenSSL, curl) are mapped to
 * these codes once, where they enter. */
#ifndef CH_BASE_ERR_H
#define CH_BASE_ERR_H

#include <stdint.h>

#define CH_MUST __attribute__((warn_unused_result))
#define CH_PRINTF(fmt_at, arg_at) __attribute__((format(printf, fmt_at, arg_at)))

/* X(name, number, sentence) */
#define CH_RC_LIST(X)                                                                          \
	X(CH_OK, 0, "success")                                                                 \
	X(CH_ENOMEM, -1, "out of memory")                                                      \
	X(CH_EINVAL, -2, "invalid input")                                                      \
	X(CH_ENOTFOUND, -3, "not found")                                                       \
	X(CH_EEXIST, -4, "already exists")                                                     \
	X(CH_ETOOBIG, -5, "over a limit")                                                      \
	X(CH_EIO, -6, "input/output error")                                                    \
	X(CH_ECRYPTO, -7, "cryptographic operation failed")                                    \
	X(CH_EAUTH, -8, "not authenticated or not allowed")                                    \
	X(CH_ECONFLICT, -9, "state changed meanwhile")                                         \
	X(CH_EAGAIN, -10, "not now, try again later")                                          \
	X(CH_ETIMEOUT, -11, "timed out")                                                       \
	X(CH_ENETWORK, -12, "network error")                                                   \
	X(CH_EPROTO, -13, "the peer broke the protocol")                                       \
	X(CH_ECORRUPT, -14, "stored data is damaged")                                          \
	X(CH_EUNSUPPORTED, -15, "not supported")                                               \
	X(CH_ECANCELED, -16, "canceled")                                                       \
	X(CH_EFULL, -17, "no space left")

enum ch_rc {
#define X(name, number, sentence) name = number,
	CH_RC_LIST(X)
#undef X
};

/* A static sentence for rc; never NULL. */
const char *ch_rc_str(int rc);

/* Who has to act so that a failing thing can succeed (shown to people, stored with a name). */
#define CH_ACTOR_LIST(X)                                                                       \
	X(CH_ACTOR_NOBODY, "nobody")                                                           \
	X(CH_ACTOR_CUSTOMER, "customer")                                                       \
	X(CH_ACTOR_PLATFORM, "platform")                                                       \
	X(CH_ACTOR_OPERATOR, "operator")                                                       \
	X(CH_ACTOR_CA, "ca")

enum ch_actor {
#define X(name, text) name,
	CH_ACTOR_LIST(X)
#undef X
};

const char *ch_actor_str(enum ch_actor actor);
/* CH_EINVAL when text is none of the words of the list. */
CH_MUST int ch_actor_parse(const char *text, enum ch_actor *ret_actor);

struct ch_err {
	int rc;		     /* enum ch_rc */
	char problem[64];    /* stable code, lower-case-with-dashes, e.g. "name-too-long" */
	char detail[512];    /* one sentence: what is wrong and what to change */
	char activity[64];   /* what was being done, e.g. "finalize order" */
	enum ch_actor actor; /* who must act */
	int64_t retry_at_ms; /* Unix milliseconds, 0 = unknown */
};

/* Fills *err (NULL allowed: then it only returns rc); detail is truncated at its size, but
 * never inside a UTF-8 character. Returns rc, so that a caller can write `return
 * ch_err_set(err, CH_EINVAL, "code", "…")`. */
int ch_err_set(struct ch_err *err, int rc, const char *problem, const char *fmt, ...)
	CH_PRINTF(4, 5);

/* Puts "prefix: " in front of the detail. */
void ch_err_prefix(struct ch_err *err, const char *fmt, ...) CH_PRINTF(2, 3);

#endif
