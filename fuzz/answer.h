/* HTTP answers from fuzzed bytes: a line with the status, header lines, an empty line, a body.
 */
#ifndef CH_FUZZ_ANSWER_H
#define CH_FUZZ_ANSWER_H

#include "net/http.h"
#include "parts.h"

/* resp is initialized.  False: over a limit that the client enforces (a header, max_body_b). */
bool ch_fuzz_answer(struct ch_http_resp *resp, const char *text, size_t len, size_t max_body_b);
/* The same from a body alone; type NULL: without a Content-Type. */
bool ch_fuzz_answer_body(
	struct ch_http_resp *resp, int status, const char *type, const void *body, size_t len);

/* A client that is answered with the parts, one after the other, and then by nobody. */
struct ch_fuzz_http {
	struct ch_http http; /* first */
	struct ch_fuzz_parts parts;
	size_t n_sent;
};
void ch_fuzz_http_init(struct ch_fuzz_http *http, const struct ch_fuzz_parts *parts);

#endif
