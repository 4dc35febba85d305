/* What the handlers work with. */
#ifndef CH_STORED_SERVICE_H
#define CH_STORED_SERVICE_H

#include "store/store.h"
#include "stored/foresight.h"
#include "stored/json_in.h"
#include "stored/polls.h"
#include "stored/request.h"
#include "wire/name.h"

struct ch_service {
	struct ch_store *store;
	struct ch_polls *polls;
	struct ch_name_rules name_rules; /* of names that are registered from now on */
	enum ch_keys keys;		 /* of new names that say nothing */
	bool claims;			 /* tenants' names are taken over with proof only */
	char delegate[CH_NAME_TEXT_B];	 /* "": DNS challenges are not delegated */
	char signers[4096];		 /* a file of crypto/sign.h; "": none */
	struct ch_dns *dns;		 /* over TCP; NULL: nothing is looked up */
	struct ch_issuers *issuers;	 /* NULL: nobody is listened to */
	struct ch_foresight *foresight;	 /* NULL: nothing is foreseen */
};

/* A write: parks the request, submits op, and next runs when it is committed or has failed
 * (op->rc).  op lies in the request's arena; its arena, done, user and who are set here (who
 * only for people and the platform, whose changes are audited, and for CH_OP_ADOPT).  When it
 * cannot be submitted next runs all the same, with op->rc. */
void ch_service_write(struct ch_req *req, struct ch_store_op *op, ch_req_fn *next);
/* The same of several, none of which says who: next runs when all of them are committed or have
 * failed, each by itself. */
void ch_service_write_all(
	struct ch_req *req, struct ch_store_op *const *ops, size_t n, ch_req_fn *next);
/* Answers with op's error; true when there was none. */
CH_MUST bool ch_service_written(struct ch_req *req, const struct ch_store_op *op);
/* The error of one that has failed. */
void ch_service_why(const struct ch_store_op *op, struct ch_err *ret_err);

/* The same, and then 200 with the name as it is now. */
void ch_service_answer_domain(
	struct ch_req *req, const struct ch_store_op *op, const char *name);

/* Whether who is asking has to prove that a name is a tenant's. */
bool ch_service_asks_proof(const struct ch_req *req);

/* "role/scope/id" in the request's arena; NULL when out of memory. */
const char *ch_service_who(struct ch_req *req);

/* What can be asked about: also what would not be registered any more. */
extern const struct ch_name_rules ch_service_any_name;

/* The request's path parameter as a normalized name; false: the answer is given. */
CH_MUST bool ch_service_name(struct ch_req *req, size_t param, char ret_name[CH_NAME_TEXT_B]);
/* A decimal id in the path; false: answered with `order-not-found`. */
CH_MUST bool ch_service_order_id(struct ch_req *req, uint64_t *ret_id);
/* 200 with the state of an order after a write of the issuer's. */
void ch_service_order_answer(struct ch_req *req, const struct ch_store_order_answer *answer);
/* … as a part of an answer; NULL when out of memory. */
json_t *ch_service_order_json(const struct ch_store_order_answer *answer);
/* An array of records in base64url, into the request's arena; at most CH_STORE_ORDER_NAMES_MAX.
 * Returns how many; what is wrong is told to in. */
size_t ch_service_records(struct ch_req *req, struct ch_json_in *in, const char *key,
	enum ch_json_need need, struct ch_store_record_bytes *ret_records);
/* limit and cursor of lists by id. */
CH_MUST bool ch_service_page(struct ch_req *req, size_t *ret_limit, uint64_t *ret_before);
/* The cursor of the next page as JSON; null for 0. */
json_t *ch_service_cursor(struct ch_req *req, uint64_t before);

#endif
