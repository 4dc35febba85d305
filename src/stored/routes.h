/* The table of routes: the one description of the API's surface.  Whatever else wants to know
 * it (an OpenAPI document, tests) reads this table. */
#ifndef CH_STORED_ROUTES_H
#define CH_STORED_ROUTES_H

#include <stddef.h>

#include "base/err.h"
#include "wire/state.h"

#define CH_ROUTE_PARAMS_MAX 2
/* Longest decoded part of a path: a domain name of 253 characters in UTF-8. */
#define CH_ROUTE_PARAM_B 1024

struct ch_req;

enum ch_route_body {
	CH_BODY_NONE,
	CH_BODY_OPTIONAL, /* none is like {} */
	CH_BODY_REQUIRED,
};

struct ch_route {
	const char *method;
	const char *pattern; /* "/v1/domains/{name}"; {…} takes one segment */
	unsigned roles;	     /* 1u << enum ch_role, or'ed; CH_ROLES_ANYBODY */
	enum ch_route_body body;
	size_t body_max_b;
	const char *query; /* parameters that are known, separated by spaces */
	void (*run)(struct ch_req *req);
	const char *summary;
};

/* Needs no client certificate. */
#define CH_ROLES_ANYBODY 0u

extern const struct ch_route ch_routes[];
extern const size_t ch_routes_n;

struct ch_route_match {
	char params[CH_ROUTE_PARAMS_MAX][CH_ROUTE_PARAM_B]; /* decoded, in order */
};

/* path: raw, without the query.  Problems: no-such-route, bad-path, method-not-allowed (then
 * ret_allow lists what is allowed). */
CH_MUST int ch_route_find(const char *method, const char *path,
	const struct ch_route **ret_route, struct ch_route_match *ret_match, char *ret_allow,
	size_t allow_b, struct ch_err *err);

#endif
