/* A client of one CA under one account, shared by all threads; each brings its own HTTP. */
#ifndef CH_ACME_CLIENT_H
#define CH_ACME_CLIENT_H

#include "acme/call.h"

struct ch_acme;

/* directory_url is copied, key is kept by reference count.  CH_EINVAL: not an https URL. */
CH_MUST int ch_acme_new(const char *directory_url, EVP_PKEY *key, struct ch_acme **ret_acme,
	struct ch_err *err);
void ch_acme_free(struct ch_acme *acme);

/* The account URL that requests are signed with; "" forgets it. */
void ch_acme_set_account(struct ch_acme *acme, const char *url);
/* False, and "", before it is known. */
bool ch_acme_get_account(struct ch_acme *acme, char ret_url[CH_ACME_URL_B]);

/* How long the CA may take for the answer to one request; 0, as at the beginning: 30 s.  Before
 * other threads use it. */
void ch_acme_set_timeout(struct ch_acme *acme, int64_t timeout_ms);

/* Asked before each request of a call: the directory, a nonce, the request itself, and what is
 * sent again.  False: it is not sent, nor anything after it, and ans says why; ans->unsent is
 * set.  Before other threads use it. */
typedef bool (*ch_acme_pass)(void *arg, enum ch_acme_kind kind, struct ch_acme_answer *ans);
void ch_acme_set_pass(struct ch_acme *acme, ch_acme_pass pass, void *arg);

/* Whether the directory, as it was read last, says where to ask when to renew (RFC 9773). */
bool ch_acme_has_renewal_info(struct ch_acme *acme);

/* By which names CAA records mean this CA; 0 before its directory was read, or when it names
 * none.
 */
size_t ch_acme_get_identities(
	struct ch_acme *acme, char ret_identities[CH_ACME_IDENTITIES_MAX][CH_ACME_IDENTITY_B]);

/* Makes the whole exchange: the directory (cached for a day, and fetched again after a 404 on
 * one of its URLs), a nonce, the request, newly signed after each badNonce.  ans is initialized
 * by the caller and tells everything; the result is ans->fate. */
enum ch_acme_fate ch_acme_run(struct ch_acme *acme, struct ch_http *http,
	const struct ch_acme_request *req, struct ch_acme_answer *ans);

#endif
