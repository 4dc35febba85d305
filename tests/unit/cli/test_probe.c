/* `certherd probe`, whole: a store over TLS, an edge, and a resolver that leads to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "fake_dns.h"
#include "net/probe.h"
#include "server.h"

#define NAME "shop.example"

static const char *const no_answers[] = {NULL};

static char dir[] = "/tmp/certherd-cli-probe-XXXXXX";
static struct test_ca ca;
static struct test_server store;
static struct test_server edge;	    /* shows what the store has as current */
static struct test_server lagging;  /* what the store has as previous */
static struct test_server stranger; /* something else */
static struct test_server deaf;	    /* nobody listens there */
static char *answer;

static char *pem_of(SSL_CTX *ctx)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;
	char *bytes;

	assert_int_equal(PEM_write_bio_X509(bio, SSL_CTX_get0_certificate(ctx)), 1);
	len = BIO_get_mem_data(bio, &bytes);
	text = calloc(1, (size_t)len + 1);
	assert_non_null(text);
	memcpy(text, bytes, (size_t)len);
	BIO_free(bio);
	return text;
}

static void make_answer(SSL_CTX *current, SSL_CTX *previous)
{
	char *now = pem_of(current);
	char *before = pem_of(previous);
	json_t *doc = json_pack("{s:s, s:{s:s}, s:{s:s}}", "name", NAME, "current", "pem", now,
		"previous", "pem", before);
	char *text = json_dumps(doc, 0);

	assert_true(asprintf(&answer,
			    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			    "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
			    strlen(text), text) > 0);
	free(text);
	json_decref(doc);
	free(before);
	free(now);
}

static const char *in_dir(const char *name)
{
	static char path[8][100];
	static size_t at;

	at = (at + 1) % CH_ARRAY_LEN(path);
	snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
	return path[at];
}

static int set_up(void **state)
{
	SSL_CTX *current, *previous;
	FILE *conf;

	assert_non_null(mkdtemp(dir));
	test_ca_make(&ca, "CLI Probe Test CA");
	current = test_ca_server_ctx(&ca, "DNS:" NAME);
	previous = test_ca_server_ctx(&ca, "DNS:" NAME);
	make_answer(current, previous);
	test_server_start(&store, test_ca_server_ctx(&ca, "IP:127.0.0.1"),
		(const char *const[]){answer, NULL});
	test_server_start(&edge, current, no_answers);
	test_server_start(&lagging, previous, no_answers);
	test_server_start(&stranger, test_ca_server_ctx(&ca, "DNS:" NAME), no_answers);
	test_server_start(&deaf, NULL, no_answers);
	test_server_stop(&deaf);
	test_ca_write(&ca, in_dir("ca.pem"));
	test_ca_write_client(&ca, in_dir("me.pem"), in_dir("me.key"));
	conf = fopen(in_dir("certherd.conf"), "w");
	assert_non_null(conf);
	fprintf(conf,
		"[cli]\nstore = %s\nidentity_cert = me.pem\nidentity_key = me.key\n"
		"identity_ca = ca.pem\n",
		store.url);
	fclose(conf);
	assert_int_equal(setenv("CERTHERD_CONFIG", in_dir("certherd.conf"), 1), 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {
		"ca.pem", "me.pem", "me.key", "certherd.conf", "out", "err"};

	test_server_stop(&store);
	test_server_stop(&edge);
	test_server_stop(&lagging);
	test_server_stop(&stranger);
	test_ca_done(&ca);
	free(answer);
	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++)
		assert_int_equal(unlink(in_dir(names[i])), 0);
	return rmdir(dir);
}

static int end_fake_dns(void **state)
{
	fake_dns_end();
	return 0;
}

/* The stream goes to the file until it is put back. */
static int turn(FILE *stream, const char *path)
{
	FILE *to = fopen(path, "w");
	int kept = dup(fileno(stream));

	assert_non_null(to);
	fflush(stream);
	assert_true(kept >= 0 && dup2(fileno(to), fileno(stream)) >= 0);
	fclose(to);
	return kept;
}

static void turn_back(FILE *stream, int kept)
{
	fflush(stream);
	assert_true(dup2(kept, fileno(stream)) >= 0);
	close(kept);
}

struct said {
	int code;
	char out[16384];
	char err[1024];
};

static void read_text(const char *name, char *ret_text, size_t text_b)
{
	FILE *f = fopen(in_dir(name), "r");
	size_t len;

	assert_non_null(f);
	len = fread(ret_text, 1, text_b - 1, f);
	ret_text[len] = 0;
	fclose(f);
}

static void probe(const struct fake_dns_entry *entries, size_t n, bool json, struct said *said)
{
	char command[] = "probe", name[] = NAME, option[] = "--json";
	char *argv[] = {command, name, json ? option : NULL, NULL};
	int out, err;

	if (entries)
		fake_dns_set(entries, n);
	out = turn(stdout, in_dir("out"));
	err = turn(stderr, in_dir("err"));
	said->code = ch_probe_main(json ? 3 : 2, argv);
	turn_back(stderr, err);
	turn_back(stdout, out);
	read_text("out", said->out, sizeof(said->out));
	read_text("err", said->err, sizeof(said->err));
	assert_int_equal(fake_dns_open(), 0);
}

