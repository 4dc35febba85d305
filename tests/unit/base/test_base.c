#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"

/* 2, 3 and 4 bytes long. */
static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

static void errors_are_never_cut_inside_a_character(void **state)
{
	const size_t room = sizeof(((struct ch_err *)0)->detail) - 1;

	for (size_t c = 0; c < CH_ARRAY_LEN(characters); c++)
		for (size_t before = 0; before < 4; before++) {
			size_t n = strlen(characters[c]);
			char text[1024] = "aaaa";
			struct ch_err err;

			text[before] = 0;
			for (size_t i = 0; i < 150; i++)
				strcat(text, characters[c]);
			(void)ch_err_set(&err, CH_EINVAL, text, "%s%s", text, text + before);
			assert_int_equal((strlen(err.problem) - before) % n, 0);
			assert_int_equal((strlen(err.detail) - before) % n, 0);
			assert_true(strlen(err.detail) + n > room);
			ch_err_prefix(&err, "x");
			assert_int_equal((strlen(err.detail) - before - 3) % n, 0);
			assert_true(strlen(err.detail) + n > room);
		}
}

static void errors_carry_problem_and_detail(void **state)
{
	struct ch_err err;

	assert_int_equal(ch_err_set(&err, CH_EINVAL, "a-code", "bad %d", 7), CH_EINVAL);
	assert_string_equal(err.problem, "a-code");
	ch_err_prefix(&err, "line %d", 3);
	assert_string_equal(err.detail, "line 3: bad 7");
	assert_int_equal(ch_err_set(NULL, CH_EIO, "x", "y"), CH_EIO);
	assert_string_equal(ch_rc_str(CH_EFULL), "no space left");
	assert_string_equal(ch_rc_str(-9999), "unknown error");
}

static void actors_round_trip(void **state)
{
	enum ch_actor actor;

	assert_int_equal(ch_actor_parse("customer", &actor), CH_OK);
	assert_int_equal(actor, CH_ACTOR_CUSTOMER);
	assert_int_equal(ch_actor_parse("somebody", &actor), CH_EINVAL);
}

static void buffer_stops_at_its_cap_and_latches(void **state)
{
	struct ch_buf buf;

	ch_buf_init(&buf, 8);
	assert_string_equal(ch_buf_str(&buf), "");
	assert_int_equal(ch_buf_add(&buf, "12345678", 8), CH_OK);
	assert_int_equal(ch_buf_add_u8(&buf, 1), CH_ETOOBIG);
	assert_int_equal(ch_buf_add(&buf, "", 0), CH_ETOOBIG);
	assert_string_equal(ch_buf_str(&buf), "12345678");
	ch_buf_reset(&buf);
	assert_int_equal(ch_buf_addf(&buf, "%d", 1234567), CH_OK);
	assert_int_equal(ch_buf_addf(&buf, "%d", 12), CH_ETOOBIG);
	ch_buf_done(&buf);
}

static void integers_round_trip_and_reader_latches(void **state)
{
	struct ch_buf buf;
	struct ch_reader r;

	ch_buf_init(&buf, 64);
	(void)ch_buf_add_u8(&buf, 0xfe);
	(void)ch_buf_add_u16(&buf, 0xfedc);
	(void)ch_buf_add_u32(&buf, 0xfedcba98);
	assert_int_equal(ch_buf_add_u64(&buf, 0xfedcba9876543210), CH_OK);
	ch_reader_init(&r, buf.data, buf.len);
	assert_int_equal(ch_read_u8(&r), 0xfe);
	assert_int_equal(ch_read_u16(&r), 0xfedc);
	assert_int_equal(ch_read_u32(&r), 0xfedcba98);
	assert_true(ch_read_u64(&r) == 0xfedcba9876543210);
	assert_int_equal(r.rc, CH_OK);
	assert_int_equal(ch_read_u8(&r), 0);
	assert_int_equal(r.rc, CH_EPROTO);
	assert_null(ch_read_bytes(&r, 0));
	ch_buf_done(&buf);
}

static void times_round_trip(void **state)
{
	char text[CH_TIME_STR_B];
	int64_t ms;

	assert_string_equal(ch_time_str(1795342320123, text), "2026-11-22T10:12:00.123Z");
	assert_int_equal(ch_time_parse(text, &ms), CH_OK);
	assert_true(ms == 1795342320123);
	assert_int_equal(ch_time_parse("2026-11-22T10:12:00Z", &ms), CH_OK);
	assert_true(ms == 1795342320000);
}

