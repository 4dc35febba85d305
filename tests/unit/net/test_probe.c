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
	assert_int_equal(ch_probe("127.0.0.1", s.port, "known.example", 5000, &r, &err), CH_OK);
	assert_memory_equal(r.leaf_sha256, digest, 32);
	assert_string_equal(r.issuer, "CN=Probe Test CA");
	assert_string_equal(r.tls, "TLSv1.3");
	assert_int_equal(strlen(r.serial), 4);
	assert_int_equal(r.not_after_s - r.not_before_s, 7200);
	assert_int_equal(
		ch_probe("127.0.0.1", s.port, "other.example", 5000, &r, &err), CH_EPROTO);
	assert_string_equal(err.problem, "probe-alert");
	assert_non_null(strstr(err.detail, "112"));
	test_server_stop(&s);
	assert_int_equal(
		ch_probe("127.0.0.1", s.port, "known.example", 5000, &r, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "probe-connect");
	test_ca_done(&ca);
}

static void a_server_without_tls_is_told_apart(void **state)
{
	struct test_server s;
	struct ch_probe_result r;
	struct ch_err err;

	/* Reads the ClientHello and waits for the end of an HTTP request that never comes. */
	test_server_start(&s, NULL, no_answers);
	assert_int_equal(
		ch_probe("127.0.0.1", s.port, "known.example", 50, &r, &err), CH_ETIMEOUT);
	assert_string_equal(err.problem, "probe-timeout");
	test_server_stop(&s);
}

static void only_addresses_are_probed(void **state)
{
	struct ch_probe_result r;
	struct ch_err err;

	assert_int_equal(ch_probe("localhost", 443, "x", 100, &r, &err), CH_EINVAL);
	assert_int_equal(ch_probe("", 443, "x", 100, &r, &err), CH_EINVAL);
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

static void addresses_come_from_the_resolver_once_each(void **state)
{
	char addrs[4][CH_PROBE_ADDR_B];
	struct ch_err err;
	size_t n;

	assert_int_equal(ch_probe_resolve("127.0.0.1", addrs, 4, &n, &err), CH_OK);
	assert_int_equal(n, 1);
	assert_string_equal(addrs[0], "127.0.0.1");
	assert_int_not_equal(
		ch_probe_resolve("no-such-name.invalid", addrs, 4, &n, &err), CH_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_tells_which_certificate_is_served),
		cmocka_unit_test(a_server_without_tls_is_told_apart),
		cmocka_unit_test(only_addresses_are_probed),
		cmocka_unit_test(a_target_is_an_address_with_or_without_a_port),
		cmocka_unit_test(addresses_of_the_public_internet_are_told_from_others),
		cmocka_unit_test(addresses_come_from_the_resolver_once_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
