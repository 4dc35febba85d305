#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "fake_dns.h"
#include "net/probe.h"
#include "server.h"

static const char *const no_answers[] = {NULL};

static int on_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (name && strcmp(name, "known.example") == 0)
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void a_probe_tells_which_certificate_is_served(void **state)
{
	struct test_ca ca;
	struct test_server s;
	struct ch_probe_result r;
	struct ch_err err;
	SSL_CTX *ctx;
	uint8_t digest[32];
	unsigned len = sizeof(digest);

	test_ca_make(&ca, "Probe Test CA");
	ctx = test_ca_server_ctx(&ca, "DNS:known.example");
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	X509_digest(SSL_CTX_get0_certificate(ctx), EVP_sha256(), digest, &len);
	test_server_start(&s, ctx, no_answers);
	assert_int_equal(ch_probe("127.0.0.1", s.port, "known.example", CH_PROBE_OFFER_ALL,
				 5000, &r, &err),
		CH_OK);
	assert_memory_equal(r.leaf_sha256, digest, 32);
	assert_string_equal(r.issuer, "CN=Probe Test CA");
	assert_string_equal(r.tls, "TLSv1.3");
	assert_int_equal(strlen(r.serial), 4);
	assert_int_equal(r.not_after_s - r.not_before_s, 7200);
	assert_int_equal(ch_probe("127.0.0.1", s.port, "other.example", CH_PROBE_OFFER_ALL,
				 5000, &r, &err),
		CH_EPROTO);
	assert_string_equal(err.problem, "probe-alert");
	assert_non_null(strstr(err.detail, "112"));
	test_server_stop(&s);
	assert_int_equal(ch_probe("127.0.0.1", s.port, "known.example", CH_PROBE_OFFER_ALL,
				 5000, &r, &err),
		CH_ENETWORK);
	assert_string_equal(err.problem, "probe-connect");
	test_ca_done(&ca);
}

static void a_server_without_the_certificates_key_is_refused(void **state)
{
	struct test_ca ca;
	struct test_server s;
	struct ch_probe_result r = {.serial = "untouched"};
	struct ch_err err;

	test_ca_make(&ca, "Probe Test CA");
	test_server_start(&s, test_ca_impostor_ctx(&ca, "DNS:known.example"), no_answers);
	assert_int_equal(ch_probe("127.0.0.1", s.port, "known.example", CH_PROBE_OFFER_ALL,
				 5000, &r, &err),
		CH_EPROTO);
	assert_string_equal(err.problem, "probe-tls");
	assert_non_null(strstr(err.detail, "signature"));
	assert_string_equal(r.serial, "untouched");
	test_server_stop(&s);
	test_ca_done(&ca);
}

static void a_visitor_who_can_use_rsa_only_is_refused_by_ecdsa_alone(void **state)
{
	struct test_ca ca;
	struct test_server s;
	struct ch_probe_result r;
	struct ch_err err;
	SSL_CTX *ctx;

	test_ca_make(&ca, "Probe Test CA");
	ctx = test_ca_server_ctx(&ca, "DNS:known.example"); /* its key is P-256 */
	test_server_start(&s, ctx, no_answers);
	assert_int_equal(ch_probe("127.0.0.1", s.port, "known.example", CH_PROBE_OFFER_RSA,
				 5000, &r, &err),
		CH_EPROTO);
	assert_string_equal(err.problem, "probe-alert");
	assert_non_null(strstr(err.detail, "40"));
	test_server_stop(&s);
	test_ca_done(&ca);
}

/* Old and unusual servers: what the quick context has no keys for would fail. */
static void servers_of_every_habit_are_probed(void **state)
{
	static const struct {
		int version;
		const char *groups, *ciphers;
	} habits[] = {{TLS1_3_VERSION, "X25519", NULL}, {TLS1_3_VERSION, "X448", NULL},
		{TLS1_3_VERSION, "P-256", NULL}, {TLS1_3_VERSION, "P-384", NULL},
		{TLS1_3_VERSION, "P-521", NULL}, {TLS1_3_VERSION, "ffdhe2048", NULL},
		{TLS1_2_VERSION, "P-256", "ECDHE-ECDSA-AES128-SHA"},
		{TLS1_2_VERSION, "X25519", "ECDHE-ECDSA-CHACHA20-POLY1305"}};
	struct test_ca ca;

	test_ca_make(&ca, "Probe Test CA");
	for (size_t i = 0; i < CH_ARRAY_LEN(habits); i++) {
		SSL_CTX *ctx = test_ca_server_ctx(&ca, "DNS:known.example");
		struct test_server s;
		struct ch_probe_result r;
		struct ch_err err = {0};

		SSL_CTX_set_min_proto_version(ctx, habits[i].version);
		SSL_CTX_set_max_proto_version(ctx, habits[i].version);
		assert_int_equal(SSL_CTX_set1_groups_list(ctx, habits[i].groups), 1);
		if (habits[i].ciphers)
			assert_int_equal(SSL_CTX_set_cipher_list(ctx, habits[i].ciphers), 1);
		test_server_start(&s, ctx, no_answers);
		if (ch_probe("127.0.0.1", s.port, "known.example", CH_PROBE_OFFER_ALL, 5000, &r,
			    &err))
			fail_msg("%s %s: %s", habits[i].groups,
				habits[i].ciphers ? habits[i].ciphers : "", err.detail);
		test_server_stop(&s);
	}
	test_ca_done(&ca);
}

