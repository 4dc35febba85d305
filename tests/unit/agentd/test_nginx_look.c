/* What the agent tells the store of the nginx beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_impl.h"
#include "world.h"

#define URL "http://127.0.0.1:8081/metrics"
#define FIGURE "certherd_edge_key_open_failures_total "
#define CANNOT_OPEN "nginx cannot open keys"
#define AWAY "does not give its figures"

static struct {
	int rc;
	int status;
	const char *text;
	unsigned asked;
} page;

static int send_page(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	assert_string_equal(req->url, URL);
	assert_string_equal(req->method, "GET");
	page.asked++;
	if (page.rc)
		return ch_err_set(err, page.rc, "http", "no");
	ch_http_resp_restart(resp, req->max_answer_b);
	resp->status = page.status;
	return ch_buf_add_str(&resp->body, page.text);
}

static struct ch_http nginx = {.send = send_page};

static int set_up(void **state)
{
	int rc = world_setup(state);
	struct world *w = *state;

	memset(&page, 0, sizeof(page));
	page.status = 200;
	page.text = "# HELP\n" FIGURE "7\ncertherd_edge_workers 2\n";
	fake_store_put_name(&w->store, "a.example.com", 1);
	w->follow.nginx = (struct ch_nginx_look){.http = &nginx, .url = URL};
	return rc;
}

/* After so long: whether the store was told this. */
static bool tells(struct world *w, int64_t after_ms, const char *what)
{
	w->now_ms += after_ms;
	world_steps(w, 1);
	return strstr(w->store.last_ack, what) != NULL;
}

static void keys_that_cannot_be_opened_are_told(void **state)
{
	struct world *w = *state;

	/* What was before may be long ago. */
	assert_false(tells(w, 0, CANNOT_OPEN));
	assert_false(tells(w, CH_NGINX_LOOK_MS, CANNOT_OPEN));
	page.text = FIGURE "8\n";
	assert_true(tells(w, CH_NGINX_LOOK_MS, CANNOT_OPEN));
	assert_true(tells(w, CH_NGINX_GREW_MS - 1, CANNOT_OPEN));
	assert_false(tells(w, 1, CANNOT_OPEN));
	assert_false(tells(w, CH_NGINX_LOOK_MS, "error\":\""));
}

static void a_new_nginx_counts_from_the_beginning(void **state)
{
	struct world *w = *state;

	assert_false(tells(w, 0, CANNOT_OPEN));
	page.text = FIGURE "0\n";
	assert_false(tells(w, CH_NGINX_LOOK_MS, CANNOT_OPEN));
	page.text = FIGURE "1\n";
	assert_true(tells(w, CH_NGINX_LOOK_MS, CANNOT_OPEN));
}

static void it_is_asked_now_and_then(void **state)
{
	struct world *w = *state;

	world_steps(w, 3);
	assert_int_equal(page.asked, 1);
	(void)tells(w, CH_NGINX_LOOK_MS - 1, "");
	assert_int_equal(page.asked, 1);
	(void)tells(w, 1, "");
	assert_int_equal(page.asked, 2);
	w->follow.nginx.http = NULL;
	(void)tells(w, CH_NGINX_LOOK_MS, "");
	assert_int_equal(page.asked, 2);
}

static void one_that_is_away_for_long_is_told(void **state)
{
	static const char *const wrong[] = {"", "certherd_edge_workers 2\n", FIGURE "x\n",
		FIGURE "-1\n", FIGURE "3", FIGURE "99999999999999999999\n", "x" FIGURE "8\n"};
	struct world *w = *state;

	assert_false(tells(w, 0, AWAY));
	for (size_t i = 0; i <= CH_ARRAY_LEN(wrong) + 1; i++) {
		page.rc = i == 0 ? CH_ENETWORK : CH_OK;
		page.status = i == 1 ? 404 : 200;
		if (i > 1)
			page.text = wrong[i - 2];
		/* A restart is soon over. */
		assert_false(tells(w, CH_NGINX_LOOK_MS, AWAY));
		assert_false(tells(w, CH_NGINX_AWAY_MS - 1, AWAY));
		assert_true(tells(w, 1, AWAY));
		page.rc = CH_OK;
		page.status = 200;
		page.text = FIGURE "7\n";
		assert_false(tells(w, CH_NGINX_LOOK_MS, AWAY));
		assert_false(tells(w, 0, CANNOT_OPEN));
	}
}

static bool accepts(const char *url)
{
	CH_AUTO_BUF struct ch_buf text;
	struct ch_conf *conf;
	struct ch_err err;
	const char *got;
	bool good;

	ch_buf_init(&text, 1000);
	ch_buf_addf(&text, "[agent]\nnginx_status = %s\n", url);
	assert_int_equal(
		ch_conf_parse(ch_buf_str(&text), text.len, "/etc", &conf, &err), CH_OK);
	got = ch_nginx_look_from_conf(conf, "agent");
	assert_true(!got == !*url);
	good = ch_conf_finish(conf, "agent", &err) == CH_OK;
	ch_conf_free(conf);
	return good;
}

static void only_this_hosts_nginx_is_asked(void **state)
{
	assert_true(accepts(""));
	assert_true(accepts(URL));
	assert_true(accepts("http://[::1]:81/"));
	assert_false(accepts("http://192.0.2.1:8081/metrics"));
	assert_false(accepts("http://127.0.0.1/metrics"));
	assert_false(accepts("http://127.0.0.1:8081"));
	assert_false(accepts("https://127.0.0.1:8081/metrics"));
	assert_false(accepts("http://127.0.0.1:8081@192.0.2.1/metrics"));
	assert_false(accepts("http://localhost:8081/metrics"));
	assert_false(accepts("127.0.0.1:8081/metrics"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, world_teardown)
	const struct CMUnitTest tests[] = {
		T(keys_that_cannot_be_opened_are_told),
		T(a_new_nginx_counts_from_the_beginning),
		T(it_is_asked_now_and_then),
		T(one_that_is_away_for_long_is_told),
		cmocka_unit_test(only_this_hosts_nginx_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
