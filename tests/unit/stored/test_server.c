/* The server's parts that need no client: revocation list, listening, start and stop. */
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

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/pki.h"
#include "net/listen.h"
#include "stored/problem.h"
#include "stored/revoked.h"
#include "stored/server.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char paths[8][128];
	static int at;

	at = (at + 1) % 8;
	snprintf(paths[at], sizeof(paths[at]), "%s/%s", dir, name);
	return paths[at];
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(in_dir(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define URI "certherd://edge/default/e1"

static const uint8_t listed[32] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
	0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
	0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
static const uint8_t other[32] = {1};

static void what_is_on_the_list_is_revoked(void **state)
{
	struct ch_revoked *revoked;

	write_file("revoked", "# comment\n\nsha256:" HEX64 " # lost laptop\r\n  uri:" URI);
	assert_int_equal(ch_revoked_new(in_dir("revoked"), &revoked, NULL), CH_OK);
	assert_int_equal(ch_revoked_check(revoked, listed, "certherd://a/b/c", NULL), CH_EAUTH);
	assert_int_equal(ch_revoked_check(revoked, other, URI, NULL), CH_EAUTH);
	assert_int_equal(ch_revoked_check(revoked, other, URI "1", NULL), CH_OK);
	assert_int_equal(
		ch_revoked_check(revoked, other, "certherd://edge/default/e", NULL), CH_OK);
	ch_revoked_free(revoked);
}

static void a_list_that_changes_is_read_again(void **state)
{
	struct ch_revoked *revoked;

	write_file("revoked", "");
	assert_int_equal(ch_revoked_new(in_dir("revoked"), &revoked, NULL), CH_OK);
	assert_int_equal(ch_revoked_check(revoked, other, URI, NULL), CH_OK);
	write_file("revoked", "uri:" URI "\n");
	assert_int_equal(ch_revoked_check(revoked, other, URI, NULL), CH_EAUTH);
	write_file("revoked", "");
	assert_int_equal(ch_revoked_check(revoked, other, URI, NULL), CH_OK);
	ch_revoked_free(revoked);
}

static void a_list_that_cannot_be_used_refuses_everybody(void **state)
{
	static const char *const bad[] = {"sha256:00", "sha256:" HEX64 "00", "sha1:" HEX64,
		"uri:https://x", "uri:certherd://edge/default", "everybody",
		"sha256:", "uri:" URI "/x"};
	struct ch_revoked *revoked;
	struct ch_err err;

	write_file("revoked", "");
	assert_int_equal(ch_revoked_new(in_dir("revoked"), &revoked, NULL), CH_OK);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		write_file("revoked", bad[i]);
		assert_int_equal(ch_revoked_check(revoked, other, URI, &err), CH_EAUTH);
		assert_string_equal(err.problem, "not-authenticated");
		write_file("revoked", "");
		assert_int_equal(ch_revoked_check(revoked, other, URI, NULL), CH_OK);
	}
	assert_int_equal(unlink(in_dir("revoked")), 0);
	assert_int_equal(ch_revoked_check(revoked, other, URI, NULL), CH_EAUTH);
	write_file("revoked", "");
	assert_int_equal(ch_revoked_check(revoked, other, URI, NULL), CH_OK);
	ch_revoked_free(revoked);
}

static void without_a_list_there_is_no_start(void **state)
{
	struct ch_revoked *revoked;
	struct ch_err err = {0};

	assert_int_equal(ch_revoked_new(in_dir("absent"), &revoked, &err), CH_EIO);
	assert_non_null(strstr(err.detail, "absent"));
	write_file("bad", "nonsense\n");
	assert_int_equal(ch_revoked_new(in_dir("bad"), &revoked, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "bad:1"));
}

static void addresses_are_listened_on(void **state)
{
	char text[CH_LISTEN_TEXT_B];
	char expected[CH_LISTEN_TEXT_B];
	unsigned port = 0;
	int fd;

	assert_int_equal(ch_listen_open("127.0.0.1:0", &fd, &port, text, NULL), CH_OK);
	assert_true(port > 0);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", port);
	assert_string_equal(text, expected);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void addresses_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {"", ":", ":80", "127.0.0.1",
		"127.0.0.1:", "localhost:80", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:99999",
		"127.0.0.1:123456", "::1:80", "[::1]80", "[::1", "[]:80", "256.0.0.1:80",
		"127.0.0.1:80 "};
	char text[CH_LISTEN_TEXT_B];
	struct ch_err err;
	unsigned port;
	int fd;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		int rc = ch_listen_open(bad[i], &fd, &port, text, &err);

		if (rc == CH_OK)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_string_equal(err.problem, "config-listen");
		assert_false(ch_listen_is_loopback(bad[i]));
	}
}

static void loopback_is_told_from_other_addresses(void **state)
{
	static const char *const good[] = {"127.0.0.1:0", "127.1.2.3:80", "[::1]:65535"};
	static const char *const others[] = {"0.0.0.0:80", "126.255.255.255:80", "128.0.0.1:80",
		"10.0.0.1:80", "[::]:80", "[::2]:80", "[::ffff:127.0.0.1]:80", "[fe80::1]:80"};

	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++)
		assert_true(ch_listen_is_loopback(good[i]));
	for (size_t i = 0; i < CH_ARRAY_LEN(others); i++)
		assert_false(ch_listen_is_loopback(others[i]));
}