static json_t *results(const struct said *said, bool ok, size_t not_asked, json_t **ret_doc)
{
	json_t *doc = json_loads(said->out, 0, NULL);

	assert_non_null(doc);
	assert_int_equal(json_is_true(json_object_get(doc, "ok")), ok);
	assert_int_equal(json_integer_value(json_object_get(doc, "not_asked")), not_asked);
	*ret_doc = doc;
	return json_object_get(doc, "results");
}

static void expect(
	json_t *list, size_t at, const char *address, uint16_t port, const char *verdict)
{
	json_t *one = json_array_get(list, at);
	char target[CH_PROBE_ADDR_B + 10];

	snprintf(target, sizeof(target), "%s:%u", address, port);
	assert_string_equal(ch_json_str(one, "address"), target);
	assert_string_equal(ch_json_str(one, "verdict"), verdict);
}

static void every_address_of_the_name_is_asked(void **state)
{
	const struct fake_dns_entry entries[] = {{"127.0.0.1", edge.port},
		{"127.0.0.1", deaf.port}, {"127.0.0.1", stranger.port},
		{"127.0.0.1", lagging.port}, {"::ffff:127.0.0.1", edge.port}};
	struct said said;
	json_t *doc, *list;

	probe(entries, CH_ARRAY_LEN(entries), true, &said);
	assert_int_equal(said.code, CH_EXIT_FAILED);
	assert_string_equal(fake_dns_asked(), NAME " 443");
	list = results(&said, false, 0, &doc);
	assert_int_equal(json_array_size(list), 5);
	expect(list, 0, "127.0.0.1", edge.port, "ok");
	expect(list, 1, "127.0.0.1", deaf.port, "unreachable");
	expect(list, 2, "127.0.0.1", stranger.port, "foreign");
	expect(list, 3, "127.0.0.1", lagging.port, "old");
	expect(list, 4, "[::ffff:127.0.0.1]", edge.port, "ok");
	json_decref(doc);
	assert_string_equal(said.err, "");
}

static void all_is_well_when_each_shows_what_it_should(void **state)
{
	const struct fake_dns_entry entries[] = {
		{"127.0.0.1", edge.port}, {"::ffff:127.0.0.1", edge.port}};
	struct said said;
	json_t *doc;

	probe(entries, 2, true, &said);
	assert_int_equal(said.code, CH_EXIT_OK);
	assert_int_equal(json_array_size(results(&said, true, 0, &doc)), 2);
	json_decref(doc);
	probe(entries, 2, false, &said);
	assert_int_equal(said.code, CH_EXIT_OK);
	assert_non_null(strstr(said.out, "the certificate that should be served"));
	assert_string_equal(said.err, "");
}

#define MANY (CH_PROBE_TARGETS_MAX + 2)

static void addresses_over_the_limit_are_told(void **state)
{
	struct test_server *edges = calloc(MANY, sizeof(*edges));
	struct fake_dns_entry entries[MANY];
	struct said said;
	json_t *doc;

	assert_non_null(edges);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(SSL_CTX_up_ref(edge.ctx), 1);
		test_server_start(&edges[i], edge.ctx, no_answers);
		entries[i] = (struct fake_dns_entry){"127.0.0.1", edges[i].port};
	}
	probe(entries, CH_PROBE_TARGETS_MAX, true, &said);
	assert_int_equal(said.code, CH_EXIT_OK);
	assert_int_equal(json_array_size(results(&said, true, 0, &doc)), CH_PROBE_TARGETS_MAX);
	json_decref(doc);
	probe(entries, MANY, true, &said);
	assert_int_equal(said.code, CH_EXIT_PARTLY);
	assert_int_equal(json_array_size(results(&said, false, 2, &doc)), CH_PROBE_TARGETS_MAX);
	json_decref(doc);
	assert_non_null(strstr(said.err, "2 more addresses were not asked: at most 32 are"));
	/* Something wrong weighs more than something that is not known. */
	entries[0].port = stranger.port;
	probe(entries, MANY, false, &said);
	assert_int_equal(said.code, CH_EXIT_FAILED);
	assert_non_null(strstr(said.err, "2 more addresses were not asked"));
	for (size_t i = 0; i < MANY; i++)
		test_server_stop(&edges[i]);
	free(edges);
}

static void a_name_without_an_address_is_an_error(void **state)
{
	struct said said;

	fake_dns_fail(EAI_NONAME);
	probe(NULL, 0, true, &said);
	assert_int_equal(said.code, CH_EXIT_FAILED);
	assert_string_equal(said.out, "");
	assert_non_null(strstr(said.err, "has no A or AAAA record"));
	fake_dns_fail(EAI_AGAIN);
	probe(NULL, 0, false, &said);
	assert_int_equal(said.code, CH_EXIT_FAILED);
	assert_non_null(strstr(said.err, "cannot be resolved"));
	assert_null(strstr(said.err, "store"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_address_of_the_name_is_asked, end_fake_dns),
		cmocka_unit_test_teardown(
			all_is_well_when_each_shows_what_it_should, end_fake_dns),
		cmocka_unit_test_teardown(addresses_over_the_limit_are_told, end_fake_dns),
		cmocka_unit_test_teardown(a_name_without_an_address_is_an_error, end_fake_dns),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
