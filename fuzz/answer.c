#include "answer.h"

#include <stdio.h>
#include <string.h>

#include "net/http_impl.h"

/* Three digits, as every HTTP client reads them; else 200. */
static int read_status(const char *line, size_t len)
{
	const char *digits = "0123456789";

	if (len < 3 || line[0] < '1' || line[0] > '9' || !memchr(digits, line[1], 10) ||
		!memchr(digits, line[2], 10))
		return 200;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

bool ch_fuzz_answer(struct ch_http_resp *resp, const char *text, size_t len, size_t max_body_b)
{
	const char *line;
	size_t n;

	ch_http_resp_restart(resp, max_body_b);
	if (!ch_fuzz_line(&text, &len, &line, &n))
		return true;
	resp->status = read_status(line, n);
	while (ch_fuzz_line(&text, &len, &line, &n) && n > 0)
		if (ch_http_resp_add_line(resp, line, n))
			return false;
	return ch_buf_add(&resp->body, text, len) == CH_OK;
}

bool ch_fuzz_answer_body(
	struct ch_http_resp *resp, int status, const char *type, const void *body, size_t len)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "Content-Type: %s\r\n", type ? type : "");

	ch_http_resp_restart(resp, 1u << 20);
	resp->status = status;
	if (type && ch_http_resp_add_line(resp, line, (size_t)n))
		return false;
	return ch_buf_add(&resp->body, body, len) == CH_OK;
}

static int fuzz_send(struct ch_http *base, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	struct ch_fuzz_http *http = (struct ch_fuzz_http *)base;
	const char *text;
	size_t len;

	CH_FUZZ_CHECK(strncmp(req->url, "https://", 8) == 0);
	http->n_sent++;
	if (!ch_fuzz_parts_next(&http->parts, &text, &len))
		return ch_err_set(err, CH_ENETWORK, "connect", "nobody answers");
	if (!ch_fuzz_answer(resp, text, len, req->max_answer_b))
		return ch_err_set(err, CH_ETOOBIG, "answer-too-long", "the answer is too long");
	return CH_OK;
}

static void fuzz_free(struct ch_http *base)
{
}

void ch_fuzz_http_init(struct ch_fuzz_http *http, const struct ch_fuzz_parts *parts)
{
	*http = (struct ch_fuzz_http){.http = {.send = fuzz_send, .free = fuzz_free}};
	if (parts)
		http->parts = *parts;
}
