/* One question to one server over TCP, and what is read from the answer to one about a zone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "dns_server.h"
#include "net/dns_build.h"
#include "net/dns_tcp.h"

#define MESSAGE_B 512

static const struct test_dns_entry zone[] = {
	{"_acme-challenge.shop.test", CH_DNS_TXT, "value"},
	{"silent.test", TEST_DNS_SILENT, ""},
};

static int never(void *arg)
{
	return 0;
}

static int now(void *arg)
{
	return 1;
}

static int ask(const char *server_text, const char *name, int64_t timeout_ms,
	int (*canceled)(void *arg), size_t limit, struct ch_dns_answer *ret)
{
	CH_AUTO_BUF struct ch_buf message;
	CH_AUTO_BUF struct ch_buf out;
	struct ch_dns_server server;
	struct ch_err err;
	int rc;

	ch_buf_init(&message, MESSAGE_B);
	ch_buf_init(&out, limit);
	assert_int_equal(ch_dns_server_parse(server_text, &server), CH_OK);
	assert_int_equal(ch_dns_query_build(7, name, CH_DNS_TXT, &message), CH_OK);
	rc = ch_dns_tcp_ask(&server, &message, timeout_ms, canceled, NULL, &out, &err);
	if (rc)
		assert_true(rc == CH_ECANCELED || strstr(err.detail, server.address));
	return rc ? rc : ch_dns_message_read(out.data, out.len, name, CH_DNS_TXT, ret);
}

static void a_server_is_asked_over_tcp(void **state)
{
	struct ch_dns_answer answer;
	struct test_dns server;

	test_dns_start(&server, zone, CH_ARRAY_LEN(zone));
	assert_int_equal(
		ask(server.resolvers, zone[0].name, 30000, never, 512, &answer), CH_OK);
	assert_int_equal(answer.n, 1);
	assert_string_equal(answer.texts[0].value, "value");
	assert_int_equal(
		ask(server.resolvers, zone[0].name, 30000, now, 512, &answer), CH_ECANCELED);
	assert_int_equal(
		ask(server.resolvers, zone[0].name, 30000, never, 20, &answer), CH_ETOOBIG);
	/* It closes the connection, or says nothing. */
	assert_int_not_equal(
		ask(server.resolvers, "silent.test", 300, never, 512, &answer), CH_OK);
	test_dns_stop(&server);
	assert_int_equal(
		ask(server.resolvers, zone[0].name, 30000, never, 512, &answer), CH_ENETWORK);
}

static void servers_are_addresses(void **state)
{
	static const char *const bad[] = {"", "ns.example.com", "192.0.2.1:0", "192.0.2.1:x",
		"2001:db8::1:53x", "[2001:db8::1", "192.0.2.1 192.0.2.2"};
	struct ch_dns_server server;

	assert_int_equal(ch_dns_server_parse("192.0.2.53", &server), CH_OK);
	assert_int_equal(server.port, 53);
	assert_int_equal(ch_dns_server_parse("[2001:db8::1]:5353", &server), CH_OK);
	assert_int_equal(server.port, 5353);
	assert_string_equal(server.address, "2001:db8::1");
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_not_equal(ch_dns_server_parse(bad[i], &server), CH_OK);
}

/* An answer to "SOA _acme-challenge.shop.test", with one SOA of `owner` in the authority. */
static int zone_of(const char *owner, uint8_t flags, char ret[CH_DNS_NAME_B], bool *ret_own)
{
	CH_AUTO_BUF struct ch_buf out;
	const char *name = "_acme-challenge.shop.test";

	ch_buf_init(&out, MESSAGE_B);
	assert_int_equal(ch_dns_query_build(7, name, CH_DNS_SOA, &out), CH_OK);
	out.data[2] = flags;
	out.data[9] = owner ? 1 : 0;
	if (owner) {
		assert_int_equal(ch_dns_add_name(&out, owner), CH_OK);
		ch_buf_add_u16(&out, CH_DNS_SOA);
		ch_buf_add_u16(&out, CH_DNS_CLASS_IN);
		ch_buf_add_u32(&out, 1);
		assert_int_equal(ch_buf_add_u16(&out, 0), CH_OK);
	}
	return ch_dns_message_read_zone(out.data, out.len, name, ret, ret_own);
}

static void the_zone_is_that_of_the_soa(void **state)
{
	char found[CH_DNS_NAME_B];
	bool own;

	assert_int_equal(zone_of("shop.test", 0x84, found, &own), CH_OK);
	assert_string_equal(found, "shop.test");
	assert_true(own);
	assert_int_equal(zone_of("", 0x80, found, &own), CH_OK);
	assert_string_equal(found, "");
	assert_false(own);
	/* A zone that the name does not lie in, none, a question. */
	assert_int_equal(zone_of("hop.test", 0x84, found, &own), CH_ENOTFOUND);
	assert_int_equal(zone_of(NULL, 0x84, found, &own), CH_ENOTFOUND);
	assert_int_equal(zone_of("shop.test", 0x04, found, &own), CH_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_is_asked_over_tcp),
		cmocka_unit_test(servers_are_addresses),
		cmocka_unit_test(the_zone_is_that_of_the_soa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