static void bad_times_are_refused(void **state)
{
	static const char *const bad[] = {"", "2026-11-22", "2026-02-31T00:00:00Z",
		"2026-11-22T10:12:00", "2026-11-22T10:12:00+01:00", "2026-11-22T25:12:00Z",
		" 2026-11-22T10:12:00Z", "2026-11-22T10:12:00.1x3Z", "-999-11-22T10:12:00Z",
		"2026-11-22T-0:12:00Z", "2026-11-22T10:12:00.-1Z"};
	int64_t ms;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_time_parse(bad[i], &ms), CH_EINVAL);
}

static void durations(void **state)
{
	static const char *const bad[] = {
		"", "5", "m", "-5m", "5 m", "5x", "99999999999999999999d", "36526d"};
	char text[CH_TIME_STR_B];
	int64_t ms;

	assert_int_equal(ch_duration_parse("250ms", &ms), CH_OK);
	assert_true(ms == 250);
	assert_int_equal(ch_duration_parse("90d", &ms), CH_OK);
	assert_true(ms == 90 * CH_DAY_MS);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_duration_parse(bad[i], &ms), CH_EINVAL);
	assert_string_equal(ch_duration_str(3 * CH_DAY_MS + 4 * CH_HOUR_MS, text), "3d 4h");
	assert_string_equal(ch_duration_str(-65000, text), "-1m 5s");
	assert_string_equal(ch_duration_str(400, text), "0s");
}

static void base64url_is_strict(void **state)
{
	static const char *const bad[] = {"A", "AB==", "A B", "AB+/", "AB", "Zm9vYg=="};
	uint8_t out[16];
	size_t len;
	char text[CH_B64U_TEXT_B(5)];

	ch_b64u_encode("\xff\xef"
		       "abc",
		5, text);
	assert_string_equal(text, "_-9hYmM");
	assert_int_equal(ch_b64u_decode(text, strlen(text), out, sizeof(out), &len), CH_OK);
	assert_int_equal(len, 5);
	assert_memory_equal(out,
		"\xff\xef"
		"abc",
		5);
	assert_int_equal(ch_b64u_decode(text, strlen(text), out, 4, &len), CH_ETOOBIG);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_b64u_decode(bad[i], strlen(bad[i]), out, sizeof(out), &len),
			CH_EINVAL);
}

static void hex(void **state)
{
	uint8_t out[2];
	char text[5];

	assert_int_equal(ch_hex_decode("0aFf", out, 2), CH_OK);
	ch_hex_encode(out, 2, text);
	assert_string_equal(text, "0aff");
	assert_int_equal(ch_hex_decode("0aF", out, 2), CH_EINVAL);
	assert_int_equal(ch_hex_decode("0aFg", out, 2), CH_EINVAL);
}

static int count_items(const char *item, void *arg)
{
	(*(int *)arg)++;
	return strcmp(item, "bad") == 0 ? CH_EINVAL : CH_OK;
}

static struct ch_conf *conf_of(const char *text)
{
	struct ch_conf *conf = NULL;
	struct ch_err err;

	assert_int_equal(ch_conf_parse(text, strlen(text), "/etc/x", &conf, &err), CH_OK);
	return conf;
}

static void configuration_is_read(void **state)
{
	CH_AUTO_CONF struct ch_conf *conf = conf_of(
		"[agent]\nname = x\nn=5\nt=10m\non=yes\np=k/f\nl = a, b ,c\n[up]\nz=1\n");
	struct ch_err err;
	int items = 0;

	assert_string_equal(ch_conf_str(conf, "agent", "name", NULL), "x");
	assert_true(ch_conf_int(conf, "agent", "n", 1, 0, 9) == 5);
	assert_true(
		ch_conf_duration(conf, "agent", "t", "1s", 0, CH_DAY_MS) == 10 * CH_MINUTE_MS);
	assert_true(ch_conf_bool(conf, "agent", "on", false));
	assert_string_equal(ch_conf_path(conf, "agent", "p", NULL), "/etc/x/k/f");
	assert_string_equal(ch_conf_path(conf, "agent", "q", "/abs"), "/abs");
	ch_conf_list(conf, "agent", "l", "", "items", count_items, &items);
	assert_int_equal(items, 3);
	assert_int_equal(ch_conf_finish(conf, "agent", &err), CH_OK);
	assert_int_equal(ch_conf_finish(conf, "up", &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "configuration:9: [up] z: no such key"));
}