static void a_quotation_that_is_not_utf8_does_not_spoil_the_problem(void **state)
{
	struct ch_err err;
	json_t *doc;

	(void)ch_err_set(&err, CH_EINVAL, "bad-query", "\"\xff\xc3\" is not known.");
	doc = ch_problem_json(&err, "x\xc3");
	assert_non_null(doc);
	assert_string_equal(
		json_string_value(json_object_get(doc, "detail")), "\"??\" is not known.");
	assert_string_equal(json_string_value(json_object_get(doc, "field")), "x?");
	json_decref(doc);
}

static void problems_have_stable_statuses(void **state)
{
	static const struct {
		int rc;
		const char *code;
		int status;
	} cases[] = {
		{CH_EAUTH, "not-authenticated", 401},
		{CH_EINVAL, "name-wildcard", 400},
		{CH_EINVAL, "label-too-long", 400},
		{CH_ECONFLICT, "fence-lost", 409},
		{CH_EAGAIN, "sqlite-locked", 503},
		{CH_EFULL, "disk", 503},
		{CH_EIO, "sqlite-io", 500},
		{CH_EINVAL, "made-up", 500},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		struct ch_err err;
		json_t *doc;

		(void)ch_err_set(&err, cases[i].rc, cases[i].code, "secret path /x");
		assert_int_equal(ch_problem_status(&err), cases[i].status);
		doc = ch_problem_json(&err, NULL);
		assert_non_null(doc);
		/* What failed inside is not told. */
		if (cases[i].status == 500)
			assert_null(strstr(
				json_string_value(json_object_get(doc, "detail")), "secret"));
		json_decref(doc);
	}
}

static void make_pki(void)
{
	static const char *const sans[] = {"IP:127.0.0.1"};
	struct ch_pki_identity identity = {
		.uri = "certherd://store/default/s1",
		.server = 1,
		.sans = sans,
		.n_sans = 1,
		.days = 2,
	};

	assert_int_equal(
		ch_pki_create_ca("identities", 3, in_dir("ca.key"), in_dir("ca.pem"), NULL),
		CH_OK);
	assert_int_equal(ch_pki_create_ca("edges", 3, in_dir("edge-ca.key"),
				 in_dir("edge-ca.pem"), NULL),
		CH_OK);
	assert_int_equal(ch_pki_create_identity(&identity, in_dir("ca.key"), in_dir("ca.pem"),
				 in_dir("store.key"), in_dir("store.pem"), NULL),
		CH_OK);
}

static struct ch_server_options server_options(char database[160])
{
	struct ch_server_options options = {
		.listen = {"127.0.0.1:0", "127.0.0.1:0"},
		.n_listen = 2,
		.port_file = in_dir("port"),
		.database = database,
		.cert_file = in_dir("store.pem"),
		.key_file = in_dir("store.key"),
		.auth = {in_dir("ca.pem"), in_dir("edge-ca.pem"), in_dir("revoked")},
		.edge_timeout_ms = CH_MINUTE_MS,
		.keep = {.tombstone_ms = CH_DAY_MS,
			.history_ms = CH_DAY_MS,
			.orders_ms = CH_DAY_MS,
			.audit_ms = CH_DAY_MS},
		.look_every_ms = CH_MINUTE_MS,
		.threads = 2,
	};

	snprintf(database, 160, "sqlite:%s", in_dir("test.db"));
	return options;
}

static void the_server_starts_and_stops(void **state)
{
	char database[160];
	struct ch_server_options options;
	struct ch_server *server = NULL;
	struct stat st;

	write_file("revoked", "");
	for (int i = 0; i < 2; i++) {
		struct ch_err err = {0};

		options = server_options(database);
		options.threads = i ? 1 : 2;
		if (ch_server_start(&options, &server, &err))
			fail_msg("%s", err.detail);
		assert_non_null(strchr(ch_server_addresses(server), ','));
		assert_true(ch_server_port(server) > 0);
		assert_int_equal(stat(in_dir("port"), &st), 0);
		ch_server_stop(server);
	}
}

static void the_server_does_not_start_with_a_broken_part(void **state)
{
	char database[160];
	struct ch_server *server = NULL;
	struct ch_err err;

	for (int part = 0; part < 6; part++) {
		struct ch_server_options o = server_options(database);

		o.auth.identity_ca = part == 0 ? in_dir("absent") : o.auth.identity_ca;
		o.auth.edge_ca = part == 1 ? in_dir("revoked") : o.auth.edge_ca;
		o.cert_file = part == 2 ? in_dir("ca.pem") : o.cert_file;
		o.key_file = part == 3 ? in_dir("absent") : o.key_file;
		o.listen[1] = part == 4 ? "127.0.0.1" : o.listen[1];
		o.database = part == 5 ? "oracle:x" : o.database;
		memset(&err, 0, sizeof(err));
		assert_int_not_equal(ch_server_start(&o, &server, &err), CH_OK);
		assert_true(strlen(err.detail) > 10);
	}
	assert_null(server);
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/certherd-stored-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	ch_log_init("test", CH_LOG_ERROR);
	make_pki();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_on_the_list_is_revoked),
		cmocka_unit_test(a_list_that_changes_is_read_again),
		cmocka_unit_test(a_list_that_cannot_be_used_refuses_everybody),
		cmocka_unit_test(without_a_list_there_is_no_start),
		cmocka_unit_test(addresses_are_listened_on),
		cmocka_unit_test(addresses_that_are_none_are_refused),
		cmocka_unit_test(loopback_is_told_from_other_addresses),
		cmocka_unit_test(problems_have_stable_statuses),
		cmocka_unit_test(a_quotation_that_is_not_utf8_does_not_spoil_the_problem),
		cmocka_unit_test(the_server_starts_and_stops),
		cmocka_unit_test(the_server_does_not_start_with_a_broken_part),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
