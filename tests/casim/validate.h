/* Validation of challenges, by threads of its own. */
#ifndef CASIM_VALIDATE_H
#define CASIM_VALIDATE_H

#include "sim.h"

struct sim_task {
	struct sim *sim;
	struct sim_authz *authz;
	struct sim_challenge *challenge;
	/* Copies, to be read without the lock. */
	char *name;
	bool wildcard;
	const char *type;
	char *key_authorization;
	char *account_url;
	char *address;
	char *dns; /* "address:port" of the name server, or "" */
	char *issuer_domain;
	unsigned http_port, tls_port;
	int64_t timeout_ms, delay_ms;
	size_t max_b;
	bool always_valid;
	json_t *order; /* what tests have ordered for the name's validation; NULL */
	struct sim_task *next;
};

void sim_validate_init(unsigned threads);
/* Owns the task; with the lock held. */
void sim_validate_start(struct sim_task *task);

/* One challenge; NULL: it is met, else the problem document. */
json_t *sim_validate_http(const struct sim_task *task);
json_t *sim_validate_tls(const struct sim_task *task);
json_t *sim_validate_dns(const struct sim_task *task);
json_t *sim_validate_persist(const struct sim_task *task);

#endif
