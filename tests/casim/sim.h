/* A certificate authority for tests: RFC 8555 and its relatives over HTTPS, with a clock of its
 * own, limits, and faults to order.  README.md has its management interface.
 *
 * One lock guards everything that struct sim holds.  Whoever answers a request has it;
 * signatures are verified and challenges fetched without it. */
#ifndef CASIM_SIM_H
#define CASIM_SIM_H

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "table.h"

#define SIM_NAMES_MAX 100
#define SIM_CHALLENGES_MAX 8
#define SIM_URL_B 256
#define SIM_TOKEN_B 44
#define SIM_SERIAL_B 40 /* hex, with NUL */
#define SIM_ROOTS 2
#define SIM_INTERMEDIATES 2

enum sim_status {
	SIM_PENDING,
	SIM_PROCESSING,
	SIM_READY,
	SIM_VALID,
	SIM_INVALID,
	SIM_DEACTIVATED,
	SIM_EXPIRED,
	SIM_REVOKED,
};
const char *sim_status_str(enum sim_status status);

struct sim_account {
	unsigned id;
	char thumbprint[SIM_TOKEN_B];
	EVP_PKEY *key;
	json_t *contact;
	enum sim_status status;
	char *eab_kid; /* NULL: none */
};

struct sim_challenge {
	const char *type;
	char token[SIM_TOKEN_B]; /* "": offered without one */
	enum sim_status status;
	json_t *error;
	int64_t validated_ms;
};

struct sim_authz {
	unsigned id;
	struct sim_account *account;
	char *name; /* without "*." */
	bool wildcard;
	enum sim_status status;
	int64_t expires_ms;
	int64_t valid_for_ms; /* once it is valid */
	struct sim_challenge challenges[SIM_CHALLENGES_MAX];
	size_t n;
};

struct sim_order {
	unsigned id;
	struct sim_account *account;
	size_t n;
	char *names[SIM_NAMES_MAX]; /* sorted */
	char *set;		    /* the same in one text */
	struct sim_authz *authz[SIM_NAMES_MAX];
	enum sim_status status; /* as stored; sim_order_refresh brings it up to date */
	int64_t expires_ms;
	int64_t valid_at_ms; /* processing: until when */
	const char *profile;
	struct sim_cert *replaces;
	bool exempt;  /* a renewal under ARI: no limit counts it */
	bool renewal; /* of the same set of names */
	struct sim_cert *cert;
	json_t *error;
};

struct sim_cert {
	char serial[SIM_SERIAL_B];
	uint8_t *der;
	size_t der_len;
	struct sim_order *order;
	unsigned intermediate;
	int64_t not_before_s;
	int64_t not_after_s;
	int64_t issued_ms;
	bool revoked;
	int reason;
	struct sim_order *replaced_by;
	/* Set by hand; 0: as the lifetime says. */
	int64_t window_start_ms;
	int64_t window_end_ms;
	char *explanation;
	json_t *retry_after; /* of its renewalInfo; NULL: the setting's */
};

struct sim_list {
	void **items;
	size_t n;
	size_t room;
};
void sim_list_add(struct sim_list *list, void *item);

struct sim_nonces;
struct sim_ca;

struct sim {
	pthread_mutex_t lock;
	char base[SIM_URL_B]; /* "https://127.0.0.1:14000" */
	json_t *settings;
	int64_t clock_offset_ms;
	int64_t clock_stopped_ms; /* 0: it runs */
	struct sim_nonces *nonces;
	struct sim_ca *ca;
	struct sim_list accounts, orders, authzs, certs;
	struct sim_table accounts_by_key, certs_by_serial;
	struct sim_table authz_reuse; /* account and name: the newest authorization */
	struct sim_table order_reuse; /* account, profile and set: the newest order */
	struct sim_table sets_issued; /* sets of names that had a certificate: a renewal */
	struct sim_table buckets;
	struct sim_table eab_used;
	struct sim_table names; /* what was ordered for single names: struct sim_orders */
	json_t *counts;		/* of requests, answers and faults */
};

/* The CA's own clock. */
int64_t sim_now_ms(const struct sim *sim);
/* RFC 3339, to the second, as CAs write it. */
const char *sim_time(int64_t at_ms, char ret_text[CH_TIME_STR_B]);
void sim_count(struct sim *sim, const char *group, const char *what);
_Noreturn void sim_die(const char *fmt, ...) CH_PRINTF(1, 2);
/* For what only fails when memory is out: a test program ends. */
#define SIM_NEED(ok)                                                                           \
	do {                                                                                   \
		if (!(ok))                                                                     \
			sim_die("%s:%d: %s", __FILE__, __LINE__, #ok);                         \
	} while (0)
char *sim_copy(const char *text);
/* 32 random bytes as base64url. */
void sim_token(char ret_token[SIM_TOKEN_B]);
/* True this often of a hundred times. */
bool sim_chance(double percent);

#endif
