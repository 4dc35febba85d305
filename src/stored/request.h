/* One request: what was asked, who asks, and the answer.
 *
 * A handler runs in a thread of the HTTP server.  It may read from the store, but waits for
 * nothing: it gives an answer at once (ch_req_json, ch_req_empty, ch_req_bytes,
 * ch_req_problem…), or parks the request, hands it to something asynchronous and returns
 * without touching it again.  Whoever has it then calls ch_req_wake exactly once, from any
 * thread, and the continuation runs in a thread of the HTTP server, where it has the same
 * choice. */
#ifndef CH_STORED_REQUEST_H
#define CH_STORED_REQUEST_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "stored/auth.h"
#include "stored/json_in.h"
#include "net/query.h"
#include "stored/routes.h"

struct MHD_Connection;
struct ch_httpd;
struct ch_req;
struct ch_service;

typedef void ch_req_fn(struct ch_req *req);

struct ch_req_answer {
	int status;		  /* 0: no answer yet */
	const char *content_type; /* static */
	char *body;		  /* owned (malloc), may be NULL */
	size_t body_len;
	bool close;	   /* the connection, afterwards */
	char allow[64];	   /* 405 */
	int retry_after_s; /* 0: none */
};

struct ch_req {
	struct ch_httpd *httpd;
	struct ch_service *service;
	const struct ch_route *route;
	struct ch_who who;
	struct ch_route_match match; /* decoded parameters of the path */
	struct ch_query query;
	json_t *json;		/* the decoded body; {} when it is optional and absent */
	struct ch_arena *arena; /* lives as long as the request */
	int64_t began_ms;	/* monotonic: when the handler ran first */
	void *own;		/* the handler's, in arena */
	struct ch_req_answer answer;
	bool reauth; /* set before ch_req_wake: authenticate again before going on */

	/* The rest is httpd.c's. */
	struct MHD_Connection *conn;
	char *uri; /* raw path and query */
	char method[8];
	struct ch_buf body;
	uint64_t received_b;
	int64_t head_at_ms;
	int64_t auth_at_ms;
	bool has_head;
	bool parked;
	ch_req_fn *next;
	atomic_bool woken;
};

/* Answers.  A later one replaces an earlier one. */
/* Takes over the reference to body; NULL means out of memory: 500. */
void ch_req_json(struct ch_req *req, int status, json_t *body);
void ch_req_empty(struct ch_req *req, int status);
/* Takes over the buffer's content; an error latched in it becomes 500. */
void ch_req_bytes(
	struct ch_req *req, int status, const char *content_type, struct ch_buf *body);
/* The problem document for err; what is internal is logged and not told.  field may be NULL. */
void ch_req_fail(struct ch_req *req, const struct ch_err *err, const char *field);
/* The same for an error of which only the code is known. */
void ch_req_fail_rc(struct ch_req *req, int rc, const char *activity);
/* … without being the answer. */
void ch_req_err(int rc, const char *activity, struct ch_err *ret_err);
/* The document alone, where the answer has several; NULL when out of memory. */
json_t *ch_req_problem_json(
	const struct ch_req *req, const struct ch_err *err, const char *field);
void ch_req_problem(struct ch_req *req, int rc, const char *code, const char *field,
	const char *fmt, ...) CH_PRINTF(5, 6);
/* Ends reading of the body: true when it was good, else its error is the answer. */
CH_MUST bool ch_req_body_ok(struct ch_req *req, struct ch_json_in *in);

/* False when the server is stopping: the answer is given already, return. */
CH_MUST bool ch_req_park(struct ch_req *req, ch_req_fn *next);
void ch_req_wake(struct ch_req *req);

/* What the client calls itself; borrowed, NULL when it does not. */
const char *ch_req_user_agent(const struct ch_req *req);
/* True when the client has closed its side of the connection meanwhile. */
CH_MUST bool ch_req_is_gone(const struct ch_req *req);

/* For httpd.c; NULL when out of memory. */
struct ch_req *ch_req_new(struct ch_httpd *httpd, struct MHD_Connection *conn, const char *uri);
void ch_req_free(struct ch_req *req);

#endif
