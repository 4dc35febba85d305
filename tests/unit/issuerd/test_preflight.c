/* What is found before an attempt is spent: CAA, addresses, and an edge that answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/mem.h"
#include "dns_server.h"
#include "issuerd/preflight.h"

/* ---- CAA ---- */

static struct ch_caa_asker asker = {.identities = {"ca.test", "also.ca.test"},
	.n_identities = 2,
	.account = "https://ca.test/acct/1",
	.method = "http-01"};

static struct ch_dns_text caa(const char *tag, const char *value)
{
	struct ch_dns_text text = {0};

	snprintf(text.tag, sizeof(text.tag), "%s", tag);
	snprintf(text.value, sizeof(text.value), "%s", value);
	return text;
}

static const char *judge(size_t n, ...)
{
	static struct ch_err err;
	struct ch_dns_answer records = {.status = CH_DNS_FOUND, .n = n};
	va_list args;
	int rc;

	va_start(args, n);
	for (size_t i = 0; i < n; i++) {
		const char *tag = va_arg(args, const char *);

		records.texts[i] = caa(tag, va_arg(args, const char *));
	}
	va_end(args);
	rc = ch_caa_judge(&records, "shop.test", &asker, &err);
	if (rc)
		assert_int_equal(err.actor, CH_ACTOR_CUSTOMER);
	return rc ? err.problem : "ok";
}

static void caa_names_the_ca_or_forbids(void **state)
{
	assert_string_equal(judge(1, "issue", "ca.test"), "ok");
	assert_string_equal(judge(1, "issue", " Also.CA.test ; x=1"), "ok");
	assert_string_equal(judge(1, "issue", "other.test"), "caa-forbids");
	assert_string_equal(judge(1, "issue", ";"), "caa-forbids");
	assert_string_equal(judge(2, "issue", "other.test", "issue", "ca.test"), "ok");
	assert_string_equal(judge(1, "iodef", "mailto:x@shop.test"), "ok");
	assert_string_equal(judge(1, "issuewild", ";"), "ok");
	assert_string_equal(judge(1, "issue", "ca.test.evil"), "caa-forbids");
}

static void caa_parameters_bind_account_and_method(void **state)
{
	assert_string_equal(
		judge(1, "issue", "ca.test; accounturi=https://ca.test/acct/1"), "ok");
	assert_string_equal(
		judge(1, "issue", "ca.test;accounturi=https://ca.test/acct/12"), "caa-account");
	assert_string_equal(
		judge(1, "issue", "ca.test; validationmethods=dns-01,http-01"), "ok");
	assert_string_equal(
		judge(1, "issue", "ca.test; validationmethods=dns-01"), "caa-method");
	assert_string_equal(judge(1, "issue", "ca.test; validationmethods="), "caa-method");
	asker.account = "";
	assert_string_equal(judge(1, "issue", "ca.test; accounturi=https://x/2"), "ok");
	asker.account = "https://ca.test/acct/1";
}

static void caa_of_wildcards_and_critical_ones(void **state)
{
	struct ch_dns_answer records = {.status = CH_DNS_FOUND, .n = 1};
	struct ch_err err;

	asker.wildcard = true;
	assert_string_equal(
		judge(2, "issue", "ca.test", "issuewild", "other.test"), "caa-forbids");
	assert_string_equal(judge(1, "issue", "ca.test"), "ok");
	asker.wildcard = false;
	records.texts[0] = caa("future", "x");
	assert_int_equal(ch_caa_judge(&records, "shop.test", &asker, &err), CH_OK);
	records.texts[0].critical = true;
	assert_int_equal(ch_caa_judge(&records, "shop.test", &asker, &err), CH_EAUTH);
	assert_string_equal(err.problem, "caa-critical");
}

/* ---- addresses ---- */

