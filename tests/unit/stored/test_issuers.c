/* What issuers say with their leases, as two stores on one database know it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "stored/issuers.h"
#include "stored/says.h"

#define START_MS INT64_C(1790000000000)
#define FIRST "issuer/default/i1"
#define OTHER "issuer/default/i2"

static _Atomic int64_t now_ms;
static const char *software; /* of issuers that are heard */

static int64_t standing(void *arg)
{
	(void)arg;
	return now_ms;
}

struct fixture {
	char dir[64];
	struct ch_store *store;
	struct ch_arena *arena;
	struct ch_issuers *here;  /* of the store that issuers lease from */
	struct ch_issuers *there; /* of another one */
};

static int setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	struct ch_store_options options = {.edge_timeout_ms = CH_MINUTE_MS};
	char database[96];

	now_ms = START_MS;
	software = "certherd/1.0.0";
	ch_clock_set(standing, NULL);
	strcpy(fx->dir, "/tmp/certherd-issuers-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	snprintf(database, sizeof(database), "sqlite:%s/db", fx->dir);
	options.database = database;
	assert_int_equal(ch_store_open(&options, &fx->store, NULL), CH_OK);
	assert_int_equal(ch_arena_new(0, &fx->arena), CH_OK);
	assert_int_equal(ch_issuers_new(fx->store, &fx->here, NULL), CH_OK);
	assert_int_equal(ch_issuers_new(fx->store, &fx->there, NULL), CH_OK);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;
	char command[96];

	ch_store_close(fx->store);
	ch_issuers_free(fx->here);
	ch_issuers_free(fx->there);
	ch_arena_free(fx->arena);
	snprintf(command, sizeof(command), "rm -r %s", fx->dir);
	assert_int_equal(system(command), 0);
	ch_clock_set(NULL, NULL);
	free(fx);
	return 0;
}

#define LEASE(account, orders, ca)                                                             \
	"{\"max\":1,\"lease_ms\":1000,\"pace\":{\"account\":\"" account "\",\"ca\":\"" ca      \
	"\",\"orders\":\"" orders "\"}}"

static bool hear(struct ch_issuers *issuers, const char *id, const char *lease)
{
	json_auto_t *json = json_loads(lease, 0, NULL);

	assert_non_null(json);
	return ch_issuers_hear(issuers, id, json, software);
}

/* What was submitted before is written. */
static void settle(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_RETRY, .arena = fx->arena};

	op.u.name.name = "nobody.example";
	assert_int_equal(ch_store_run(fx->store, &op), CH_ENOTFOUND);
}

static void pass(struct fixture *fx, int64_t span_ms)
{
	settle(fx);
	now_ms += span_ms;
}

/* By which account it goes: "": by none, NULL: it has heard of no issuer. */
static const char *account(struct fixture *fx, struct ch_issuers *issuers)
{
	json_auto_t *says = ch_issuers_says(issuers);
	struct ch_store_pace paces[CH_SAYS_PACES_MAX];
	size_t n;

	assert_int_equal(ch_says_paces(says, fx->arena, paces, &n), CH_OK);
	return n ? paces[0].account : says ? "" : NULL;
}

static const char *text(json_t *json)
{
	static char out[4096];
	char *dump = json_dumps(json, JSON_COMPACT);

	snprintf(out, sizeof(out), "%s", dump);
	free(dump);
	json_decref(json);
	return out;
}

static struct ch_store_issuer row(struct fixture *fx, const char *id)
{
	struct ch_store_issuer *issuers;
	size_t n;

	settle(fx);
	assert_int_equal(ch_store_list_issuers(fx->store, fx->arena, &issuers, &n), CH_OK);
	for (size_t i = 0; i < n; i++)
		if (strcmp(issuers[i].id, id) == 0)
			return issuers[i];
	fail_msg("%s is not written", id);
	return (struct ch_store_issuer){.id = NULL};
}

