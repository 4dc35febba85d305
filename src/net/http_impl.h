/* What implementations of struct ch_http share; callers of http.h do not need it. */
#ifndef CH_NET_HTTP_IMPL_H
#define CH_NET_HTTP_IMPL_H

#include "net/http.h"

/* Forgets status, headers and body; the body may then grow to max_body_b. */
void ch_http_resp_restart(struct ch_http_resp *resp, size_t max_body_b);
/* Adds one raw "Name: value\r\n" line.  CH_ETOOBIG over CH_HTTP_HEADER_MAX_B; lines that are
 * no header, and those after CH_HTTP_HEADERS_MAX, are dropped. */
CH_MUST int ch_http_resp_add_line(struct ch_http_resp *resp, const char *line, size_t len);

#endif