static void a_server_without_tls_is_told_apart(void **state)
{
	struct test_server s;
	struct ch_probe_result r;
	struct ch_err err;

	/* Reads the ClientHello and waits for the end of an HTTP request that never comes. */
	test_server_start(&s, NULL, no_answers);
	assert_int_equal(ch_probe("127.0.0.1", s.port, "known.example", CH_PROBE_OFFER_ALL, 50,
				 &r, &err),
		CH_ETIMEOUT);
	assert_string_equal(err.problem, "probe-timeout");
	test_server_stop(&s);
}

static void only_addresses_are_probed(void **state)
{
	struct ch_probe_result r;
	struct ch_err err;

	assert_int_equal(
		ch_probe("localhost", 443, "x", CH_PROBE_OFFER_ALL, 100, &r, &err), CH_EINVAL);
	assert_int_equal(ch_probe("", 443, "x", CH_PROBE_OFFER_ALL, 100, &r, &err), CH_EINVAL);
}

static void a_target_is_an_address_with_or_without_a_port(void **state)
{
	static const struct {
		const char *text;
		const char *address;
		uint16_t port;
	} good[] = {{"192.0.2.1", "192.0.2.1", 443}, {"192.0.2.1:8443", "192.0.2.1", 8443},
		{"2001:db8::1", "2001:db8::1", 443}, {"[2001:db8::1]", "2001:db8::1", 443},
		{"[::1]:65535", "::1", 65535}};
	static const char *const bad[] = {"", ":443", "host:443", "192.0.2.1:", "192.0.2.1:0",
		"192.0.2.1:65536", "192.0.2.1:x", "[::1", "[::1]x", "[::1]:", "192.0.2.1:443 ",
		"1.2.3", "192.0.2.1:-1", "2001:db8::1::2"};
	char address[CH_PROBE_ADDR_B];
	uint16_t port;

	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++) {
		assert_int_equal(
			ch_probe_target_parse(good[i].text, 443, address, &port), CH_OK);
		assert_string_equal(address, good[i].address);
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_probe_target_parse(bad[i], 443, address, &port), CH_EINVAL);
}

static void addresses_of_the_public_internet_are_told_from_others(void **state)
{
	static const char *const global[] = {"1.1.1.1", "9.255.255.255", "11.0.0.0",
		"100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "2000::1", "2001:200::1", "2606:4700::1111", "2a00::1",
		"3ffe::1", "64:ff9b::1.1.1.1"};
	static const char *const special[] = {"0.0.0.0", "0.1.2.3", "10.0.0.0",
		"10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
		"127.255.255.255", "169.254.169.254", "172.16.0.0", "172.31.255.255",
		"192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255",
		"198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
		"239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::10.0.0.1",
		"::ffff:1.1.1.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1",
		"64:ff9b::169.254.169.254", "64:ff9b:1::1.1.1.1", "100::1", "2001::1",
		"2001:db8::1", "2001:1ff::1", "2002:0a00:0001::1", "3fff::1", "3fff:fff::1",
		"4000::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%lo",
		"fec0::1", "ff02::1", "", "localhost", "1.1.1", "0x7f.1", "2130706433"};

	for (size_t i = 0; i < CH_ARRAY_LEN(global); i++)
		if (!ch_probe_is_global(global[i]))
			fail_msg("%s was refused", global[i]);
	for (size_t i = 0; i < CH_ARRAY_LEN(special); i++)
		if (ch_probe_is_global(special[i]))
			fail_msg("%s was taken", special[i]);
}