static void what_one_store_hears_the_other_knows(void **state)
{
	struct fixture *fx = *state;
	json_auto_t *says = NULL;
	struct ch_store_pace paces[CH_SAYS_PACES_MAX];
	char time[CH_TIME_STR_B];
	char heard[200];
	size_t n;

	assert_null(account(fx, fx->here));
	assert_null(ch_issuers_cas(fx->there, fx->arena));
	assert_true(hear(fx->here, FIRST,
		"{\"max\":5,\"pace\":{\"account\":\"ca.test/1\",\"ca\":\"main\",\"orders\":"
		"\"300/3h\",\"set\":\"none\"},\"fallback\":[{\"account\":\"two.test/1\",\"ca\":"
		"\"backup\",\"out\":true,\"renewals_exempt\":false,\"domain\":\"5/"
		"1h\"}],\"caa\":[\"ca.test\"],"
		"\"persist\":[\"ca.test; accounturi=https://ca.test/1\"],\"persist_all\":"
		"true}"));
	assert_string_equal(account(fx, fx->here), "ca.test/1");
	assert_null(account(fx, fx->there));
	pass(fx, CH_ISSUERS_REFRESH_MS);
	says = ch_issuers_says(fx->there);
	assert_int_equal(ch_says_paces(says, fx->arena, paces, &n), CH_OK);
	assert_int_equal(n, 2);
	assert_string_equal(paces[0].account, "ca.test/1");
	assert_string_equal(paces[0].ca, "main");
	assert_int_equal(paces[0].limits[CH_PACED_ACCOUNT].size, 300);
	assert_int_equal(paces[0].limits[CH_PACED_SET].size, 0);
	assert_false(paces[0].out);
	assert_true(paces[1].out);
	assert_false(paces[0].renewals_count);
	assert_true(paces[1].renewals_count);
	assert_int_equal(paces[1].limits[CH_PACED_DOMAIN].size, 5);
	assert_string_equal(text(ch_says_caa(says, true)), "[\"0 issuewild \\\"ca.test\\\"\"]");
	assert_non_null(strstr(
		text(ch_says_persist(says, "a.example")), "\"_validation-persist.a.example\""));
	assert_string_equal(ch_issuers_cas(fx->there, fx->arena), "main,backup");
	snprintf(heard, sizeof(heard),
		"[{\"id\":\"" FIRST "\",\"cas\":[\"main\",\"backup\"],\"software\":"
		"\"certherd/1.0.0\",\"heard_at\":\"%s\"}]",
		ch_time_str(START_MS, time));
	assert_string_equal(text(ch_issuers_list(fx->there)), heard);
	/* What is of the one lease alone is no matter of it. */
	assert_null(json_object_get(says, "max"));
}

static void the_store_that_hears_an_issuer_knows_it_at_once(void **state)
{
	struct fixture *fx = *state;
	char time[CH_TIME_STR_B];

	assert_true(hear(fx->here, FIRST, "{}"));
	assert_string_equal(text(ch_issuers_list(fx->there)), "[]");
	pass(fx, CH_MINUTE_MS);
	assert_false(hear(fx->here, FIRST, "{}"));
	assert_non_null(strstr(
		text(ch_issuers_list(fx->here)), ch_time_str(START_MS + CH_MINUTE_MS, time)));
	/* It is not written again for that. */
	assert_non_null(strstr(text(ch_issuers_list(fx->there)), ch_time_str(START_MS, time)));
}

static bool is_listed(struct ch_issuers *issuers, const char *as)
{
	char member[100];

	snprintf(member, sizeof(member), "\"software\":%s,", as);
	return strstr(text(ch_issuers_list(issuers)), member) != NULL;
}

