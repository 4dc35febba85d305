/* How a publication is confirmed: the name's addresses, as this host resolves them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fake_dns.h"
#include "issuerd/issuer.h"
#include "net/probe.h"
#include "server.h"

#define NAME "shop.example"

static const char *const no_answers[] = {NULL};

static struct test_ca ca;
static struct test_server edge;	    /* has the certificate that should be shown */
static struct test_server stranger; /* has another one */
static struct test_server deaf;	    /* stopped: nobody listens on its port any more */
static uint8_t leaf_sha256[CH_SHA256_B];
static struct ch_issuer_config config;
static struct ch_issuer issuer;

static int set_up_all(void **state)
{
	SSL_CTX *ctx;
	unsigned len = sizeof(leaf_sha256);

	test_ca_make(&ca, "Edge CA");
	ctx = test_ca_server_ctx(&ca, "DNS:" NAME);
	X509_digest(SSL_CTX_get0_certificate(ctx), EVP_sha256(), leaf_sha256, &len);
	test_server_start(&edge, ctx, no_answers);
	test_server_start(&stranger, test_ca_server_ctx(&ca, "DNS:" NAME), no_answers);
	test_server_start(&deaf, NULL, no_answers);
	test_server_stop(&deaf);
	return 0;
}

static int tear_down_all(void **state)
{
	test_server_stop(&edge);
	test_server_stop(&stranger);
	test_ca_done(&ca);
	return 0;
}

static bool any_address(const char *address)
{
	return true;
}

static int set_up(void **state)
{
	config = (struct ch_issuer_config){.probe = CH_PROBE_DNS};
	issuer = (struct ch_issuer){.config = &config, .may_ask = any_address};
	return 0;
}

static int tear_down(void **state)
{
	assert_int_equal(fake_dns_open(), 0);
	fake_dns_end();
	return 0;
}

static int probe(struct ch_err *err)
{
	*err = (struct ch_err){0};
	return ch_issuer_probe(&issuer, NAME, CH_PROBE_OFFER_ALL, leaf_sha256, err);
}

static int probe_at(const struct fake_dns_entry *entries, size_t n, struct ch_err *err)
{
	fake_dns_set(entries, n);
	return probe(err);
}

static void every_address_shows_the_certificate(void **state)
{
	const struct fake_dns_entry entries[] = {
		{"127.0.0.1", edge.port}, {"::ffff:127.0.0.1", edge.port}};
	size_t before = edge.n_connections;
	struct ch_err err;

	assert_int_equal(probe_at(entries, CH_ARRAY_LEN(entries), &err), CH_OK);
	assert_string_equal(fake_dns_asked(), NAME " 443");
	assert_string_equal(err.detail, "");
	assert_int_equal(edge.n_connections - before, 2);
}

