/* Requests and their answers, as the handlers see them. */
#ifndef CASIM_REPLY_H
#define CASIM_REPLY_H

#include "jws.h"
#include "sim.h"

#define SIM_HEADERS_MAX 24
#define SIM_BODY_MAX_B (64u * 1024u)

struct sim_req {
	struct sim *sim;
	const char *method;
	const char *path; /* without query */
	const char *rest; /* what follows the route's path */
	const char *ip;
	const char *type; /* Content-Type or "" */
	const char *user_agent;
	struct ch_buf body;
	struct sim_jws jws;
	/* Whose signature it is: the account's, or that of the key in the request. */
	struct sim_account *account;
	EVP_PKEY *key;
	char thumbprint[SIM_TOKEN_B];
};

/* How the bytes of an answer go out. */
enum sim_manner {
	SIM_SEND,
	SIM_CUT,      /* the connection ends in the middle of the body */
	SIM_RESET,    /* no answer: the connection is reset */
	SIM_SILENCE,  /* no answer, for ms */
	SIM_LATE,     /* the answer after ms */
	SIM_DRIP,     /* a byte every ms */
	SIM_GIGABYTE, /* the body, then blanks, 1 GiB in all */
};

struct sim_reply {
	unsigned status;
	json_t *json; /* owned; NULL: body */
	struct ch_buf body;
	const char *type;
	struct {
		const char *name;
		char *value;
	} headers[SIM_HEADERS_MAX];
	size_t n_headers;
	bool no_nonce;
	/* What it is about; NULL: nothing. */
	struct sim_order *order;
	struct sim_authz *authz;
	enum sim_manner manner;
	int64_t ms;
	bool chunked;
};

void sim_reply_init(struct sim_reply *reply);
void sim_reply_done(struct sim_reply *reply);
void sim_reply_header(struct sim_reply *reply, const char *name, const char *fmt, ...)
	CH_PRINTF(3, 4);
void sim_reply_drop_header(struct sim_reply *reply, const char *name);
/* Owns json from now on. */
void sim_reply_json(struct sim_reply *reply, unsigned status, json_t *json);
/* A problem document in place of what there was; type without its prefix. */
void sim_problem(struct sim_reply *reply, unsigned status, const char *type, const char *fmt,
	...) CH_PRINTF(4, 5);
/* The same as an object. */
json_t *sim_problem_json(unsigned status, const char *type, const char *fmt, ...)
	CH_PRINTF(3, 4);
/* Retry-After: a number of seconds, or the text as it is; null: none. */
void sim_reply_retry_after(struct sim_reply *reply, const json_t *value);
/* The time of the CA in an hour's and minute's text, as "2026-11-26 01:02:03 UTC". */
const char *sim_date(int64_t at_ms, char ret_text[CH_TIME_STR_B]);

#endif
