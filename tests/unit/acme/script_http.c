#include "script_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "net/http_impl.h"

void script_fill(struct ch_http_resp *resp, const struct script_turn *turn)
{
	ch_http_resp_restart(resp, 1024 * 1024);
	resp->status = turn->status;
	for (size_t i = 0; i < 6 && turn->headers[i]; i++)
		assert_int_equal(
			ch_http_resp_add_line(resp, turn->headers[i], strlen(turn->headers[i])),
			CH_OK);
	if (turn->body)
		ch_buf_add_str(&resp->body, turn->body);
}

static int script_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	struct script_http *script = (struct script_http *)http;
	const struct script_turn *turn = &script->turns[script->at];

	assert_true(script->at < script->n_turns);
	if (turn->url)
		assert_string_equal(req->url, turn->url);
	script->sent[script->at] = strndup(req->body ? req->body : "", req->body_len);
	script->once[script->at] = req->once;
	script->timeout_ms[script->at] = req->timeout_ms;
	snprintf(script->sent_url[script->at], 256, "%s", req->url);
	script->at++;
	if (turn->rc)
		return ch_err_set(err, turn->rc, "connect", "nobody answers");
	script_fill(resp, turn);
	if (resp->body.len > req->max_answer_b)
		return ch_err_set(err, CH_ETOOBIG, "answer-too-long", "too long");
	return CH_OK;
}

static void script_free(struct ch_http *http)
{
}

void script_init(struct script_http *script)
{
	memset(script, 0, sizeof(*script));
	script->http.send = script_send;
	script->http.free = script_free;
}

void script_add(struct script_http *script, struct script_turn turn)
{
	assert_true(script->n_turns < SCRIPT_MAX);
	script->turns[script->n_turns++] = turn;
}

void script_done(struct script_http *script)
{
	assert_int_equal(script->at, script->n_turns);
	for (size_t i = 0; i < script->at; i++)
		free(script->sent[i]);
}

char *script_jws_part(const struct script_http *script, size_t i, const char *member)
{
	json_t *doc = json_loads(script->sent[i], 0, NULL);
	const char *text = json_string_value(json_object_get(doc, member));
	uint8_t *bytes = NULL;
	size_t len;

	assert_non_null(text);
	assert_int_equal(ch_b64u_decode_alloc(text, 65536, &bytes, &len), CH_OK);
	bytes[len] = 0;
	json_decref(doc);
	return (char *)bytes;
}
