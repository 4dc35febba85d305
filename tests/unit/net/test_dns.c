/* Questions to a DNS server, and its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "dns_server.h"
#include "net/dns.h"

static const struct test_dns_entry zone[] = {
	{"shop.test", CH_DNS_A, "192.0.2.1"},
	{"shop.test", CH_DNS_A, "192.0.2.2"},
	{"shop.test", CH_DNS_AAAA, "2001:db8::1"},
	{"shop.test", CH_DNS_CAA, "128 issue ca.test; accounturi=https://ca.test/acct/1"},
	{"shop.test", CH_DNS_CAA, "0 issuewild ;"},
	{"www.shop.test", TEST_DNS_CNAME, "Edge.Platform.test"},
	{"edge.platform.test", CH_DNS_A, "192.0.2.9"},
	{"gone.test", TEST_DNS_CNAME, "nowhere.test"},
	{"loop.test", TEST_DNS_CNAME, "pool.test"},
	{"pool.test", TEST_DNS_CNAME, "loop.test"},
	{"_certherd.shop.test", CH_DNS_TXT, "certherd-claim=abc"},
	{"broken.test", TEST_DNS_SERVFAIL, ""},
	{"silent.test", TEST_DNS_SILENT, ""},
	{"long.test", TEST_DNS_TRUNCATED, ""},
	{"long.test", CH_DNS_TXT, "by tcp"},
};

static struct test_dns server;
static struct ch_dns *dns;

static int set_up(void **state)
{
	struct ch_dns_options options = {.resolvers = server.resolvers, .timeout_ms = 50};

	test_dns_start(&server, zone, CH_ARRAY_LEN(zone));
	assert_int_equal(ch_dns_new(&options, &dns, NULL), CH_OK);
	return 0;
}

static int tear_down(void **state)
{
	ch_dns_free(dns);
	test_dns_stop(&server);
	return 0;
}

static struct ch_dns_answer look(const char *name, enum ch_dns_type type)
{
	struct ch_dns_answer answer;

	assert_int_equal(ch_dns_look(dns, name, type, &answer), CH_OK);
	return answer;
}

static void addresses_of_both_families_are_found(void **state)
{
	struct ch_dns_answer answer = look("shop.test", CH_DNS_A);

	assert_int_equal(answer.status, CH_DNS_FOUND);
	assert_int_equal(answer.n, 2);
	assert_string_equal(answer.addresses[1], "192.0.2.2");
	answer = look("SHOP.test", CH_DNS_AAAA);
	assert_int_equal(answer.n, 1);
	assert_string_equal(answer.addresses[0], "2001:db8::1");
}

static void cnames_are_followed_and_told(void **state)
{
	struct ch_dns_answer answer = look("www.shop.test", CH_DNS_A);

	assert_int_equal(answer.status, CH_DNS_FOUND);
	assert_string_equal(answer.addresses[0], "192.0.2.9");
	assert_int_equal(answer.n_chain, 1);
	assert_string_equal(answer.chain[0], "edge.platform.test");
	answer = look("www.shop.test", CH_DNS_AAAA);
	assert_int_equal(answer.status, CH_DNS_NO_DATA);
	assert_int_equal(answer.n_chain, 1);
	answer = look("gone.test", CH_DNS_A);
	assert_int_equal(answer.status, CH_DNS_NO_NAME);
	assert_string_equal(answer.chain[0], "nowhere.test");
	assert_int_equal(look("loop.test", CH_DNS_A).status, CH_DNS_FAILED);
}

static void caa_and_txt_are_read(void **state)
{
	struct ch_dns_answer answer = look("shop.test", CH_DNS_CAA);

	assert_int_equal(answer.n, 2);
	assert_true(answer.texts[0].critical);
	assert_string_equal(answer.texts[0].tag, "issue");
	assert_string_equal(
		answer.texts[0].value, "ca.test; accounturi=https://ca.test/acct/1");
	assert_false(answer.texts[1].critical);
	assert_string_equal(answer.texts[1].tag, "issuewild");
	answer = look("_certherd.shop.test", CH_DNS_TXT);
	assert_string_equal(answer.texts[0].value, "certherd-claim=abc");
	assert_string_equal(look("long.test", CH_DNS_TXT).texts[0].value, "by tcp");
}

static void names_that_are_not_there_differ_from_broken_ones(void **state)
{
	assert_int_equal(look("none.test", CH_DNS_A).status, CH_DNS_NO_NAME);
	assert_int_equal(look("shop.test", CH_DNS_TXT).status, CH_DNS_NO_DATA);
	assert_int_equal(look("broken.test", CH_DNS_A).status, CH_DNS_FAILED);
	assert_int_equal(look("silent.test", CH_DNS_A).status, CH_DNS_TIMEOUT);
	assert_true(ch_dns_is_up(dns)); /* it does answer other questions */
}