static void a_section_that_no_role_reads_is_an_error(void **state)
{
	CH_AUTO_CONF struct ch_conf *conf = conf_of("[agent]\nx=1\n[agents]\nstore=y\n");
	CH_AUTO_CONF struct ch_conf *good = conf_of("[agent]\nx=1\n[issuer]\nstore=y\n");
	struct ch_err err;

	assert_string_equal(ch_conf_str(conf, "agent", "x", NULL), "1");
	assert_int_equal(ch_conf_finish(conf, "agent", &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "configuration:4: there is no section [agents]"));
	assert_string_equal(ch_conf_str(good, "agent", "x", NULL), "1");
	assert_int_equal(ch_conf_finish(good, "agent", &err), CH_OK);
}

static void a_misspelt_section_is_told_and_not_what_is_missing_for_it(void **state)
{
	CH_AUTO_CONF struct ch_conf *conf = conf_of("[agent]\nx=1\n[isuer]\ndirectory=y\n");
	struct ch_err err;

	(void)ch_conf_str(conf, "issuer", "directory", NULL);
	assert_int_equal(ch_conf_finish(conf, "issuer", &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "configuration:4: there is no section [isuer]"));
}

static void a_file_may_have_sections_of_its_own(void **state)
{
	CH_AUTO_CONF struct ch_conf *conf = conf_of("[b 1]\nx=1\n[a]\ny=2\n[b 1]\nz=3\n");
	struct ch_err err;

	assert_string_equal(ch_conf_section(conf, 0), "b 1");
	assert_string_equal(ch_conf_section(conf, 1), "a");
	assert_null(ch_conf_section(conf, 2));
	assert_string_equal(ch_conf_str(conf, "b 1", "x", NULL), "1");
	assert_string_equal(ch_conf_str(conf, "b 1", "z", NULL), "3");
	assert_int_equal(ch_conf_finish_all(conf, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "configuration:4: [a] y: no such section"));
}

static void all_that_was_asked_for_is_known(void **state)
{
	CH_AUTO_CONF struct ch_conf *conf = conf_of("[b 1]\nx=1\n");

	assert_string_equal(ch_conf_str(conf, "b 1", "x", NULL), "1");
	assert_int_equal(ch_conf_finish_all(conf, NULL), CH_OK);
}

static void what_is_missing_has_no_line(void **state)
{
	CH_AUTO_CONF struct ch_conf *none = conf_of("[up]\nx=1\n");
	CH_AUTO_CONF struct ch_conf *wrong = conf_of("[up]\nx=1\n");
	struct ch_err err;

	assert_string_equal(ch_conf_str(none, "up", "y", NULL), "");
	assert_int_equal(ch_conf_finish(none, "up", &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "configuration: [up] y: is missing"));
	assert_true(ch_conf_int(wrong, "up", "x", 5, 5, 9) == 5);
	assert_int_equal(ch_conf_finish(wrong, "up", &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "configuration:2: [up] x: \"1\" is not"));
}

static void configuration_errors_name_the_line(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{"[a]\nx=1\nx=2\n", "configuration:3: this key was given before: x"},
		{"x=1\n", "configuration:1: a key before any [section]: x"},
		{"[a]\nnonsense\n", "configuration:2: not understood"},
		{"[a\nx=1\n", "configuration:1: not understood"},
	};
	struct ch_conf *conf = NULL;
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		assert_int_equal(
			ch_conf_parse(bad[i].text, strlen(bad[i].text), "/", &conf, &err),
			CH_EINVAL);
		if (!strstr(err.detail, bad[i].says))
			fail_msg("%s: said \"%s\"", bad[i].says, err.detail);
	}
}

