#include "fake_wanted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "net/http_impl.h"

static void answer(struct fake_wanted *s, struct ch_http_resp *resp)
{
	const char *type = s->status == 200 ? "content-type: application/json"
					    : "content-type: application/problem+json";

	resp->status = s->status;
	assert_int_equal(ch_http_resp_add_line(resp, type, strlen(type)), CH_OK);
	if (s->line)
		assert_int_equal(ch_http_resp_add_line(resp, s->line, strlen(s->line)), CH_OK);
	if (s->status == 200)
		assert_int_equal(ch_buf_addf(&resp->body, "{\"taken\":%d}", s->taken), CH_OK);
	else
		assert_int_equal(
			ch_buf_add_str(&resp->body, "{\"code\":\"no\",\"detail\":\"No.\"}"),
			CH_OK);
}

static int take(struct ch_http *http, const struct ch_http_req *req, struct ch_http_resp *resp,
	struct ch_err *err)
{
	struct fake_wanted *s = (struct fake_wanted *)http;
	json_t *body = json_loadb(req->body, req->body_len, 0, NULL);

	assert_string_equal(req->method, "POST");
	assert_string_equal(req->url, "https://store.example/v1/wanted");
	snprintf(s->last, sizeof(s->last), "%.*s", (int)req->body_len, (const char *)req->body);
	atomic_fetch_add(&s->names, (unsigned)json_array_size(json_object_get(body, "names")));
	json_decref(body);
	ch_http_resp_restart(resp, req->max_answer_b);
	atomic_fetch_add(&s->asked, 1);
	if (s->rc)
		return ch_err_set(err, s->rc, "http", "no");
	answer(s, resp);
	return CH_OK;
}

static void leave(struct ch_http *http)
{
}

void fake_wanted_init(struct fake_wanted *store)
{
	memset(store, 0, sizeof(*store));
	store->http.send = take;
	store->http.free = leave;
	store->status = 200;
}

void fake_wanted_options(struct ch_api_options *ret_options)
{
	memset(ret_options, 0, sizeof(*ret_options));
	assert_int_equal(ch_api_options_add_url(ret_options, "https://store.example"), CH_OK);
}