static void cidrs_are_read(void **state)
{
	struct ch_cidr cidr;

	assert_int_equal(ch_cidr_parse("192.0.2.0/24", &cidr), CH_OK);
	assert_int_equal(ch_cidr_parse("2001:db8::1", &cidr), CH_OK);
	assert_int_equal(cidr.bits, 128);
	assert_int_equal(ch_cidr_parse("192.0.2.1/24", &cidr), CH_EINVAL);
	assert_int_equal(ch_cidr_parse("192.0.2.0/33", &cidr), CH_EINVAL);
	assert_int_equal(ch_cidr_parse("192.0.2.0/", &cidr), CH_EINVAL);
	assert_int_equal(ch_cidr_parse("shop.test", &cidr), CH_EINVAL);
}

static struct ch_platform platform;

static bool any(const char *address)
{
	return true;
}

static bool none(const char *address)
{
	return false;
}

static struct ch_sites sites_of(const char *v6, const char *v4, const char *alias)
{
	struct ch_dns_answer a = {0};
	struct ch_dns_answer aaaa = {0};
	struct ch_sites sites;

	a.status = v4 ? CH_DNS_FOUND : CH_DNS_NO_DATA;
	aaaa.status = v6 ? CH_DNS_FOUND : CH_DNS_NO_DATA;
	a.n = v4 != NULL;
	aaaa.n = v6 != NULL;
	snprintf(a.addresses[0], CH_DNS_ADDR_B, "%s", v4 ? v4 : "");
	snprintf(aaaa.addresses[0], CH_DNS_ADDR_B, "%s", v6 ? v6 : "");
	a.n_chain = aaaa.n_chain = alias != NULL;
	snprintf(a.chain[0], CH_DNS_NAME_B, "%s", alias ? alias : "");
	snprintf(aaaa.chain[0], CH_DNS_NAME_B, "%s", alias ? alias : "");
	ch_sites_from(&platform, "shop.test", &a, &aaaa, &sites);
	return sites;
}

static struct ch_err judged;

static const char *verdict(struct ch_sites *sites, bool *ret_away)
{
	return ch_sites_judge(sites, "shop.test", ret_away, &judged) ? judged.problem : "ok";
}

static void addresses_are_compared_in_both_families(void **state)
{
	struct ch_sites sites;
	bool away;

	memset(&platform, 0, sizeof(platform));
	sites = sites_of(NULL, "10.0.0.1", NULL);
	assert_string_equal(verdict(&sites, &away), "ok"); /* nobody said where we are */
	assert_int_equal(ch_cidr_parse("192.0.2.0/28", &platform.addresses[0]), CH_OK);
	platform.n_addresses = 1;
	sites = sites_of(NULL, "192.0.2.7", NULL);
	assert_string_equal(verdict(&sites, &away), "ok");
	sites = sites_of(NULL, "192.0.2.17", NULL);
	assert_string_equal(verdict(&sites, &away), "dns-points-elsewhere");
	assert_true(away);
	assert_non_null(strstr(judged.detail, "point it here."));
	assert_int_equal(ch_cidr_parse("2001:db8::7", &platform.addresses[1]), CH_OK);
	platform.n_addresses = 2;
	(void)verdict(&sites, &away);
	assert_non_null(strstr(judged.detail, "point it to 2001:db8::7."));
	snprintf(platform.targets[0], CH_DNS_NAME_B, "shops.platform.test");
	platform.n_targets = 1;
	(void)verdict(&sites, &away);
	assert_non_null(strstr(judged.detail, "point it to shops.platform.test."));
	platform.n_targets = 0;
	platform.n_addresses = 1;
	sites = sites_of("2001:db8::5", "192.0.2.7", NULL);
	assert_string_equal(verdict(&sites, &away), "dns-ipv6-elsewhere");
	assert_false(away);
	sites = sites_of("2001:db8::5", "192.0.2.17", "edge.platform.test");
	assert_string_equal(verdict(&sites, &away), "dns-points-elsewhere");
	strcpy(platform.targets[0], "*.platform.test");
	platform.n_targets = 1;
	sites = sites_of("2001:db8::5", "192.0.2.17", "edge.platform.test");
	assert_string_equal(verdict(&sites, &away), "ok");
	sites = sites_of(NULL, "192.0.2.17", "evilplatform.test");
	assert_string_equal(verdict(&sites, &away), "dns-points-elsewhere");
}

