/* A CA in memory behind struct ch_http: nonces, one account, orders, real certificates.  Its
 * switches make it answer in every way that real CAs do. */
#ifndef FAKE_CA_H
#define FAKE_CA_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "net/http.h"

#define FAKE_ORDERS_MAX 64
#define FAKE_URL "https://ca.test"

enum fake_route {
	FAKE_DIRECTORY,
	FAKE_NONCE,
	FAKE_ACCOUNT,
	FAKE_ACCOUNT_URL,
	FAKE_NEW_ORDER,
	FAKE_ORDER,
	FAKE_AUTHZ,
	FAKE_CHALLENGE,
	FAKE_FINALIZE,
	FAKE_CERT,
	FAKE_ROUTES
};

struct fake_answer { /* injected: given instead of the CA's own */
	int rc;	     /* not 0: no answer at all */
	int status;
	const char *header; /* "Retry-After: 5", or NULL */
	const char *body;
	bool after; /* the CA does what was asked, then answers this */
	int times;  /* so often */
};

struct fake_authz {
	char name[254];
	const char *status;
	bool answered;
	int polls_left; /* polls before the verdict */
};

struct fake_order {
	const char *status;
	struct fake_authz authz[2];
	size_t n;
	int processing_left; /* polls in "processing" */
	char *pem;
};

struct fake_ca {
	struct ch_http http;
	EVP_PKEY *key;
	X509 *root;
	unsigned nonce;
	unsigned nonce_reject; /* so many signed requests are refused with badNonce */
	bool account;
	bool rolled_over; /* the account has another key */
	struct fake_order orders[FAKE_ORDERS_MAX];
	size_t n_orders;
	int count[FAKE_ROUTES]; /* requests that came */
	int issued;
	struct fake_answer inject[FAKE_ROUTES];
	/* Switches */
	const char *invalid_name;  /* its authorization fails */
	const char *invalid_error; /* with this problem document */
	const char *initial_authz; /* status of new authorizations, default "pending" */
	bool no_http_challenge;
	bool dns_challenge; /* is offered too */
	bool tls_challenge;
	const char *persist_issuers; /* dns-persist-01 is offered, with these; NULL: unusable */
	bool upper_case;	     /* identifiers come back in capitals */
	int polls;
	int processing;
	const char *order_error; /* the order becomes invalid at finalize, with this */
	bool wrong_key;
	bool wrong_names;
	int64_t lifetime_s;
	const char *expires; /* of orders */
};

void fake_ca_init(struct fake_ca *ca);
void fake_ca_done(struct fake_ca *ca);
void fake_ca_inject(struct fake_ca *ca, enum fake_route route, struct fake_answer answer);

#endif