static void another_version_is_shown_and_is_no_news(void **state)
{
	struct fixture *fx = *state;
	int64_t changed_ms;

	assert_true(hear(fx->here, FIRST, "{}"));
	changed_ms = row(fx, FIRST).changed_at_ms;
	pass(fx, CH_ISSUERS_WRITE_MS);
	software = "certherd/1.1.0";
	assert_false(hear(fx->there, FIRST, "{}"));
	assert_true(is_listed(fx->there, "\"certherd/1.1.0\""));
	pass(fx, CH_ISSUERS_REFRESH_MS);
	assert_string_equal(row(fx, FIRST).software, "certherd/1.1.0");
	assert_int_equal(row(fx, FIRST).changed_at_ms, changed_ms);
	assert_false(hear(fx->there, FIRST, "{}"));
}

static void what_is_no_version_is_not_shown(void **state)
{
	static const char *const bad[] = {NULL, "", "a\nb", "\x1b[2J", "\xc3\xa4",
		"12345678901234567890123456789012345678901234567890123456789012345"};
	struct fixture *fx = *state;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		software = "certherd/1.0.0";
		hear(fx->here, FIRST, "{}");
		assert_true(is_listed(fx->here, "\"certherd/1.0.0\""));
		software = bad[i];
		assert_false(hear(fx->here, FIRST, "{}"));
		assert_true(is_listed(fx->here, "null"));
	}
}

#define READINGS 2000

static void *read_says(void *arg)
{
	struct fixture *fx = arg;

	for (int i = 0; i < READINGS; i++) {
		json_t *says = ch_issuers_says(fx->here);
		json_t *caa = ch_says_caa(says, false);

		json_decref(says);
		json_decref(caa);
	}
	return NULL;
}