static void configuration_values_are_checked(void **state)
{
	struct ch_err err;
	int items = 0;
	CH_AUTO_CONF struct ch_conf *n = conf_of("[a]\nn=10\n");
	CH_AUTO_CONF struct ch_conf *t = conf_of("[a]\nt=10 minutes\n");
	CH_AUTO_CONF struct ch_conf *b = conf_of("[a]\nb=maybe\n");
	CH_AUTO_CONF struct ch_conf *l = conf_of("[agent]\nl=ok,bad\n");
	CH_AUTO_CONF struct ch_conf *m = conf_of("[agent]\nx=\n");

	(void)ch_conf_int(n, "a", "n", 1, 0, 9);
	assert_int_equal(ch_conf_finish(n, "a", &err), CH_EINVAL);
	(void)ch_conf_duration(t, "a", "t", "1s", 0, CH_DAY_MS);
	assert_int_equal(ch_conf_finish(t, "a", &err), CH_EINVAL);
	(void)ch_conf_bool(b, "a", "b", false);
	assert_int_equal(ch_conf_finish(b, "a", &err), CH_EINVAL);
	ch_conf_list(l, "agent", "l", "", "items that are good", count_items, &items);
	assert_int_equal(ch_conf_finish(l, "agent", &err), CH_EINVAL);
	assert_non_null(strstr(
		err.detail, "l: \"bad\" cannot be used here: it takes items that are good"));
	(void)ch_conf_str(m, "agent", "required", NULL);
	assert_int_equal(ch_conf_finish(m, "agent", &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "is missing"));
}

static void files_are_replaced_or_refused(void **state)
{
	char dir[] = "/tmp/certherd-base-XXXXXX";
	char path[64];
	CH_AUTO_FREE char *text = NULL;
	struct ch_err err;
	struct stat st;
	size_t len;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	assert_int_equal(ch_file_create(path, "one", 3, 0640, &err), CH_OK);
	assert_int_equal(ch_file_create(path, "two", 3, 0640, &err), CH_EEXIST);
	assert_int_equal(ch_file_write_atomic(path, "three", 5, 0600, &err), CH_OK);
	assert_int_equal(ch_file_read(path, 4, &text, &len, &err), CH_ETOOBIG);
	assert_int_equal(ch_file_read(path, 5, &text, &len, &err), CH_OK);
	assert_string_equal(text, "three");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	unlink(path);
	rmdir(dir);
}

/* Who is killed while writing leaves its file; in a container the next one has its number. */
static void a_file_that_another_left_is_no_obstacle(void **state)
{
	char dir[] = "/tmp/certherd-file-XXXXXX";
	char path[64];
	char left[96];
	char *text = NULL;
	size_t len;
	struct ch_err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(left, sizeof(left), "%s.tmp.%ld", path, (long)getpid());
	assert_int_equal(ch_file_create(left, "ha", 2, 0600, &err), CH_OK);
	assert_int_equal(ch_file_write_atomic(path, "whole", 5, 0600, &err), CH_OK);
	assert_int_equal(ch_file_read(path, 5, &text, &len, &err), CH_OK);
	assert_string_equal(text, "whole");
	free(text);
	(void)unlink(left);
	assert_int_equal(unlink(path), 0);
	/* Of ours nothing is left. */
	assert_int_equal(rmdir(dir), 0);
}

