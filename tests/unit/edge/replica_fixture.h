/* A replica in a scratch folder.  Readers run in a child process: one process must not have a
 * generation open twice. */
#ifndef TESTS_EDGE_REPLICA_FIXTURE_H
#define TESTS_EDGE_REPLICA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "edge/replica.h"

#define TEST_MAP_B ((size_t)64 << 20)

struct fixture {
	char top[64];
	char dir[96];
	struct ch_replica_options options;
	struct ch_err err;
};

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->top, "/tmp/certherd-edge-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->dir, sizeof(f->dir), "%s/replica", f->top);
	f->options.dir = f->dir;
	f->options.reader_gid = -1;
	f->options.map_b = TEST_MAP_B;
	f->options.max_readers = 64;
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	char *argv[] = {(char *)"rm", (char *)"-rf", f->top, NULL};
	pid_t pid = fork();

	if (pid == 0) {
		execv("/bin/rm", argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	free(f);
	return 0;
}

static inline struct ch_replica_writer *open_writer(struct fixture *f)
{
	struct ch_replica_writer *writer = NULL;
	char current[128];
	int rc = ch_replica_writer_open(&f->options, &writer, &f->err);

	if (rc)
		print_message("writer_open: %s\n", f->err.detail);
	assert_int_equal(rc, CH_OK);
	/* A folder's first generation goes live empty, so that what is put into it can be read
	 * at once. */
	snprintf(current, sizeof(current), "%s/current", f->dir);
	if (access(current, F_OK) < 0 && f->err.rc == CH_OK)
		assert_int_equal(ch_replica_writer_publish(writer, &f->err), CH_OK);
	return writer;
}

/* One NAME or TOMBSTONE record in the open transaction. */
static inline int put_name(struct ch_replica_writer *writer, const char *name, uint64_t version,
	enum ch_record_kind kind, enum ch_apply_effect *ret_effect)
{
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record = {
		.kind = kind, .version = version, .name = name, .name_len = strlen(name)};

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_encode(&record, &buf), CH_OK);
	return ch_replica_put(writer, &record, buf.data, buf.len, ret_effect);
}

static inline struct ch_cursor cursor_at(uint64_t seq)
{
	struct ch_cursor cursor = {.seq = seq, .base = seq, .valid = true};

	memset(cursor.epoch, 7, sizeof(cursor.epoch));
	return cursor;
}

/* A transaction of its own. */
static inline enum ch_apply_effect apply(struct ch_replica_writer *writer, const char *name,
	uint64_t version, enum ch_record_kind kind)
{
	struct ch_cursor cursor = cursor_at(version);
	enum ch_apply_effect effect;

	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(put_name(writer, name, version, kind, &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	return effect;
}

/* Runs fn in a child; what it returns (0 … 100) is returned; -signal when it was killed. */
static inline int in_child(int (*fn)(struct fixture *f), struct fixture *f)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(f));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* For children: the rc of opening a reader, negated so that it is an exit status. */
static inline int open_rc(struct fixture *f)
{
	struct ch_replica_reader *reader;
	int rc = ch_replica_reader_open(f->dir, &reader, &f->err);

	if (rc == CH_OK)
		ch_replica_reader_free(reader);
	return -rc;
}

/* 0 when the name is found with this version, else the negated rc (or 99). */
static inline int find(struct ch_replica_reader *reader, const char *name, uint64_t version)
{
	struct ch_record record;
	const uint8_t *bytes;
	size_t len;
	int rc = ch_replica_begin(reader);

	if (rc == CH_OK) {
		rc = ch_replica_get(reader, name, strlen(name), &record, &bytes, &len);
		if (rc == CH_OK && record.version != version)
			rc = -99;
		ch_replica_end(reader);
	}
	return -rc;
}

/* The text of DIR/current without its line end. */
static inline void read_current(struct fixture *f, char ret_name[64])
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/current", f->dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(ret_name, 64, file));
	ret_name[strcspn(ret_name, "\n")] = 0;
	fclose(file);
}

/* A path within the live generation. */
static inline void live_path(struct fixture *f, const char *file, char ret_path[256])
{
	char name[64];

	read_current(f, name);
	snprintf(ret_path, 256, "%s/%s/%s", f->dir, name, file);
}

static inline void write_current(struct fixture *f, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/current", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

#endif