static void over_tcp_all_is_the_same(void **state)
{
	struct ch_dns_options options = {
		.resolvers = server.resolvers, .timeout_ms = 1000, .tcp = true};
	struct ch_dns_answer answer;
	struct ch_dns *tcp;

	assert_int_equal(ch_dns_new(&options, &tcp, NULL), CH_OK);
	assert_int_equal(ch_dns_look(tcp, "_certherd.shop.test", CH_DNS_TXT, &answer), CH_OK);
	assert_string_equal(answer.texts[0].value, "certherd-claim=abc");
	ch_dns_free(tcp);
}

static atomic_int ended;
static atomic_int canceled;

static void on_done(const struct ch_dns_answer *answer, void *arg)
{
	atomic_fetch_add(&ended, 1);
	if (answer->status == CH_DNS_CANCELED)
		atomic_fetch_add(&canceled, 1);
}

static void open_questions_are_bounded_and_end_with_the_resolver(void **state)
{
	struct ch_dns_options options = {.resolvers = server.resolvers, .timeout_ms = 60000};
	struct ch_dns *patient;
	int asked = 0;

	server.entries = NULL;
	assert_int_equal(ch_dns_new(&options, &patient, NULL), CH_OK);
	while (ch_dns_ask(patient, "silent.test", CH_DNS_A, on_done, NULL) == CH_OK)
		asked++;
	assert_int_equal(asked, CH_DNS_OPEN_MAX);
	ch_dns_free(patient);
	assert_int_equal(ended, asked);
	assert_int_equal(canceled, asked);
}

static void resolvers_are_checked(void **state)
{
	struct ch_dns_options options = {.resolvers = "not an address"};
	struct ch_dns *none = NULL;
	struct ch_err err = {0};

	assert_int_equal(ch_dns_check_resolvers("192.0.2.53, [2001:db8::53]:5353"), CH_OK);
	assert_int_equal(ch_dns_check_resolvers("192.0.2.53:99999x"), CH_EINVAL);
	assert_int_equal(ch_dns_check_resolvers(""), CH_EINVAL);
	assert_int_equal(ch_dns_check_resolvers("1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
						"1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1"),
		CH_EINVAL);
	assert_int_equal(ch_dns_new(&options, &none, &err), CH_EINVAL);
	assert_string_equal(err.problem, "resolvers");
}

static void broken_messages_are_refused(void **state)
{
	static const struct test_dns_entry many = {"shop.test", CH_DNS_A, "192.0.2.1"};
	struct test_dns_entry flood[40];
	uint8_t bytes[4096];
	struct ch_dns_answer answer;
	size_t len = test_dns_answer(
		zone, CH_ARRAY_LEN(zone), "shop.test", CH_DNS_CAA, bytes, sizeof(bytes));

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(
			ch_dns_message_read(bytes, cut, "shop.test", CH_DNS_CAA, &answer),
			CH_EPROTO);
	assert_int_equal(
		ch_dns_message_read(bytes, len, "shop.test", CH_DNS_CAA, &answer), CH_OK);
	/* Another question than ours. */
	assert_int_equal(
		ch_dns_message_read(bytes, len, "other.test", CH_DNS_CAA, &answer), CH_EPROTO);
	assert_int_equal(
		ch_dns_message_read(bytes, len, "shop.test", CH_DNS_A, &answer), CH_EPROTO);
	for (size_t i = 0; i < CH_ARRAY_LEN(flood); i++)
		flood[i] = many;
	len = test_dns_answer(
		flood, CH_ARRAY_LEN(flood), "shop.test", CH_DNS_A, bytes, sizeof(bytes));
	assert_int_equal(
		ch_dns_message_read(bytes, len, "shop.test", CH_DNS_A, &answer), CH_OK);
	assert_int_equal(answer.n, CH_DNS_ADDRESSES_MAX);
	assert_int_equal(answer.n_over, CH_ARRAY_LEN(flood) - CH_DNS_ADDRESSES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			addresses_of_both_families_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			cnames_are_followed_and_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(caa_and_txt_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			names_that_are_not_there_differ_from_broken_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(over_tcp_all_is_the_same, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			open_questions_are_bounded_and_end_with_the_resolver, set_up,
			tear_down),
		cmocka_unit_test(resolvers_are_checked),
		cmocka_unit_test(broken_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