static void private_addresses_are_asked_only_when_they_are_ours(void **state)
{
	struct ch_sites sites;

	memset(&platform, 0, sizeof(platform));
	assert_int_equal(ch_cidr_parse("10.0.0.1", &platform.addresses[0]), CH_OK);
	platform.n_addresses = 1;
	strcpy(platform.targets[0], "edge.platform.test");
	platform.n_targets = 1;
	sites = sites_of(NULL, "10.0.0.1", NULL);
	ch_sites_choose(&sites, none);
	assert_true(sites.list[0].ask);
	sites = sites_of(NULL, "10.0.0.2", NULL);
	ch_sites_choose(&sites, none);
	assert_false(sites.list[0].ask);
	/* A name that claims to be an alias of ours is a stranger's word. */
	sites = sites_of(NULL, "10.0.0.2", "edge.platform.test");
	ch_sites_choose(&sites, none);
	assert_false(sites.list[0].ask);
	ch_sites_choose(&sites, any);
	assert_true(sites.list[0].ask);
}

static void what_answers_there_counts(void **state)
{
	struct ch_sites sites;
	bool away;

	memset(&platform, 0, sizeof(platform));
	assert_int_equal(ch_cidr_parse("192.0.2.7", &platform.addresses[0]), CH_OK);
	platform.n_addresses = 1;
	sites = sites_of(NULL, "198.51.100.1", NULL);
	sites.list[0].seen = CH_SEEN_EDGE; /* a CDN in between */
	assert_string_equal(verdict(&sites, &away), "ok");
	sites = sites_of(NULL, "192.0.2.7", NULL);
	sites.list[0].seen = CH_SEEN_NOBODY;
	assert_string_equal(verdict(&sites, &away), "self-check-unreachable");
	sites.list[0].seen = CH_SEEN_OTHER;
	assert_string_equal(verdict(&sites, &away), "self-check-wrong-answer");
	assert_false(away);
	assert_non_null(strstr(judged.detail, "certherd_account_thumbprint"));
	sites.list[0].seen = CH_SEEN_ACCOUNT;
	assert_string_equal(verdict(&sites, &away), "self-check-account");
	sites = sites_of("2001:db8::5", "192.0.2.7", NULL);
	sites.list[0].seen = CH_SEEN_OTHER;
	sites.list[1].seen = CH_SEEN_EDGE;
	assert_string_equal(verdict(&sites, &away), "dns-ipv6-elsewhere");
	memset(&platform, 0, sizeof(platform));
	sites = sites_of("2001:db8::5", "192.0.2.7", NULL);
	sites.list[0].seen = CH_SEEN_NOBODY; /* perhaps this host lacks IPv6 */
	sites.list[1].seen = CH_SEEN_EDGE;
	assert_string_equal(verdict(&sites, &away), "ok");
	sites.list[1].seen = CH_SEEN_OTHER;
	assert_string_equal(verdict(&sites, &away), "self-check-wrong-answer");
	assert_true(away);
	assert_null(strstr(
		judged.detail, "certherd_account_thumbprint")); /* the customer's to mend */
}

/* ---- all of it, with a DNS server and an edge ---- */

#define PRINT "thumbprint-of-the-account"

struct edge { /* answers as nginx with the module does, for any name but those with "other" */
	int fd;
	uint16_t port;
	pthread_t thread;
	int stop[2];
};

