#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static int64_t world_now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

void world_open_follow(struct world *w)
{
	const struct ch_brake_limits limits = {
		.percent = 10, .count = 3, .window_ms = 10 * CH_MINUTE_MS};
	struct ch_err err;

	memset(&w->follow, 0, sizeof(w->follow));
	w->follow.api = w->api;
	w->follow.signers = w->signers;
	w->follow.replica = (struct ch_replica_options){
		.dir = w->replica, .reader_gid = -1, .map_b = w->map_b, .max_readers = 32};
	w->follow.poll_wait_ms = 0;
	assert_int_equal(ch_follow_open(&w->follow, &limits, &err), CH_OK);
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct ch_api_options options = {0};
	char line[160];
	struct ch_err err;

	ch_log_init("test", CH_LOG_ERROR);
	snprintf(w->dir, sizeof(w->dir), "/tmp/ch-test-agent-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->replica, sizeof(w->replica), "%s/replica", w->dir);
	w->map_b = 16u << 20;
	w->now_ms = INT64_C(1800000000000);
	ch_clock_set(world_now, w);
	fake_store_init(&w->store);
	assert_int_equal(ch_sign_key_print_public(w->store.key, line), CH_OK);
	assert_int_equal(ch_verify_set_parse(line, &w->signers, &err), CH_OK);
	assert_int_equal(ch_api_options_add_url(&options, "https://store.example"), CH_OK);
	assert_int_equal(ch_api_new_over(&options, &w->store.http, &w->api, &err), CH_OK);
	world_open_follow(w);
	*state = w;
	return 0;
}

void world_remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char below[512];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		if (unlink(below) < 0)
			world_remove_tree(below);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

int world_teardown(void **state)
{
	struct world *w = *state;

	ch_follow_close(&w->follow);
	ch_api_free(w->api);
	ch_verify_set_free(w->signers);
	fake_store_done(&w->store);
	ch_clock_set(NULL, NULL);
	world_remove_tree(w->dir);
	free(w);
	return 0;
}

int64_t world_step(struct world *w)
{
	int64_t wait_ms;

	ch_follow_step(&w->follow, &wait_ms);
	return wait_ms;
}

void world_steps(struct world *w, int n)
{
	while (n--)
		(void)world_step(w);
}

uint64_t world_version_of(struct world *w, const char *name)
{
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record r;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	if (ch_replica_writer_get(w->follow.writer, name, strlen(name), &buf))
		return 0;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &r), CH_OK);
	return r.kind == CH_RECORD_TOMBSTONE ? 0 : r.version;
}

struct ch_cursor world_cursor_of(struct world *w)
{
	struct ch_cursor c;

	assert_int_equal(ch_replica_writer_cursor(w->follow.writer, &c), CH_OK);
	return c;
}

uint64_t world_live_names(struct world *w)
{
	uint64_t n;

	assert_int_equal(ch_replica_writer_live_count(w->follow.writer, &n), CH_OK);
	return n;
}

void world_put_many(struct world *w, int n, uint64_t version)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%02d.example.com", i);
		fake_store_put_cert(&w->store, name, version);
	}
}
