/* The words for the states of names and orders, and for roles: one list each. */
#ifndef CH_WIRE_STATE_H
#define CH_WIRE_STATE_H

#include <stdbool.h>

#include "base/err.h"

#define CH_NAME_STATE_LIST(X)                                                                  \
	X(CH_NAME_PENDING, "pending")	    /* registered, no order has begun */               \
	X(CH_NAME_VALIDATING, "validating") /* the CA checks who controls the name */          \
	X(CH_NAME_ISSUING, "issuing")	    /* key, certificate, publication, confirmation */  \
	X(CH_NAME_ACTIVE, "active")	    /* served by the edges */                          \
	X(CH_NAME_RENEWING, "renewing")	    /* served, and a new certificate is on its way */  \
	X(CH_NAME_FAILED, "failed") /* the last attempt failed; next_at says when again */     \
	X(CH_NAME_MOVED,                                                                       \
		"moved") /* its DNS has led elsewhere for long; comes back by itself */        \
	X(CH_NAME_PAUSED, "paused") /* nothing happens until somebody resumes it */

/* Each state but the last two is left by ONE step of a leased worker. */
#define CH_ORDER_STATE_LIST(X)                                                                 \
	X(CH_ORDER_NEW, "new")	       /* nothing sent to the CA yet */                        \
	X(CH_ORDER_ORDERED, "ordered") /* newOrder done: URLs are known */                     \
	X(CH_ORDER_VALIDATING,                                                                 \
		"validating")	     /* challenges answered: authorizations are polled */      \
	X(CH_ORDER_VALID, "valid")   /* all authorizations valid: make and seal the key */     \
	X(CH_ORDER_SEALED, "sealed") /* CSR and sealed key are stored: finalize */             \
	X(CH_ORDER_FINALIZING,                                                                 \
		"finalizing") /* finalize sent: poll, download, check, publish */              \
	X(CH_ORDER_CONFIRMING, "confirming") /* published: edges' cursors and a probe */       \
	X(CH_ORDER_DONE, "done")                                                               \
	X(CH_ORDER_FAILED, "failed")

/* What a certificate's key is for, and which ones a name has. */
#define CH_KEY_TYPE_LIST(X)                                                                    \
	X(CH_KEY_ECDSA, "ecdsa") /* on the curve that the issuer has configured: P-256 */      \
	X(CH_KEY_RSA, "rsa")                                                                   \
	X(CH_KEY_P384, "p384") /* ECDSA */

#define CH_KEYS_LIST(X)                                                                        \
	X(CH_KEYS_ECDSA, "ecdsa")    /* one certificate */                                     \
	X(CH_KEYS_RSA, "rsa")	     /* one certificate */                                     \
	X(CH_KEYS_BOTH, "ecdsa+rsa") /* two: with an ECDSA key, and a second for who cannot    \
				      * use that */                                            \
	X(CH_KEYS_P384, "p384")	     /* one certificate */                                     \
	X(CH_KEYS_P384_BOTH, "p384+rsa")

/* In the URI SAN of identities: certherd://<role>/<scope>/<id>. */
#define CH_ROLE_LIST(X)                                                                        \
	X(CH_ROLE_STORE, "store")   /* server identity */                                      \
	X(CH_ROLE_ISSUER, "issuer") /* leases, orders, publication */                          \
	X(CH_ROLE_EDGE, "edge")	    /* feed of its pool (the scope), own acknowledgement */    \
	X(CH_ROLE_OPERATOR, "operator") /* everything people may do */                         \
	X(CH_ROLE_PLATFORM, "platform") /* domains: the platform's backend */                  \
	X(CH_ROLE_VIEWER, "viewer")	/* reads */

enum ch_name_state {
#define X(name, text) name,
	CH_NAME_STATE_LIST(X)
#undef X
		CH_NAME_STATE_COUNT
};

enum ch_order_state {
#define X(name, text) name,
	CH_ORDER_STATE_LIST(X)
#undef X
		CH_ORDER_STATE_COUNT
};

enum ch_key_type {
#define X(name, text) name,
	CH_KEY_TYPE_LIST(X)
#undef X
		CH_KEY_TYPE_COUNT
};

enum ch_keys {
#define X(name, text) name,
	CH_KEYS_LIST(X)
#undef X
		CH_KEYS_COUNT
};

enum ch_role {
#define X(name, text) name,
	CH_ROLE_LIST(X)
#undef X
		CH_ROLE_COUNT
};

const char *ch_name_state_str(enum ch_name_state state);
CH_MUST int ch_name_state_parse(const char *text, enum ch_name_state *ret_state);
const char *ch_order_state_str(enum ch_order_state state);
CH_MUST int ch_order_state_parse(const char *text, enum ch_order_state *ret_state);
const char *ch_key_type_str(enum ch_key_type type);
CH_MUST int ch_key_type_parse(const char *text, enum ch_key_type *ret_type);
const char *ch_keys_str(enum ch_keys keys);
CH_MUST int ch_keys_parse(const char *text, enum ch_keys *ret_keys);
/* Of the certificate that is not the second. */
static inline enum ch_key_type ch_keys_first(enum ch_keys keys)
{
	return keys == CH_KEYS_RSA				   ? CH_KEY_RSA
	       : keys == CH_KEYS_P384 || keys == CH_KEYS_P384_BOTH ? CH_KEY_P384
								   : CH_KEY_ECDSA;
}
/* Whether there is to be a second one, with an RSA key. */
static inline bool ch_keys_both(enum ch_keys keys)
{
	return keys == CH_KEYS_BOTH || keys == CH_KEYS_P384_BOTH;
}
const char *ch_role_str(enum ch_role role);
CH_MUST int ch_role_parse(const char *text, enum ch_role *ret_role);

#endif