static void answer_one(int fd)
{
	char request[2048] = "";
	char reply[1024];
	char body[600];
	const char *token;
	ssize_t n = read(fd, request, sizeof(request) - 1);

	request[n > 0 ? n : 0] = 0;
	token = strstr(request, "/acme-challenge/");
	if (strstr(request, "Host: moves"))
		snprintf(reply, sizeof(reply),
			"HTTP/1.1 301 x\r\nLocation: http://elsewhere.test/\r\n"
			"Content-Length: 0\r\n\r\n");
	else {
		if (!token || strstr(request, "Host: other"))
			snprintf(body, sizeof(body), "%0500d", 7);
		else
			snprintf(body, sizeof(body), "%.*s.%s", (int)strcspn(token + 16, " "),
				token + 16,
				strstr(request, "Host: account") ? "another" : PRINT);
		snprintf(reply, sizeof(reply),
			"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	}
	assert_true(write(fd, reply, strlen(reply)) > 0);
	close(fd);
}

static void *serve(void *arg)
{
	struct edge *edge = arg;

	for (;;) {
		struct pollfd fds[] = {{edge->stop[0], POLLIN, 0}, {edge->fd, POLLIN, 0}};

		if (poll(fds, 2, -1) < 0 || fds[0].revents)
			return NULL;
		answer_one(accept(edge->fd, NULL, NULL));
	}
}

static const struct test_dns_entry zone[] = {
	{"good.test", CH_DNS_A, "127.0.0.1"},
	{"other.test", CH_DNS_A, "127.0.0.1"},
	{"account.test", CH_DNS_A, "127.0.0.1"},
	{"moves.test", CH_DNS_A, "127.0.0.1"},
	{"far.test", CH_DNS_A, "10.1.2.3"},
	{"refused.test", CH_DNS_A, "127.0.0.2"},
	{"broken.test", TEST_DNS_SERVFAIL, ""},
	{"silent.test", TEST_DNS_SILENT, ""},
	{"empty.test", CH_DNS_TXT, "no address"},
	{"sub.denied.test", CH_DNS_A, "127.0.0.1"},
	{"denied.test", CH_DNS_CAA, "0 issue other.test"},
	{"below.caabroken.test", CH_DNS_A, "127.0.0.1"},
	{"caabroken.test", TEST_DNS_SERVFAIL, ""},
	{"*.denied.test", CH_DNS_TXT, ""},
	{"_validation-persist.standing.test", CH_DNS_TXT,
		"ca.test; accounturi=https://ca.test/acct/1; policy=wildcard"},
	{"_validation-persist.plain.test", CH_DNS_TXT,
		"ca.test; accounturi=https://ca.test/acct/1"},
	{"_validation-persist.denied.test", CH_DNS_TXT,
		"ca.test; accounturi=https://ca.test/acct/1"},
	{"_validation-persist.mute.test", TEST_DNS_SERVFAIL, ""},
};

static struct test_dns dns;
static struct edge edge;
static struct ch_preflight *preflight;
static sem_t woken;

static void fill(void *arg, struct ch_caa_asker *ret_asker, char *ret_account, size_t account_b)
{
	ret_asker->n_identities = 1;
	strcpy(ret_asker->identities[0], "ca.test");
	snprintf(ret_account, account_b, "https://ca.test/acct/1");
}

static void wake(void *arg, uint64_t order)
{
	assert_true(order == 34 || order == 0);
	sem_post(&woken);
}

static int set_up(void **state)
{
	struct ch_preflight_options options = {.platform = &platform,
		.dns_timeout_ms = 50,
		.self_check = true,
		.may_ask = none,
		.asker = fill,
		.wake = wake};
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);

	memset(&platform, 0, sizeof(platform));
	assert_int_equal(ch_cidr_parse("127.0.0.0/30", &platform.addresses[0]), CH_OK);
	platform.n_addresses = 1;
	sem_init(&woken, 0, 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	edge.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(edge.fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(edge.fd, 16), 0);
	assert_int_equal(getsockname(edge.fd, (struct sockaddr *)&in, &len), 0);
	edge.port = ntohs(in.sin_port);
	assert_int_equal(pipe(edge.stop), 0);
	assert_int_equal(pthread_create(&edge.thread, NULL, serve, &edge), 0);
	test_dns_start(&dns, zone, CH_ARRAY_LEN(zone));
	options.resolvers = dns.resolvers;
	options.http_port = edge.port;
	assert_int_equal(ch_preflight_new(&options, &preflight, NULL), CH_OK);
	return 0;
}

static int tear_down(void **state)
{
	ch_preflight_free(preflight);
	test_dns_stop(&dns);
	assert_int_equal(write(edge.stop[1], "", 1), 1);
	pthread_join(edge.thread, NULL);
	close(edge.fd);
	close(edge.stop[0]);
	close(edge.stop[1]);
	sem_destroy(&woken);
	return 0;
}

static struct ch_preflight_subject subject_of(const char *name)
{
	return (struct ch_preflight_subject){.name = name,
		.order = 34,
		.who = &edge,
		.thumbprint = PRINT,
		.method = strncmp(name, "*.", 2) == 0 ? CH_ACME_DNS_01 : CH_ACME_HTTP_01};
}

static struct ch_preflight_result result_by(
	const char *name, enum ch_acme_challenge_type method)
{
	struct ch_preflight_subject subject = subject_of(name);
	struct ch_preflight_result result;

	subject.method = method;
	ch_preflight_look(preflight, &subject, &result);
	assert_int_equal(result.fate, CH_PREFLIGHT_WAIT);
	assert_int_equal(sem_wait(&woken), 0);
	ch_preflight_look(preflight, &subject, &result);
	assert_int_not_equal(result.fate, CH_PREFLIGHT_WAIT);
	ch_preflight_forget(preflight, &subject);
	return result;
}

static struct ch_preflight_result result_of(const char *name)
{
	return result_by(name, subject_of(name).method);
}

static void check_bad(const char *name, const char *problem, enum ch_actor actor, bool away)
{
	struct ch_preflight_result result = result_of(name);

	assert_int_equal(result.fate, CH_PREFLIGHT_BAD);
	assert_string_equal(result.err.problem, problem);
	assert_int_equal(result.err.actor, actor);
	assert_int_equal(result.away, away);
	assert_non_null(strstr(result.err.detail, strchr(name, '.') + 1));
}

static void a_name_that_leads_here_passes(void **state)
{
	assert_int_equal(result_of("good.test").fate, CH_PREFLIGHT_GOOD);
	/* A redirect to another host is for the CA to follow. */
	assert_int_equal(result_of("moves.test").fate, CH_PREFLIGHT_GOOD);
}

static void dead_names_say_what_is_wrong(void **state)
{
	check_bad("none.test", "dns-no-address", CH_ACTOR_CUSTOMER, true);
	check_bad("empty.test", "dns-no-address", CH_ACTOR_CUSTOMER, true);
	check_bad("broken.test", "dns-failed", CH_ACTOR_CUSTOMER, true);
	check_bad("far.test", "dns-points-elsewhere", CH_ACTOR_CUSTOMER, true);
	check_bad("silent.test", "dns-failed", CH_ACTOR_CUSTOMER, true);
}

static void caa_is_that_of_the_closest_ancestor(void **state)
{
	check_bad("sub.denied.test", "caa-forbids", CH_ACTOR_CUSTOMER, false);
	check_bad("below.caabroken.test", "caa-failed", CH_ACTOR_CUSTOMER, false);
	check_bad("*.denied.test", "caa-forbids", CH_ACTOR_CUSTOMER, false);
}

static void check_standing(const char *name, const char *problem)
{
	struct ch_preflight_result result = result_by(name, CH_ACME_DNS_PERSIST_01);

	assert_int_equal(result.fate, problem ? CH_PREFLIGHT_BAD : CH_PREFLIGHT_GOOD);
	if (problem) {
		assert_string_equal(result.err.problem, problem);
		assert_int_equal(result.err.actor, CH_ACTOR_CUSTOMER);
		assert_false(result.away);
	}
}

/* Wherever the name leads. */
static void a_standing_record_is_looked_for(void **state)
{
	check_standing("standing.test", NULL);
	check_standing("*.standing.test", NULL);
	check_standing("plain.test", NULL);
	check_standing("*.plain.test", "persist-wildcard");
	check_standing("good.test", "persist-missing");
	check_standing("mute.test", "persist-failed");
	check_standing("denied.test", "caa-forbids");
}

static void edges_that_do_not_answer_are_the_platforms(void **state)
{
	struct ch_preflight_result result = result_of("other.test");

	assert_string_equal(result.err.problem, "self-check-wrong-answer");
	assert_int_equal(result.err.actor, CH_ACTOR_PLATFORM);
	assert_string_equal(result_of("account.test").err.problem, "self-check-account");
	assert_string_equal(result_of("refused.test").err.problem, "self-check-unreachable");
}

static void a_resolver_that_is_down_is_no_names_fault(void **state)
{
	struct ch_preflight_options options = {.platform = &platform,
		.dns_timeout_ms = 2000,
		.resolvers = dns.resolvers,
		.may_ask = none,
		.asker = fill,
		.wake = wake};
	struct ch_preflight_subject subject = subject_of("good.test");
	struct ch_preflight_result result;
	struct ch_preflight *patient;

	dns.entries = NULL;
	assert_int_equal(ch_preflight_new(&options, &patient, NULL), CH_OK);
	ch_preflight_look(patient, &subject, &result);
	assert_int_equal(sem_wait(&woken), 0);
	ch_preflight_look(patient, &subject, &result);
	assert_int_equal(result.fate, CH_PREFLIGHT_UNKNOWN);
	/* One that is open is given up. */
	ch_preflight_forget(patient, &subject);
	ch_preflight_look(patient, &subject, &result);
	ch_preflight_free(patient);
}

/* ---- looks before there is an order ---- */

static void scout(const char *name, int64_t until_ms)
{
	struct ch_look look = {.name = name, .until_ms = until_ms, .failures = 3};

	ch_preflight_scout(preflight, &look);
}

static struct ch_preflight_counts counts(void)
{
	struct ch_preflight_counts now;

	ch_preflight_counts(preflight, &now);
	return now;
}

static void names_are_looked_at_before_there_is_an_order(void **state)
{
	struct ch_scouted list[4];

	scout("good.test", 1);
	scout("none.test", 2);
	scout("silent.test", 3);
	scout("far.test", 4);
	scout("*.wild.test", 5); /* wherever it leads */
	for (int i = 0; i < 4; i++)
		assert_int_equal(sem_wait(&woken), 0);
	assert_int_equal(counts().open, 0);
	/* Whether an edge of ours answers there is to be seen. */
	assert_int_equal(counts().alive, 3);
	assert_int_equal(counts().dead, 2);
	assert_int_equal(ch_preflight_scouted(preflight, true, list, 1), 1);
	assert_string_equal(list[0].name, "none.test");
	assert_string_equal(list[0].look.name, "none.test");
	assert_int_equal(list[0].look.failures, 3);
	assert_string_equal(list[0].result.err.problem, "dns-no-address");
	assert_true(list[0].result.away);
	ch_preflight_told(preflight, list, 1);
	assert_int_equal(ch_preflight_scouted(preflight, true, list, 4), 1);
	assert_string_equal(list[0].result.err.problem, "dns-failed");
	/* By a look of before. */
	list[0].look.until_ms--;
	ch_preflight_told(preflight, list, 1);
	assert_int_equal(counts().dead, 1);
	assert_int_equal(ch_preflight_scouted(preflight, false, list, 4), 3);
	/* One that is handed out again before it is told of is told of as that. */
	scout("good.test", 6);
	assert_int_equal(ch_preflight_scouted(preflight, false, list, 4), 3);
	ch_preflight_told(preflight, list, 3);
	assert_int_equal(counts().alive, 0);
}

static void an_order_goes_on_from_what_is_known(void **state)
{
	struct ch_preflight_subject subject = subject_of("good.test");
	struct ch_preflight_result result;
	struct ch_scouted list[1];

	scout("good.test", 1);
	scout("none.test", 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sem_wait(&woken), 0);
	assert_int_equal(ch_preflight_scouted(preflight, false, list, 1), 1);
	ch_preflight_told(preflight, list, 1);
	dns.entries = NULL;
	ch_preflight_look(preflight, &subject, &result);
	assert_int_equal(result.fate, CH_PREFLIGHT_WAIT);
	assert_int_equal(sem_wait(&woken), 0);
	ch_preflight_look(preflight, &subject, &result);
	/* Its addresses are known, its CAA cannot be asked for any more. */
	assert_int_equal(result.fate, CH_PREFLIGHT_BAD);
	assert_string_equal(result.err.problem, "caa-failed");
	subject.name = "none.test";
	ch_preflight_look(preflight, &subject, &result);
	assert_int_equal(result.fate, CH_PREFLIGHT_BAD);
	assert_string_equal(result.err.problem, "dns-no-address");
	/* By the DNS, other things matter. */
	subject.method = CH_ACME_DNS_01;
	ch_preflight_look(preflight, &subject, &result);
	assert_int_equal(result.fate, CH_PREFLIGHT_WAIT);
}

static void an_order_waits_for_a_look_that_is_under_way(void **state)
{
	struct ch_preflight_subject subject = subject_of("silent.test");
	struct ch_preflight_result result;

	scout("silent.test", 1);
	scout("silent.test", 2);
	assert_int_equal(counts().open, 1);
	ch_preflight_look(preflight, &subject, &result);
	assert_int_equal(result.fate, CH_PREFLIGHT_WAIT);
	assert_int_equal(sem_wait(&woken), 0);
	ch_preflight_look(preflight, &subject, &result);
	assert_string_equal(result.err.problem, "dns-failed");
	/* Another look finds out anew. */
	assert_int_equal(counts().dead, 1);
	scout("silent.test", 3);
	assert_int_equal(counts().dead, 0);
	assert_int_equal(counts().open, 1);
}

/* More than are asked at once. */
static void many_looks_come_to_an_end(void **state)
{
	enum { MANY = 1000 };
	char name[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(
			name, sizeof(name), "n%d.%s", i, i % 100 ? "none.test" : "silent.test");
		scout(name, 1);
	}
	while (counts().open > 0)
		assert_int_equal(sem_wait(&woken), 0);
	assert_int_equal(counts().dead, MANY);
}

/* What would not fit into the buffers of sockets. */
static void not_all_are_asked_at_once(void **state)
{
	struct ch_preflight_options options = {.platform = &platform,
		.dns_timeout_ms = 60000,
		.resolvers = dns.resolvers,
		.may_ask = none,
		.asker = fill};
	struct ch_preflight_counts now;
	struct ch_preflight *patient;
	char name[32];

	dns.entries = NULL;
	assert_int_equal(ch_preflight_new(&options, &patient, NULL), CH_OK);
	ch_preflight_counts(patient, &now); /* a beat begins, and the next only when asked */
	for (int i = 0; i < 150; i++) {
		struct ch_look look = {.name = name, .until_ms = 1};

		snprintf(name, sizeof(name), "n%d.none.test", i);
		ch_preflight_scout(patient, &look);
	}
	ch_preflight_counts(patient, &now);
	assert_int_equal(now.open, 150);
	/* Fewer where the beat was over already. */
	assert_in_range(now.next, 0, 50);
	while (now.next > 0)
		ch_preflight_counts(patient, &now);
	assert_int_equal(now.open, 150);
	assert_int_equal(now.alive + now.dead, 0);
	ch_preflight_free(patient);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caa_names_the_ca_or_forbids),
		cmocka_unit_test(caa_parameters_bind_account_and_method),
		cmocka_unit_test(caa_of_wildcards_and_critical_ones),
		cmocka_unit_test(cidrs_are_read),
		cmocka_unit_test(addresses_are_compared_in_both_families),
		cmocka_unit_test(private_addresses_are_asked_only_when_they_are_ours),
		cmocka_unit_test(what_answers_there_counts),
		cmocka_unit_test_setup_teardown(
			a_name_that_leads_here_passes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			dead_names_say_what_is_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			caa_is_that_of_the_closest_ancestor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_standing_record_is_looked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			edges_that_do_not_answer_are_the_platforms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_resolver_that_is_down_is_no_names_fault, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			names_are_looked_at_before_there_is_an_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_order_goes_on_from_what_is_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_order_waits_for_a_look_that_is_under_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_looks_come_to_an_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_all_are_asked_at_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
