/* A struct ch_http that answers from a script, and keeps what was sent. */
#ifndef SCRIPT_HTTP_H
#define SCRIPT_HTTP_H

#include "net/http.h"

#define SCRIPT_MAX 64

struct script_turn {
	const char *url; /* expected; NULL: any */
	int rc;		 /* not 0: no answer */
	int status;
	const char *headers[6]; /* "Name: value" */
	const char *body;
};

struct script_http {
	struct ch_http http;
	struct script_turn turns[SCRIPT_MAX];
	size_t n_turns;
	size_t at;
	char *sent[SCRIPT_MAX]; /* bodies; "" for GET */
	int once[SCRIPT_MAX];
	int64_t timeout_ms[SCRIPT_MAX];
	char sent_url[SCRIPT_MAX][256];
};

void script_init(struct script_http *script);
void script_add(struct script_http *script, struct script_turn turn);
/* Asserts that the whole script was used, and frees. */
void script_done(struct script_http *script);
/* The decoded JSON of a member of a sent JWS ("protected", "payload"); the caller frees. */
char *script_jws_part(const struct script_http *script, size_t i, const char *member);

/* Fills an initialized response by hand. */
void script_fill(struct ch_http_resp *resp, const struct script_turn *turn);

#endif