static void put_old(const char *dir, const char *name, int64_t age_ms)
{
	const struct timespec when = {.tv_sec = (ch_now_ms() - age_ms) / CH_SECOND_MS};
	const struct timespec times[] = {when, when};
	char path[200];
	struct ch_err err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(ch_file_create(path, "left", 4, 0600, &err), CH_OK);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Whether it was there; it is not any more. */
static bool take(const char *dir, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return remove(path) == 0;
}

static bool is_text(const char *name)
{
	return strcmp(name, "a.txt") == 0 || strcmp(name, "b.txt") == 0;
}

#define OLD_MS (CH_FILE_STALE_MS + CH_MINUTE_MS)

static void what_killed_writers_left_is_swept(void **state)
{
	static const char *const kept[] = {"f", "f.tmp.", "f.tmp.0123456789abcde",
		"f.tmp.0123456789abcdef0", "f.tmp.0123456789ABCDEF", "f.tmp.0123456789abcdeg",
		"g.tmp.0123456789abcdef", "f.tmp.0123456789abcdef.bak",
		"ff.tmp.0123456789abcdef", ".tmp.0123456789abcdef"};
	char dir[] = "/tmp/certherd-sweep-XXXXXX";
	char path[64];
	char link[100];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	for (size_t i = 0; i < CH_ARRAY_LEN(kept); i++)
		put_old(dir, kept[i], OLD_MS);
	put_old(dir, "f.tmp.0123456789abcdef", OLD_MS);
	put_old(dir, "f.tmp.ffffffffffffffff", OLD_MS);
	/* Somebody may be writing it. */
	put_old(dir, "f.tmp.0000000000000000", CH_FILE_STALE_MS - CH_MINUTE_MS);
	snprintf(link, sizeof(link), "%s/f.tmp.1111111111111111", dir);
	assert_int_equal(symlink("/nowhere", link), 0);
	ch_file_sweep(path);
	assert_false(take(dir, "f.tmp.0123456789abcdef"));
	assert_false(take(dir, "f.tmp.ffffffffffffffff"));
	assert_true(take(dir, "f.tmp.0000000000000000"));
	assert_true(take(dir, "f.tmp.1111111111111111"));
	for (size_t i = 0; i < CH_ARRAY_LEN(kept); i++)
		assert_true(take(dir, kept[i]));
	/* A folder that is not there has nothing. */
	assert_int_equal(rmdir(dir), 0);
	ch_file_sweep(path);
}

static void of_a_folder_only_our_own_is_swept(void **state)
{
	char dir[] = "/tmp/certherd-sweep-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	put_old(dir, "a.txt.tmp.0123456789abcdef", OLD_MS);
	put_old(dir, "b.txt.tmp.0123456789abcdef", 0);
	put_old(dir, "c.txt.tmp.0123456789abcdef", OLD_MS);
	put_old(dir, "a.txt", OLD_MS);
	ch_file_sweep_folder(dir, is_text);
	assert_false(take(dir, "a.txt.tmp.0123456789abcdef"));
	assert_true(take(dir, "b.txt.tmp.0123456789abcdef"));
	assert_true(take(dir, "c.txt.tmp.0123456789abcdef"));
	assert_true(take(dir, "a.txt"));
	assert_int_equal(rmdir(dir), 0);
}

static void secrets_refuse_open_files(void **state)
{
	char path[] = "/tmp/certherd-secret-XXXXXX";
	int fd = mkstemp(path);
	struct ch_secret *s = NULL;
	struct ch_err err;

	assert_int_equal(write(fd, "hush", 4), 4);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(ch_secret_read_file(path, 100, &s, &err), CH_EAUTH);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(ch_secret_read_file(path, 3, &s, &err), CH_ETOOBIG);
	assert_int_equal(ch_secret_read_file(path, 100, &s, &err), CH_OK);
	assert_int_equal(ch_secret_len(s), 4);
	assert_memory_equal(ch_secret_bytes(s), "hush", 4);
	ch_secret_free(s);
	close(fd);
	unlink(path);
	assert_int_equal(ch_secret_read_file(path, 100, &s, &err), CH_ENOTFOUND);
	assert_int_equal(ch_secret_new(0, &s), CH_ETOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_carry_problem_and_detail),
		cmocka_unit_test(errors_are_never_cut_inside_a_character),
		cmocka_unit_test(actors_round_trip),
		cmocka_unit_test(buffer_stops_at_its_cap_and_latches),
		cmocka_unit_test(integers_round_trip_and_reader_latches),
		cmocka_unit_test(times_round_trip),
		cmocka_unit_test(bad_times_are_refused),
		cmocka_unit_test(durations),
		cmocka_unit_test(base64url_is_strict),
		cmocka_unit_test(hex),
		cmocka_unit_test(configuration_is_read),
		cmocka_unit_test(a_section_that_no_role_reads_is_an_error),
		cmocka_unit_test(a_misspelt_section_is_told_and_not_what_is_missing_for_it),
		cmocka_unit_test(a_file_may_have_sections_of_its_own),
		cmocka_unit_test(all_that_was_asked_for_is_known),
		cmocka_unit_test(what_is_missing_has_no_line),
		cmocka_unit_test(configuration_errors_name_the_line),
		cmocka_unit_test(configuration_values_are_checked),
		cmocka_unit_test(files_are_replaced_or_refused),
		cmocka_unit_test(a_file_that_another_left_is_no_obstacle),
		cmocka_unit_test(what_killed_writers_left_is_swept),
		cmocka_unit_test(of_a_folder_only_our_own_is_swept),
		cmocka_unit_test(secrets_refuse_open_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
