#include "net/http.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_impl.h"

int ch_http_send(struct ch_http *http, const struct ch_http_req *req, struct ch_http_resp *resp,
	struct ch_err *err)
{
	return http->send(http, req, resp, err);
}

void ch_http_free(struct ch_http *http)
{
	if (http)
		http->free(http);
}

void ch_http_resp_init(struct ch_http_resp *resp)
{
	memset(resp, 0, sizeof(*resp));
	ch_buf_init(&resp->body, 0);
}

static void forget_headers(struct ch_http_resp *resp)
{
	for (size_t i = 0; i < resp->n_headers; i++) {
		free((char *)resp->headers[i].name);
		free((char *)resp->headers[i].value);
	}
	resp->n_headers = 0;
}

void ch_http_resp_done(struct ch_http_resp *resp)
{
	forget_headers(resp);
	ch_buf_done(&resp->body);
	resp->status = 0;
}

void ch_http_resp_restart(struct ch_http_resp *resp, size_t max_body_b)
{
	forget_headers(resp);
	ch_buf_reset(&resp->body);
	resp->body.max_b = max_body_b;
	resp->status = 0;
}

const char *ch_http_resp_header(const struct ch_http_resp *resp, const char *name)
{
	for (size_t i = 0; i < resp->n_headers; i++)
		if (strcmp(resp->headers[i].name, name) == 0)
			return resp->headers[i].value;
	return NULL;
}

static const char *trim(const char *at, const char **end)
{
	while (at < *end && strchr(" \t\r\n", *at))
		at++;
	while (*end > at && strchr(" \t\r\n", (*end)[-1]))
		(*end)--;
	return at;
}

/* strndup would do, but sanitizers that check strings want a NUL behind the line. */
static char *copy_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = 0;
	}
	return copy;
}

int ch_http_resp_add_line(struct ch_http_resp *resp, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *end = line + len;
	const char *value;
	char *name;

	if (len > CH_HTTP_HEADER_MAX_B)
		return CH_ETOOBIG;
	/* A line without a colon, or with a NUL, says nothing that anybody asks for. */
	if (!colon || colon == line || memchr(line, 0, len) ||
		resp->n_headers == CH_HTTP_HEADERS_MAX)
		return CH_OK;
	value = trim(colon + 1, &end);
	name = copy_text(line, (size_t)(colon - line));
	resp->headers[resp->n_headers].name = name;
	resp->headers[resp->n_headers].value = copy_text(value, (size_t)(end - value));
	resp->n_headers++;
	if (!name || !resp->headers[resp->n_headers - 1].value)
		return CH_ENOMEM;
	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return CH_OK;
}

/* RFC 9110 section 5.6.7: the form of today and the two obsolete ones that recipients must
 * still take. */
int ch_http_date(const char *value, int64_t *ret_ms)
{
	static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

	for (size_t i = 0; i < CH_ARRAY_LEN(forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(value, forms[i], &tm);

		if (end && !*end) {
			*ret_ms = (int64_t)timegm(&tm) * CH_SECOND_MS;
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

/* RFC 9110 section 10.2.3 */
int ch_http_retry_after(const char *value, int64_t now_ms, int64_t *ret_at_ms)
{
	int64_t most_ms = now_ms + CH_DAY_MS;
	int64_t at_ms = 0;

	if (*value >= '0' && *value <= '9') {
		int64_t s = 0;

		for (; *value >= '0' && *value <= '9'; value++)
			if (s <= CH_DAY_MS)
				s = s * 10 + (*value - '0');
		if (*value)
			return CH_EINVAL;
		at_ms = now_ms + s * CH_SECOND_MS;
	} else if (ch_http_date(value, &at_ms)) {
		return CH_EINVAL;
	}
	*ret_at_ms = at_ms < now_ms ? now_ms : at_ms > most_ms ? most_ms : at_ms;
	return CH_OK;
}
