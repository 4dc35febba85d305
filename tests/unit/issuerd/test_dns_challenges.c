/* DNS challenges: where records may be written, the notes of what was, hooks, the desk that
 * does it all, and an order of a wildcard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench.h"
#include "dns_server.h"
#include "issuerd/dns_desk.h"
#include "issuerd/hook.h"

#define VALUE "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
#define OTHER "0oqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
#define ZONE "acme.platform.test"
#define HERE "_acme-challenge.ours.test"
#define ALL_MS (10 * CH_MINUTE_MS)

static const struct test_dns_entry entries[] = {
	{"_acme-challenge.good.test", TEST_DNS_CNAME, "good-x." ZONE},
	{"_acme-challenge.bad.test", TEST_DNS_CNAME, "www.platform.test"},
	{"_acme-challenge.round.test", TEST_DNS_CNAME, "_acme-challenge.round.test"},
	{"_acme-challenge.broken.test", TEST_DNS_SERVFAIL, ""},
	{HERE, CH_DNS_TXT, VALUE},
};

static struct test_dns dns;
static struct ch_dns_config config;
static char dir[64];
static char state[128];
static char hook[128];
static char said[160];
static sem_t woken;

static void wake(void *arg, uint64_t order)
{
	assert_int_equal(order, 34);
	sem_post(&woken);
}

static bool nobody(const char *address)
{
	return false;
}

static void write_hook(const char *script)
{
	struct ch_err err;
	char text[1000];
	int len = snprintf(
		text, sizeof(text), "#!/bin/sh\necho \"$@\" >> %s\n%s\n", said, script);

	(void)remove(hook);
	assert_int_equal(ch_file_create(hook, text, (size_t)len, 0700, &err), CH_OK);
}

/* What hooks were called for so far, in one line; "": nothing. */
static const char *calls(void)
{
	static char text[4096];
	FILE *file = fopen(said, "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[len] = 0;
	if (file)
		(void)fclose(file);
	return text;
}

static unsigned count_calls(const char *verb)
{
	unsigned n = 0;

	for (const char *at = calls(); (at = strstr(at, verb)); at += strlen(verb))
		n++;
	return n;
}

static int set_up(void **unused)
{
	memset(&config, 0, sizeof(config));
	strcpy(dir, "/tmp/certherd-dns-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(hook, sizeof(hook), "%s/hook", dir);
	snprintf(said, sizeof(said), "%s.said", hook);
	write_hook("exit 0");
	config.method = CH_DNS_METHOD_HOOK;
	config.hook = hook;
	config.hook_timeout_ms = CH_MINUTE_MS;
	config.check_limit_ms = CH_MINUTE_MS;
	config.threads = 2;
	config.state = state;
	config.leftover_ms = CH_DAY_MS;
	config.ttl_s = 60;
	strcpy(config.zones[0], "ours.test");
	config.n_zones = 1;
	strcpy(config.delegate, ZONE);
	sem_init(&woken, 0, 0);
	ch_log_init("issuer", CH_LOG_ERROR);
	test_dns_start(&dns, entries, CH_ARRAY_LEN(entries));
	return 0;
}

static int tear_down(void **unused)
{
	test_dns_stop(&dns);
	sem_destroy(&woken);
	(void)remove(said);
	(void)remove(hook);
	(void)rmdir(state);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static int permits(const char *owner, const char *target)
{
	struct ch_err err;
	int rc = ch_dns_config_permits(&config, owner, target, &err);

	if (rc) {
		assert_int_equal(rc, CH_EAUTH);
		assert_string_equal(err.problem, "dns-target-outside");
		assert_int_equal(err.actor, CH_ACTOR_CUSTOMER);
	}
	return rc;
}

static void records_are_written_where_it_is_allowed(void **unused)
{
	static const char theirs[] = "_acme-challenge.shop.test";
	static const char *const bad[] = {"www.ours.test", "ours.test", ZONE, "platform.test",
		"_acme-challenge.theirs.test", "_acme-challenge.xours.test",
		"a?b.acme.platform.test", "xacme.platform.test", "_acme-challenge.shop.test",
		""};

	assert_int_equal(permits(theirs, "x." ZONE), CH_OK);
	assert_int_equal(permits(theirs, "_acme-challenge.a.ours.test"), CH_OK);
	assert_int_equal(permits(HERE, HERE), CH_OK);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(permits(theirs, bad[i]), CH_EAUTH);
	assert_true(ch_dns_config_is_ours(&config, "x." ZONE));
	assert_false(ch_dns_config_is_ours(&config, theirs));
	/* Without any bounds: the name itself, wherever it is, and no alias. */
	config.n_zones = 0;
	config.delegate[0] = 0;
	assert_int_equal(permits(theirs, theirs), CH_OK);
	assert_int_equal(permits(theirs, "x." ZONE), CH_EAUTH);
}

static void the_innermost_zone_is_taken(void **unused)
{
	strcpy(config.zones[1], "a.ours.test");
	config.n_zones = 2;
	assert_string_equal(ch_dns_config_zone(&config, "x.a.ours.test"), "a.ours.test");
	assert_string_equal(ch_dns_config_zone(&config, "x.b.ours.test"), "ours.test");
	assert_null(ch_dns_config_zone(&config, "ours.test.example"));
}

static unsigned walked;

static bool on_entry(const struct ch_dns_txt *txt, void *arg)
{
	assert_string_equal(txt->target, HERE);
	assert_string_equal(txt->value, VALUE);
	walked++;
	return true;
}

static unsigned walk(int64_t leftover_ms)
{
	walked = 0;
	ch_dns_journal_walk(state, leftover_ms, on_entry, NULL);
	return walked;
}

static const struct ch_dns_txt here = {.target = HERE, .value = VALUE};

static void notes_outlive_a_crash(void **unused)
{
	struct ch_err err;
	char path[200];

	assert_int_equal(ch_dns_journal_open(state, &err), CH_OK);
	assert_int_equal(ch_dns_journal_open(state, &err), CH_OK);
	assert_int_equal(walk(0), 0);
	assert_int_equal(ch_dns_journal_add(state, &here, &err), CH_OK);
	assert_int_equal(walk(ALL_MS), 0);
	assert_int_equal(walk(-CH_DAY_MS), 1);
	assert_int_equal(ch_dns_journal_mark(state, &here, &err), CH_OK);
	assert_int_equal(walk(ALL_MS), 1);
	/* In use again. */
	assert_int_equal(ch_dns_journal_add(state, &here, &err), CH_OK);
	assert_int_equal(walk(ALL_MS), 0);
	ch_dns_journal_forget(state, &here);
	assert_int_equal(walk(-CH_DAY_MS), 0);
	/* What is damaged is thrown away, what is not ours is left alone. */
	snprintf(path, sizeof(path), "%s/%064d.gone", state, 0);
	assert_int_equal(ch_file_create(path, "nonsense\n", 9, 0600, &err), CH_OK);
	assert_int_equal(walk(-CH_DAY_MS), 0);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/README", state);
	assert_int_equal(ch_file_create(path, "mine\n", 5, 0600, &err), CH_OK);
	assert_int_equal(walk(-CH_DAY_MS), 0);
	assert_int_equal(remove(path), 0);
	assert_int_equal(ch_dns_journal_open("/nowhere/at/all", &err), CH_EIO);
	assert_string_equal(err.problem, "dns-state");
}

static void put_old(const char *path)
{
	const struct timespec when = {
		.tv_sec = (ch_now_ms() - 2 * CH_FILE_STALE_MS) / CH_SECOND_MS};
	const struct timespec times[] = {when, when};
	struct ch_err err;

	assert_int_equal(ch_file_create(path, "half", 4, 0600, &err), CH_OK);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void what_a_killed_issuer_left_in_the_journal_goes(void **unused)
{
	struct ch_err err;
	char left[300];
	char marked[300];
	char other[300];

	assert_int_equal(ch_dns_journal_open(state, &err), CH_OK);
	snprintf(left, sizeof(left), "%s/%064d.txt.tmp.0123456789abcdef", state, 0);
	snprintf(marked, sizeof(marked), "%s/%064d.gone.tmp.0123456789abcdef", state, 0);
	snprintf(other, sizeof(other), "%s/mine.txt.tmp.0123456789abcdef", state);
	put_old(left);
	put_old(marked);
	put_old(other);
	assert_int_equal(ch_dns_journal_open(state, &err), CH_OK);
	assert_int_equal(access(left, F_OK), -1);
	assert_int_equal(access(marked, F_OK), -1);
	assert_int_equal(remove(other), 0);
}

static int never(void *arg)
{
	return 0;
}

static int at_once(void *arg)
{
	return 1;
}

static int run_hook(int64_t timeout_ms, int (*canceled)(void *arg), struct ch_err *err)
{
	const struct ch_hook run = {.program = hook,
		.verb = "present",
		.args = {HERE, VALUE},
		.failed = "dns-hook-failed",
		.timeout = "dns-hook-timeout",
		.timeout_ms = timeout_ms,
		.canceled = canceled};

	return ch_hook_run(&run, err);
}

static void hooks_say_how_it_went(void **unused)
{
	struct ch_err err;

	assert_int_equal(run_hook(CH_MINUTE_MS, never, &err), CH_OK);
	assert_string_equal(calls(), "present " HERE " " VALUE "\n");
	write_hook("echo out of quota >&2; exit 3");
	assert_int_equal(run_hook(CH_MINUTE_MS, never, &err), CH_EAGAIN);
	assert_string_equal(err.problem, "dns-hook-failed");
	assert_non_null(strstr(err.detail, "status 3: out of quota"));
	write_hook("kill -9 $$");
	assert_int_equal(run_hook(CH_MINUTE_MS, never, &err), CH_EAGAIN);
	assert_non_null(strstr(err.detail, "signal 9"));
	/* Much more than fits into a pipe, or into a sentence. */
	write_hook("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
	assert_int_equal(run_hook(CH_MINUTE_MS, never, &err), CH_EAGAIN);
	assert_int_equal(remove(hook), 0);
	assert_int_equal(run_hook(CH_MINUTE_MS, never, &err), CH_EINVAL);
	assert_string_equal(err.problem, "dns-hook-failed");
}

static void hooks_have_nothing_of_ours(void **unused)
{
	struct ch_err err;

	assert_int_equal(setenv("CERTHERD_SECRET", "x", 1), 0);
	write_hook("[ -z \"$CERTHERD_SECRET\" ] && [ -n \"$PATH\" ] || exit 1\n"
		   "read line && exit 2\n"
		   "for fd in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && exit $fd; done\n"
		   "exit 0");
	assert_int_equal(run_hook(CH_MINUTE_MS, never, &err), CH_OK);
	assert_int_equal(unsetenv("CERTHERD_SECRET"), 0);
}

static void hooks_that_hang_are_killed_with_their_children(void **unused)
{
	struct ch_err err;
	pid_t child;

	write_hook("sleep 1000 & echo child $! >> $0.said; wait");
	/* On a busy machine it may not come so far at first. */
	for (int64_t ms = 500; !strstr(calls(), "child "); ms *= 2) {
		assert_int_equal(run_hook(ms, never, &err), CH_EAGAIN);
		assert_string_equal(err.problem, "dns-hook-timeout");
	}
	child = atoi(strstr(calls(), "child ") + 6);
	assert_true(child > 1);
	while (kill(child, 0) == 0) { /* until init has reaped it */
		char path[64];
		char text[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/stat", child);
		file = fopen(path, "r");
		if (file) {
			(void)!fread(text, 1, sizeof(text) - 1, file);
			(void)fclose(file);
		}
		if (strstr(text, ") Z"))
			break;
	}
	assert_int_equal(run_hook(CH_MINUTE_MS, at_once, &err), CH_ECANCELED);
}

static struct ch_dns_desk *open_desk(void)
{
	struct ch_dns_desk_options options = {.config = &config,
		.resolvers = dns.resolvers,
		.dns_timeout_ms = 2000,
		.may_ask = nobody,
		.wake = wake};
	struct ch_dns_desk *desk;
	struct ch_err err;

	assert_int_equal(ch_dns_desk_new(&options, &desk, &err), CH_OK);
	return desk;
}

static int try_desk(struct ch_err *err)
{
	struct ch_dns_desk_options options = {
		.config = &config, .resolvers = dns.resolvers, .may_ask = nobody};
	struct ch_dns_desk *desk = NULL;
	int rc = ch_dns_desk_new(&options, &desk, err);

	ch_dns_desk_free(desk);
	return rc;
}

static void hooks_are_the_operators_alone(void **unused)
{
	struct ch_err err;

	assert_int_equal(try_desk(&err), CH_OK);
	assert_int_equal(chmod(hook, 0770), 0);
	assert_int_equal(try_desk(&err), CH_EAUTH);
	assert_non_null(strstr(err.detail, hook));
	assert_int_equal(chmod(hook, 0702), 0);
	assert_int_equal(try_desk(&err), CH_EAUTH);
	assert_int_equal(chmod(hook, 0755), 0);
	assert_int_equal(try_desk(&err), CH_OK);
	assert_int_equal(chmod(hook, 0600), 0);
	assert_int_equal(try_desk(&err), CH_EINVAL);
	config.hook = dir;
	assert_int_equal(try_desk(&err), CH_EINVAL);
}

static enum ch_dns_fate find(struct ch_dns_desk *desk, const char *name,
	char target[CH_DNS_NAME_B], struct ch_err *err)
{
	assert_int_equal(ch_dns_desk_find(desk, name, 34, target, err), CH_DNS_WAIT);
	assert_int_equal(sem_wait(&woken), 0);
	return ch_dns_desk_find(desk, name, 34, target, err);
}

static void aliases_are_followed_and_judged(void **unused)
{
	struct ch_dns_desk *desk = open_desk();
	char target[CH_DNS_NAME_B];
	struct ch_err err;

	assert_int_equal(find(desk, "*.good.test", target, &err), CH_DNS_GOOD);
	assert_string_equal(target, "good-x." ZONE);
	/* It need not be there. */
	assert_int_equal(find(desk, "new.ours.test", target, &err), CH_DNS_GOOD);
	assert_string_equal(target, "_acme-challenge.new.ours.test");
	assert_int_equal(find(desk, "*.bad.test", target, &err), CH_DNS_BAD);
	assert_string_equal(err.problem, "dns-target-outside");
	assert_non_null(strstr(err.detail, "www.platform.test"));
	assert_int_equal(find(desk, "none.test", target, &err), CH_DNS_BAD);
	assert_string_equal(err.problem, "dns-target-outside");
	assert_int_equal(find(desk, "round.test", target, &err), CH_DNS_BAD);
	assert_string_equal(err.problem, "dns-delegation-failed");
	assert_int_equal(find(desk, "broken.test", target, &err), CH_DNS_BAD);
	assert_string_equal(err.problem, "dns-delegation-failed");
	/* It is kept until it is forgotten. */
	assert_int_equal(ch_dns_desk_find(desk, "broken.test", 34, target, &err), CH_DNS_BAD);
	ch_dns_desk_forget_find(desk, "broken.test");
	assert_int_equal(find(desk, "broken.test", target, &err), CH_DNS_BAD);
	ch_dns_desk_free(desk);
}

static enum ch_dns_fate present(
	struct ch_dns_desk *desk, const struct ch_dns_txt *txt, struct ch_err *err)
{
	assert_int_equal(ch_dns_desk_present(desk, txt, 34, err), CH_DNS_WAIT);
	assert_int_equal(sem_wait(&woken), 0);
	return ch_dns_desk_present(desk, txt, 34, err);
}

static bool on_any(const struct ch_dns_txt *txt, void *arg)
{
	*(bool *)arg = true;
	return false;
}

/* The desk is done with it: nothing is noted any more. */
static void wait_clean(void)
{
	bool left = true;

	while (left) {
		left = false;
		ch_dns_journal_walk(state, -3650 * CH_DAY_MS, on_any, &left);
		usleep(1000);
	}
}

static void check_here(void)
{
	config.check = CH_DNS_CHECK_SERVERS;
	config.n_check_servers = 1;
	assert_int_equal(ch_dns_server_parse(dns.resolvers, &config.check_servers[0]), CH_OK);
}

static void records_are_written_seen_and_taken_away(void **unused)
{
	struct ch_dns_desk *desk;
	struct ch_err err;

	check_here();
	desk = open_desk();
	assert_int_equal(present(desk, &here, &err), CH_DNS_GOOD);
	assert_int_equal(walk(-CH_DAY_MS), 1);
	assert_int_equal(ch_dns_desk_present(desk, &here, 34, &err), CH_DNS_GOOD);
	assert_int_equal(count_calls("present"), 1);
	ch_dns_desk_remove(desk, &here);
	wait_clean();
	assert_int_equal(count_calls("cleanup"), 1);
	/* Once more, as after a crash: nothing is there, and that is no trouble. */
	ch_dns_desk_remove(desk, &here);
	wait_clean();
	ch_dns_desk_free(desk);
	assert_in_range(count_calls("cleanup"), 1, 2);
	assert_int_equal(count_calls("present"), 1);
}

static void a_record_that_is_not_seen_is_bad(void **unused)
{
	struct ch_dns_txt unseen = {.target = HERE, .value = OTHER};
	struct ch_dns_desk *desk;
	struct ch_err err;

	check_here();
	config.check_limit_ms = 1;
	desk = open_desk();
	assert_int_equal(present(desk, &unseen, &err), CH_DNS_BAD);
	assert_string_equal(err.problem, "dns-not-visible");
	assert_int_equal(err.actor, CH_ACTOR_PLATFORM);
	/* It may be there: it is taken away. */
	ch_dns_desk_remove(desk, &unseen);
	while (count_calls("cleanup") == 0)
		usleep(1000);
	ch_dns_desk_free(desk);
	/* A removal that a stop came in between of is noted. */
	desk = open_desk();
	wait_clean();
	ch_dns_desk_free(desk);
}

static void what_a_dead_issuer_left_is_taken_away(void **unused)
{
	struct ch_dns_desk *desk;
	struct ch_err err;

	assert_int_equal(ch_dns_journal_open(state, &err), CH_OK);
	assert_int_equal(ch_dns_journal_add(state, &here, &err), CH_OK);
	/* It may be in use, until it is old. */
	desk = open_desk();
	ch_dns_desk_free(desk);
	assert_int_equal(walk(-CH_DAY_MS), 1);
	assert_int_equal(count_calls("cleanup"), 0);
	config.leftover_ms = -CH_DAY_MS;
	desk = open_desk();
	wait_clean();
	ch_dns_desk_free(desk);
	assert_int_equal(count_calls("cleanup"), 1);
}

static void a_failing_hook_is_tried_again_until_the_limit(void **unused)
{
	struct ch_dns_desk *desk;
	struct ch_err err;

	check_here();
	write_hook("[ $(wc -l < $0.said) -ge 2 ]");
	desk = open_desk();
	assert_int_equal(present(desk, &here, &err), CH_DNS_GOOD);
	assert_int_equal(count_calls("present"), 2);
	ch_dns_desk_free(desk);
	write_hook("exit 1");
	config.check_limit_ms = 1;
	desk = open_desk();
	assert_int_equal(present(desk, &here, &err), CH_DNS_BAD);
	assert_string_equal(err.problem, "dns-hook-failed");
	assert_int_equal(count_calls("present"), 3);
	ch_dns_desk_free(desk);
	ch_dns_journal_forget(state, &here);
}

/* Steps in virtual time, while the desk works in real time. */
static void run_order(struct bench *b, enum ch_order_state until)
{
	for (int i = 0; i < 20000 && b->row.state != until; i++) {
		bench_step(b, true);
		usleep(1000);
	}
	assert_int_equal(b->row.state, until);
}

static struct bench *open_order(const char *name)
{
	struct bench *b = bench_new(name, NULL);

	b->config.dns = config;
	b->config.resolvers = dns.resolvers;
	/* What was written in real time is old in virtual time. */
	b->config.dns.leftover_ms = 3650 * CH_DAY_MS;
	return b;
}

static void start_desk(struct bench *b)
{
	struct ch_err err;

	assert_int_equal(ch_issuer_start_dns(b->issuer, &err), CH_OK);
}

static void a_wildcard_is_validated_by_the_dns(void **unused)
{
	struct bench *b = open_order("*.ours.test");

	start_desk(b);
	b->row.edges.ready = false; /* not one has to answer */
	b->row.edges.known = 0;
	run_order(b, CH_ORDER_VALIDATING);
	assert_int_equal(b->row.notes.n_dns, 1);
	assert_string_equal(b->row.notes.dns[0].txt.target, HERE);
	assert_int_equal(count_calls("present"), 1);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
	run_order(b, CH_ORDER_SEALED);
	assert_int_equal(b->row.notes.n_dns, 0);
	wait_clean();
	assert_int_equal(count_calls("cleanup"), 1);
	b->row.edges.ready = true;
	run_order(b, CH_ORDER_DONE);
	bench_free(b);
}

static void an_order_that_fails_takes_its_record_away(void **unused)
{
	struct bench *b = open_order("*.ours.test");

	start_desk(b);
	b->ca.invalid_name = "*.ours.test";
	b->ca.invalid_error =
		"{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":"
		"\"No TXT record found\"}";
	run_order(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "dns-record-unseen");
	wait_clean();
	assert_int_equal(count_calls("cleanup"), 1);
	bench_free(b);
}

static void an_order_that_is_given_up_takes_its_record_away(void **unused)
{
	struct bench *b = open_order("*.ours.test");

	start_desk(b);
	run_order(b, CH_ORDER_VALIDATING);
	bench_now_ms += 30 * CH_DAY_MS;
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){
			.status = 404, .header = NULL, .times = 100, .body = "{}"});
	bench_step(b, true);
	assert_true(b->row.state == CH_ORDER_NEW || b->row.state == CH_ORDER_FAILED);
	wait_clean();
	assert_int_equal(count_calls("cleanup"), 1);
	bench_free(b);
}

static void without_a_method_it_fails_and_says_so(void **unused)
{
	struct bench *b = open_order("*.ours.test");

	b->config.dns.method = CH_DNS_METHOD_NONE;
	start_desk(b);
	run_order(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "dns-challenge-off");
	assert_int_equal(b->last.verdicts[0].reason.actor, CH_ACTOR_PLATFORM);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	bench_free(b);
}

static void where_nothing_may_be_written_the_ca_is_not_told(void **unused)
{
	struct bench *b = open_order("*.bad.test");

	start_desk(b);
	run_order(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "dns-target-outside");
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	assert_string_equal(calls(), "");
	bench_free(b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(records_are_written_where_it_is_allowed),
		T(the_innermost_zone_is_taken),
		T(notes_outlive_a_crash),
		T(what_a_killed_issuer_left_in_the_journal_goes),
		T(hooks_say_how_it_went),
		T(hooks_have_nothing_of_ours),
		T(hooks_that_hang_are_killed_with_their_children),
		T(hooks_are_the_operators_alone),
		T(aliases_are_followed_and_judged),
		T(records_are_written_seen_and_taken_away),
		T(a_record_that_is_not_seen_is_bad),
		T(what_a_dead_issuer_left_is_taken_away),
		T(a_failing_hook_is_tried_again_until_the_limit),
		T(a_wildcard_is_validated_by_the_dns),
		T(an_order_that_fails_takes_its_record_away),
		T(an_order_that_is_given_up_takes_its_record_away),
		T(without_a_method_it_fails_and_says_so),
		T(where_nothing_may_be_written_the_ca_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