/* As the threads of the server and foresight's do: ThreadSanitizer looks on. */
static void threads_do_not_share_what_they_read(void **state)
{
	struct fixture *fx = *state;
	json_auto_t *one = NULL;
	json_auto_t *other = NULL;
	pthread_t threads[2];

	assert_true(hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main")));
	one = ch_issuers_says(fx->here);
	other = ch_issuers_says(fx->here);
	assert_true(json_equal(one, other));
	assert_ptr_not_equal(one, other);
	assert_ptr_not_equal(json_object_get(one, "pace"), json_object_get(other, "pace"));
	for (size_t i = 0; i < CH_ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_says, fx), 0);
	for (int i = 0; i < READINGS; i++)
		hear(fx->here, FIRST,
			i % 2 ? LEASE("ca.test/1", "300/3h", "main")
			      : LEASE("ca.test/1", "200/3h", "main"));
	for (size_t i = 0; i < CH_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

static void where_nobody_has_said_anything_there_is_nothing(void **state)
{
	(void)state;
	assert_string_equal(text(ch_says_caa(NULL, false)), "[]");
	assert_string_equal(text(ch_says_persist(NULL, "*.example")), "[]");
	assert_null(ch_issuers_says(NULL));
	assert_null(ch_issuers_cas(NULL, NULL));
	assert_string_equal(text(ch_issuers_list(NULL)), "[]");
	assert_false(ch_issuers_hear(NULL, FIRST, NULL, NULL));
	ch_issuers_free(NULL);
}

/* Many issuers ask each second, and none of them writes. */
static void what_is_no_news_is_written_now_and_then(void **state)
{
	struct fixture *fx = *state;

	assert_true(hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main")));
	settle(fx);
	for (int i = 0; i < 1000; i++) {
		assert_false(hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main")));
		now_ms += CH_STORE_ISSUER_CONFIRM_MS / 1001;
	}
	assert_int_equal(row(fx, FIRST).confirmed_at_ms, START_MS);
	now_ms = START_MS + CH_STORE_ISSUER_CONFIRM_MS;
	assert_false(hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main")));
	assert_int_equal(row(fx, FIRST).confirmed_at_ms, now_ms);
	assert_int_equal(row(fx, FIRST).changed_at_ms, START_MS);
	/* The other store has read that, and does not write it again. */
	pass(fx, CH_ISSUERS_REFRESH_MS);
	assert_false(hear(fx->there, FIRST, LEASE("ca.test/1", "300/3h", "main")));
	assert_int_equal(row(fx, FIRST).confirmed_at_ms, now_ms - CH_ISSUERS_REFRESH_MS);
}

static void news_hold_at_once_and_are_written_at_a_pace(void **state)
{
	struct fixture *fx = *state;

	assert_true(hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main")));
	pass(fx, 1);
	assert_true(hear(fx->here, FIRST, LEASE("ca.test/2", "300/3h", "main")));
	assert_string_equal(account(fx, fx->here), "ca.test/2");
	assert_non_null(strstr(row(fx, FIRST).says, "ca.test/1"));
	pass(fx, CH_ISSUERS_WRITE_MS);
	/* It is not forgotten for what is written, */
	assert_string_equal(account(fx, fx->here), "ca.test/2");
	/* and written with the next lease. */
	assert_false(hear(fx->here, FIRST, LEASE("ca.test/2", "300/3h", "main")));
	assert_non_null(strstr(row(fx, FIRST).says, "ca.test/2"));
	pass(fx, CH_ISSUERS_REFRESH_MS);
	assert_string_equal(account(fx, fx->there), "ca.test/2");
}

static void what_was_not_written_is_news_again(void **state)
{
	struct fixture *fx = *state;

	ch_issuers_unheard(fx->here, FIRST);
	ch_issuers_unheard(NULL, FIRST);
	assert_true(hear(fx->here, FIRST, "{}"));
	assert_false(hear(fx->here, FIRST, "{}"));
	ch_issuers_unheard(fx->here, FIRST);
	assert_true(hear(fx->here, OTHER, "{}"));
	assert_false(hear(fx->here, OTHER, "{}"));
	pass(fx, CH_ISSUERS_REFRESH_MS);
	assert_true(hear(fx->here, FIRST, "{}"));
	assert_false(hear(fx->here, FIRST, "{}"));
}

static void what_was_said_anew_last_counts(void **state)
{
	struct fixture *fx = *state;

	hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main"));
	hear(fx->there, OTHER, LEASE("ca.test/2", "300/3h", "main"));
	pass(fx, CH_ISSUERS_REFRESH_MS);
	/* Both at the same time: both stores go by the same one. */
	assert_string_equal(account(fx, fx->here), "ca.test/1");
	assert_string_equal(account(fx, fx->there), "ca.test/1");
	hear(fx->there, OTHER, LEASE("ca.test/3", "300/3h", "main"));
	pass(fx, CH_ISSUERS_REFRESH_MS);
	hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main"));
	assert_string_equal(account(fx, fx->here), "ca.test/3");
	assert_string_equal(account(fx, fx->there), "ca.test/3");
}

static void an_issuer_that_is_gone_counts_no_more(void **state)
{
	struct fixture *fx = *state;

	hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main"));
	pass(fx, CH_MINUTE_MS);
	hear(fx->here, OTHER, LEASE("ca.test/2", "300/3h", "backup"));
	assert_string_equal(account(fx, fx->here), "ca.test/2");
	/* Not before others have gone on without it, and not what it calls its CAs. */
	pass(fx, 2 * CH_ISSUERS_BESIDE_MS);
	assert_string_equal(account(fx, fx->here), "ca.test/2");
	hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main"));
	assert_string_equal(account(fx, fx->here), "ca.test/1");
	pass(fx, CH_ISSUERS_REFRESH_MS);
	assert_string_equal(account(fx, fx->there), "ca.test/1");
	assert_int_equal(strlen(ch_issuers_cas(fx->there, fx->arena)), strlen("main,backup"));
	/* In the end it is forgotten wholly, and so is who was alone. */
	pass(fx, CH_STORE_ISSUER_KEEP_MS - CH_HOUR_MS);
	assert_string_equal(ch_issuers_cas(fx->there, fx->arena), "main");
	pass(fx, 2 * CH_HOUR_MS);
	assert_null(account(fx, fx->there));
	assert_null(ch_issuers_cas(fx->there, fx->arena));
}

static void a_store_that_starts_knows_it(void **state)
{
	struct fixture *fx = *state;
	struct ch_issuers *again;

	hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "main"));
	settle(fx);
	assert_int_equal(ch_issuers_new(fx->store, &again, NULL), CH_OK);
	assert_string_equal(account(fx, again), "ca.test/1");
	ch_issuers_free(again);
}

static void say_raw(struct fixture *fx, const char *says)
{
	struct ch_store_op op = {.type = CH_OP_ISSUER, .arena = fx->arena};

	op.u.issuer = (struct ch_op_issuer){.id = OTHER, .says = says};
	assert_int_equal(ch_store_run(fx->store, &op), CH_OK);
	pass(fx, CH_ISSUERS_REFRESH_MS);
}

/* A store of another version, or nobody that we know, has written it. */
static void what_is_not_understood_is_passed_over(void **state)
{
	struct fixture *fx = *state;
	json_auto_t *says = NULL;
	struct ch_store_pace paces[CH_SAYS_PACES_MAX];
	size_t n;

	say_raw(fx, "no JSON");
	assert_null(account(fx, fx->here));
	say_raw(fx, "[1]");
	assert_string_equal(account(fx, fx->here), "");
	say_raw(fx,
		"{\"new\":{},\"pace\":{\"account\":\"ca.test/1\",\"ca\":\"Not one\",\"new\":1,"
		"\"orders\":\"by the moon\",\"domain\":\"5/1h\"},"
		"\"fallback\":[7,{\"account\":5,\"ca\":\"backup\"}],"
		"\"caa\":[5,\"good\",\"\\\"bad\\\"\"],\"persist\":\"none\"}");
	says = ch_issuers_says(fx->here);
	assert_int_equal(ch_says_paces(says, fx->arena, paces, &n), CH_OK);
	assert_int_equal(n, 1);
	assert_null(paces[0].ca);
	assert_int_equal(paces[0].limits[CH_PACED_ACCOUNT].size, 0);
	assert_int_equal(paces[0].limits[CH_PACED_DOMAIN].size, 5);
	assert_string_equal(text(ch_says_caa(says, false)), "[\"0 issue \\\"good\\\"\"]");
	assert_string_equal(text(ch_says_persist(says, "*.example")), "[]");
	assert_string_equal(ch_issuers_cas(fx->here, fx->arena), "backup");
}

static void too_many_are_not_listened_to(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_issuer *issuers;
	char id[32];
	size_t n;

	for (int i = 0; i < CH_STORE_ISSUERS_MAX; i++) {
		snprintf(id, sizeof(id), "issuer/default/%d", i);
		assert_true(hear(fx->here, id, LEASE("ca.test/1", "300/3h", "main")));
	}
	assert_false(hear(fx->here, FIRST, LEASE("ca.test/1", "300/3h", "other")));
	settle(fx);
	assert_int_equal(ch_store_list_issuers(fx->store, fx->arena, &issuers, &n), CH_OK);
	assert_int_equal(n, CH_STORE_ISSUERS_MAX);
	assert_string_equal(ch_issuers_cas(fx->here, fx->arena), "main");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_one_store_hears_the_other_knows),
		T(threads_do_not_share_what_they_read),
		T(where_nobody_has_said_anything_there_is_nothing),
		T(the_store_that_hears_an_issuer_knows_it_at_once),
		T(another_version_is_shown_and_is_no_news),
		T(what_is_no_version_is_not_shown),
		T(what_is_no_news_is_written_now_and_then),
		T(news_hold_at_once_and_are_written_at_a_pace),
		T(what_was_not_written_is_news_again),
		T(what_was_said_anew_last_counts),
		T(an_issuer_that_is_gone_counts_no_more),
		T(a_store_that_starts_knows_it),
		T(what_is_not_understood_is_passed_over),
		T(too_many_are_not_listened_to),
	};

	ch_log_init("test", CH_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