static void the_hosts_own_resolver_is_asked(void **state)
{
	struct ch_probe_targets targets;
	struct ch_err err;

	assert_int_equal(ch_probe_resolve("127.0.0.1", 8443, &targets, &err), CH_OK);
	assert_int_equal(targets.n, 1);
	assert_int_equal(targets.n_over, 0);
	assert_string_equal(targets.list[0].address, "127.0.0.1");
	assert_int_equal(targets.list[0].port, 8443);
	assert_int_not_equal(
		ch_probe_resolve("no-such-name.invalid", 443, &targets, &err), CH_OK);
}

static void each_address_of_a_name_comes_once(void **state)
{
	static const struct fake_dns_entry entries[] = {{"2001:db8::1", 0}, {"192.0.2.1", 0},
		{"2001:db8::1", 0}, {"192.0.2.2", 0}, {"192.0.2.1", 0}};
	struct ch_probe_targets t;
	struct ch_err err;

	fake_dns_set(entries, CH_ARRAY_LEN(entries));
	assert_int_equal(ch_probe_resolve("shop.example", 443, &t, &err), CH_OK);
	assert_string_equal(fake_dns_asked(), "shop.example 443");
	assert_int_equal(t.n, 3);
	assert_int_equal(t.n_over, 0);
	assert_string_equal(t.list[0].address, "2001:db8::1");
	assert_string_equal(t.list[1].address, "192.0.2.1");
	assert_string_equal(t.list[2].address, "192.0.2.2");
	for (size_t i = 0; i < t.n; i++)
		assert_int_equal(t.list[i].port, 443);
	assert_int_equal(fake_dns_open(), 0);
}

static void addresses_beyond_the_limit_are_counted(void **state)
{
	struct fake_dns_entry entries[CH_PROBE_TARGETS_MAX + 3];
	char text[CH_ARRAY_LEN(entries)][20];
	struct ch_probe_targets t;
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(entries); i++) {
		snprintf(text[i], sizeof(text[i]), "192.0.2.%zu", i + 1);
		entries[i] = (struct fake_dns_entry){text[i], 0};
	}
	fake_dns_set(entries, CH_PROBE_TARGETS_MAX);
	assert_int_equal(ch_probe_resolve("shop.example", 443, &t, &err), CH_OK);
	assert_int_equal(t.n, CH_PROBE_TARGETS_MAX);
	assert_int_equal(t.n_over, 0);
	entries[CH_PROBE_TARGETS_MAX + 2] = entries[0]; /* no other address */
	fake_dns_set(entries, CH_ARRAY_LEN(entries));
	assert_int_equal(ch_probe_resolve("shop.example", 443, &t, &err), CH_OK);
	assert_int_equal(t.n, CH_PROBE_TARGETS_MAX);
	assert_int_equal(t.n_over, 2);
	assert_string_equal(t.list[CH_PROBE_TARGETS_MAX - 1].address, "192.0.2.32");
	assert_int_equal(fake_dns_open(), 0);
}

static void a_name_that_does_not_resolve_is_told_from_a_resolver_that_fails(void **state)
{
	static const int none[] = {EAI_NONAME, EAI_NODATA};
	static const int failing[] = {EAI_AGAIN, EAI_FAIL, EAI_MEMORY};
	struct ch_probe_targets t = {.n = 7};
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(none); i++) {
		fake_dns_fail(none[i]);
		assert_int_equal(ch_probe_resolve("shop.example", 443, &t, &err), CH_ENOTFOUND);
		assert_string_equal(err.problem, "probe-no-address");
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(failing); i++) {
		fake_dns_fail(failing[i]);
		assert_int_equal(ch_probe_resolve("shop.example", 443, &t, &err), CH_EAGAIN);
		assert_string_equal(err.problem, "probe-resolver");
	}
	assert_int_equal(t.n, 7);
}

static int end_fake_dns(void **state)
{
	fake_dns_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_tells_which_certificate_is_served),
		cmocka_unit_test(a_server_without_the_certificates_key_is_refused),
		cmocka_unit_test(a_visitor_who_can_use_rsa_only_is_refused_by_ecdsa_alone),
		cmocka_unit_test(servers_of_every_habit_are_probed),
		cmocka_unit_test(a_server_without_tls_is_told_apart),
		cmocka_unit_test(only_addresses_are_probed),
		cmocka_unit_test(a_target_is_an_address_with_or_without_a_port),
		cmocka_unit_test(addresses_of_the_public_internet_are_told_from_others),
		cmocka_unit_test(the_hosts_own_resolver_is_asked),
		cmocka_unit_test_teardown(each_address_of_a_name_comes_once, end_fake_dns),
		cmocka_unit_test_teardown(addresses_beyond_the_limit_are_counted, end_fake_dns),
		cmocka_unit_test_teardown(
			a_name_that_does_not_resolve_is_told_from_a_resolver_that_fails,
			end_fake_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