static void an_address_that_is_not_reached_does_not_count_beside_a_good_one(void **state)
{
	const struct fake_dns_entry dead_first[] = {
		{"127.0.0.1", deaf.port}, {"127.0.0.1", edge.port}};
	const struct fake_dns_entry dead_last[] = {
		{"127.0.0.1", edge.port}, {"127.0.0.1", deaf.port}};
	struct ch_err err;

	assert_int_equal(probe_at(dead_first, 2, &err), CH_OK);
	assert_string_equal(err.detail, "");
	assert_int_equal(probe_at(dead_last, 2, &err), CH_OK);
	assert_string_equal(err.detail, "");
	assert_int_equal(probe_at(dead_first, 1, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "probe-connect");
}

static void another_certificate_counts_wherever_it_is_shown(void **state)
{
	const struct fake_dns_entry first[] = {
		{"127.0.0.1", stranger.port}, {"127.0.0.1", edge.port}};
	const struct fake_dns_entry last[] = {{"127.0.0.1", edge.port},
		{"127.0.0.1", deaf.port}, {"127.0.0.1", stranger.port}};
	struct ch_err err;

	assert_int_equal(probe_at(first, 2, &err), CH_ECONFLICT);
	assert_string_equal(err.problem, "probe-mismatch");
	assert_non_null(strstr(err.detail, "127.0.0.1 shows another certificate"));
	assert_int_equal(probe_at(last, 3, &err), CH_ECONFLICT);
	assert_string_equal(err.problem, "probe-mismatch");
}

static int refuse(SSL *ssl, int *alert, void *arg)
{
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void an_address_that_refuses_the_name_counts_as_another_certificate(void **state)
{
	struct test_server refuser;
	SSL_CTX *ctx = test_ca_server_ctx(&ca, "DNS:" NAME);
	struct fake_dns_entry entries[2] = {{"127.0.0.1", edge.port}, {"127.0.0.1", 0}};
	struct ch_err err;

	SSL_CTX_set_tlsext_servername_callback(ctx, refuse);
	test_server_start(&refuser, ctx, no_answers);
	entries[1].port = refuser.port;
	assert_int_equal(probe_at(entries, 2, &err), CH_ECONFLICT);
	assert_string_equal(err.problem, "probe-alert");
	test_server_stop(&refuser);
}

/* One port, many addresses: all of 127.0.0.0/8 is this host. */
static void make_many(struct fake_dns_entry *entries, char (*text)[20], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		snprintf(text[i], sizeof(text[i]), "127.0.1.%zu", i + 1);
		entries[i] = (struct fake_dns_entry){text[i], deaf.port};
	}
	entries[0] = (struct fake_dns_entry){"127.0.0.1", edge.port};
}

static void addresses_over_the_limit_are_told(void **state)
{
	struct fake_dns_entry entries[CH_PROBE_TARGETS_MAX + 5];
	char text[CH_ARRAY_LEN(entries)][20];
	struct ch_err err;

	make_many(entries, text, CH_ARRAY_LEN(entries));
	assert_int_equal(probe_at(entries, CH_PROBE_TARGETS_MAX, &err), CH_OK);
	assert_string_equal(err.detail, "");
	assert_int_equal(probe_at(entries, CH_ARRAY_LEN(entries), &err), CH_OK);
	assert_string_equal(err.detail, "5 of its 37 addresses were not asked");
	/* The last one that is asked. */
	entries[CH_PROBE_TARGETS_MAX - 1].port = stranger.port;
	entries[CH_PROBE_TARGETS_MAX - 1].address = "127.0.0.1";
	assert_int_equal(probe_at(entries, CH_ARRAY_LEN(entries), &err), CH_ECONFLICT);
	assert_string_equal(err.problem, "probe-mismatch");
}

/* The issuer is told to stop while the edge answers. */
static int stop_issuer(SSL *ssl, int *alert, void *arg)
{
	atomic_store(&issuer.stopping, 1);
	return SSL_TLSEXT_ERR_OK;
}

static void addresses_for_which_there_was_no_time_are_told(void **state)
{
	const struct fake_dns_entry entries[] = {{"127.0.0.1", edge.port},
		{"127.0.0.1", stranger.port}, {"127.0.0.1", deaf.port}};
	struct ch_err err;

	SSL_CTX_set_tlsext_servername_callback(edge.ctx, stop_issuer);
	assert_int_equal(probe_at(entries, 3, &err), CH_OK);
	assert_string_equal(err.detail, "2 of its 3 addresses were not asked");
	SSL_CTX_set_tlsext_servername_callback(edge.ctx, NULL);
	assert_int_equal(probe_at(entries, 3, &err), CH_ETIMEOUT);
	assert_string_equal(err.problem, "probe-timeout");
}

static void addresses_that_are_not_public_are_not_asked(void **state)
{
	const struct fake_dns_entry entries[] = {
		{"127.0.0.1", edge.port}, {"10.1.2.3", 0}, {"fd00::1", 0}};
	size_t before = edge.n_connections;
	struct ch_err err;

	issuer.may_ask = ch_probe_is_global;
	assert_int_equal(probe_at(entries, CH_ARRAY_LEN(entries), &err), CH_ENETWORK);
	assert_string_equal(err.problem, "probe-not-public");
	assert_int_equal(edge.n_connections, before);
}

static bool only_127_0_0_1(const char *address)
{
	return strcmp(address, "127.0.0.1") == 0;
}

static void an_address_that_is_not_public_does_not_count_beside_a_good_one(void **state)
{
	const struct fake_dns_entry entries[] = {
		{"::ffff:127.0.0.1", stranger.port}, {"127.0.0.1", edge.port}};
	size_t before = stranger.n_connections;
	struct ch_err err;

	issuer.may_ask = only_127_0_0_1;
	assert_int_equal(probe_at(entries, 2, &err), CH_OK);
	assert_int_equal(stranger.n_connections, before);
}

static void a_name_without_an_address_is_not_confirmed(void **state)
{
	struct ch_err err;

	fake_dns_fail(EAI_NONAME);
	assert_int_equal(probe(&err), CH_ENOTFOUND);
	assert_string_equal(err.problem, "probe-no-address");
	fake_dns_fail(EAI_AGAIN);
	assert_int_equal(probe(&err), CH_EAGAIN);
}

static void a_fixed_address_and_none_do_not_ask_the_resolver(void **state)
{
	struct ch_err err;

	fake_dns_fail(EAI_FAIL);
	config.probe = CH_PROBE_OFF;
	assert_int_equal(probe(&err), CH_OK);
	config.probe = CH_PROBE_FIXED;
	strcpy(config.probe_address, "127.0.0.1");
	config.probe_port = edge.port;
	assert_int_equal(probe(&err), CH_OK);
	config.probe_port = stranger.port;
	assert_int_equal(probe(&err), CH_ECONFLICT);
	config.probe_port = deaf.port;
	assert_int_equal(probe(&err), CH_ENETWORK);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_address_shows_the_certificate),
		T(an_address_that_is_not_reached_does_not_count_beside_a_good_one),
		T(another_certificate_counts_wherever_it_is_shown),
		T(an_address_that_refuses_the_name_counts_as_another_certificate),
		T(addresses_over_the_limit_are_told),
		T(addresses_for_which_there_was_no_time_are_told),
		T(addresses_that_are_not_public_are_not_asked),
		T(an_address_that_is_not_public_does_not_count_beside_a_good_one),
		T(a_name_without_an_address_is_not_confirmed),
		T(a_fixed_address_and_none_do_not_ask_the_resolver),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
