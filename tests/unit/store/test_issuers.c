/* What issuers say of themselves: kept for all stores, written when it is news. */
#include "fixture.h"

#define FIRST "issuer/default/i1"
#define OTHER "issuer/default/i2"

static void say(struct fixture *fx, const char *id, const char *says)
{
	struct ch_store_op op = {.type = CH_OP_ISSUER};

	op.u.issuer = (struct ch_op_issuer){.id = id, .says = says};
	assert_ok(fx_run(fx, &op));
}

static size_t list(struct fixture *fx, struct ch_store_issuer **ret_issuers)
{
	size_t n;

	assert_ok(ch_store_list_issuers(fx->store, fx->arena, ret_issuers, &n));
	return n;
}

static struct ch_store_issuer only(struct fixture *fx)
{
	struct ch_store_issuer *issuers;

	assert_int_equal(list(fx, &issuers), 1);
	return issuers[0];
}

static void what_is_said_is_there_for_every_store(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_issuer *issuers;

	assert_int_equal(list(fx, &issuers), 0);
	say(fx, FIRST, "{\"a\":1}");
	test_now_ms += 1000;
	say(fx, OTHER, "{\"b\":\"\xc3\xa4\"}");
	fx_reopen(fx);
	assert_int_equal(list(fx, &issuers), 2);
	assert_string_equal(issuers[0].id, OTHER);
	assert_string_equal(issuers[0].says, "{\"b\":\"\xc3\xa4\"}");
	assert_string_equal(issuers[1].id, FIRST);
	assert_string_equal(issuers[1].says, "{\"a\":1}");
	assert_int_equal(issuers[1].changed_at_ms, test_now_ms - 1000);
	assert_int_equal(issuers[1].confirmed_at_ms, test_now_ms - 1000);
}

static void it_is_written_when_it_is_news_and_else_now_and_then(void **state)
{
	struct fixture *fx = *state;
	int64_t began_ms = test_now_ms;

	say(fx, FIRST, "one");
	test_now_ms += CH_STORE_ISSUER_CONFIRM_MS - 1;
	say(fx, FIRST, "one");
	assert_int_equal(only(fx).confirmed_at_ms, began_ms);
	test_now_ms++;
	say(fx, FIRST, "one");
	assert_int_equal(only(fx).confirmed_at_ms, test_now_ms);
	assert_int_equal(only(fx).changed_at_ms, began_ms);
	test_now_ms++;
	say(fx, FIRST, "two");
	assert_string_equal(only(fx).says, "two");
	assert_int_equal(only(fx).confirmed_at_ms, test_now_ms);
	assert_int_equal(only(fx).changed_at_ms, test_now_ms);
}

static void say_as(struct fixture *fx, const char *software)
{
	struct ch_store_op op = {.type = CH_OP_ISSUER};

	op.u.issuer = (struct ch_op_issuer){.id = FIRST, .says = "one", .software = software};
	assert_ok(fx_run(fx, &op));
}

static void another_version_is_written_and_does_not_make_it_say_anything_new(void **state)
{
	struct fixture *fx = *state;
	int64_t began_ms = test_now_ms;

	say(fx, FIRST, "one");
	assert_string_equal(only(fx).software, "");
	test_now_ms++;
	say_as(fx, "certherd/1.0.0");
	assert_string_equal(only(fx).software, "certherd/1.0.0");
	assert_int_equal(only(fx).confirmed_at_ms, test_now_ms);
	assert_int_equal(only(fx).changed_at_ms, began_ms);
	test_now_ms++;
	say_as(fx, "certherd/1.0.0");
	assert_int_equal(only(fx).confirmed_at_ms, test_now_ms - 1);
	say_as(fx, "certherd/1.1.0");
	assert_string_equal(only(fx).software, "certherd/1.1.0");
	assert_int_equal(only(fx).changed_at_ms, began_ms);
}

static size_t rows(struct fixture *fx)
{
	struct ch_store_issuer *issuers;
	int64_t now_ms = test_now_ms;
	size_t n;

	/* As a store sees it whose clock stands at the beginning. */
	test_now_ms = START_MS;
	n = list(fx, &issuers);
	test_now_ms = now_ms;
	return n;
}

static void who_is_silent_for_long_is_forgotten(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_issuer *issuers;

	say(fx, FIRST, "one");
	test_now_ms += CH_DAY_MS;
	say(fx, OTHER, "two");
	test_now_ms = START_MS + CH_STORE_ISSUER_KEEP_MS;
	assert_int_equal(list(fx, &issuers), 2);
	(void)fx_housekeep(fx);
	assert_int_equal(rows(fx), 2);
	test_now_ms++;
	assert_string_equal(only(fx).id, OTHER);
	assert_int_equal(rows(fx), 2);
	(void)fx_housekeep(fx);
	assert_int_equal(rows(fx), 1);
	/* Who comes back is there again. */
	say(fx, FIRST, "one");
	assert_int_equal(list(fx, &issuers), 2);
}

static void what_a_wrong_clock_confirmed_does_not_last(void **state)
{
	struct fixture *fx = *state;

	test_now_ms += 3000 * CH_DAY_MS;
	say(fx, FIRST, "one");
	say(fx, OTHER, "two");
	test_now_ms = START_MS;
	/* The one that is there says so again; the other one is not. */
	say(fx, FIRST, "one");
	(void)fx_housekeep(fx);
	assert_string_equal(only(fx).id, FIRST);
	assert_int_equal(only(fx).confirmed_at_ms, START_MS);
}

static void too_much_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_ISSUER};
	struct ch_store_issuer *issuers;
	char *says = ch_arena_alloc(fx->arena, CH_STORE_SAYS_MAX_B + 2);

	memset(says, 'x', CH_STORE_SAYS_MAX_B + 1);
	op.u.issuer = (struct ch_op_issuer){.id = FIRST, .says = says};
	assert_refused(fx, fx_run(fx, &op), CH_ETOOBIG, "bad-field");
	assert_int_equal(list(fx, &issuers), 0);
	says[CH_STORE_SAYS_MAX_B] = 0;
	op.u.issuer.software = says;
	assert_refused(fx, fx_run(fx, &op), CH_ETOOBIG, "bad-field");
	say(fx, FIRST, says);
	assert_string_equal(only(fx).says, says);
}

/* ---- names are given CAs that there are ---- */

static struct ch_store_put_item put(struct fixture *fx, struct ch_store_put_item item,
	const char *known, enum ch_store_put_result want)
{
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	op.u.put.known_cas = known;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, want);
	return item;
}

static void a_ca_that_no_issuer_has_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "a.example", .cas = "main,backpu"};
	struct ch_store_domain domain;

	item = put(fx, item, "main,backup", CH_PUT_REJECTED);
	assert_string_equal(item.problem, "ca-unknown");
	assert_non_null(strstr(item.detail, "cas: "));
	assert_non_null(strstr(item.detail, "\"backpu\""));
	assert_non_null(strstr(item.detail, "main,backup"));
	assert_int_equal(
		ch_store_get_domain(fx->store, "a.example", fx->arena, &domain), CH_ENOTFOUND);
	item.cas = "backup,main";
	put(fx, item, "main,backup", CH_PUT_CREATED);
	/* A part of a name is not the name. */
	item.cas = "back";
	put(fx, item, "main,backup", CH_PUT_REJECTED);
	item.cas = "mainbackup";
	put(fx, item, "main,backup", CH_PUT_REJECTED);
	assert_string_equal(fx_get(fx, "a.example").cas, "backup,main");
	item.cas = "";
	put(fx, item, "main,backup", CH_PUT_EXISTS);
	assert_null(fx_get(fx, "a.example").cas);
}

static void a_standby_is_from_one_that_an_issuer_has(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "a.example", .standby = "third"};

	item = put(fx, item, "main,backup", CH_PUT_REJECTED);
	assert_string_equal(item.problem, "ca-unknown");
	assert_non_null(strstr(item.detail, "standby"));
	item.standby = "backup";
	put(fx, item, "main,backup", CH_PUT_CREATED);
	item.standby = "none";
	put(fx, item, "main,backup", CH_PUT_EXISTS);
	item.standby = "";
	put(fx, item, "main,backup", CH_PUT_EXISTS);
}

static void what_the_name_had_before_is_left_alone(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {
		.name = "a.example", .cas = "gone,main", .standby = "gone"};

	/* Before the first issuer anything is taken. */
	put(fx, item, NULL, CH_PUT_CREATED);
	put(fx, item, "main", CH_PUT_EXISTS);
	item.cas = "main,gone";
	put(fx, item, "main", CH_PUT_EXISTS);
	assert_string_equal(fx_get(fx, "a.example").cas, "main,gone");
	item = (struct ch_store_put_item){.name = "a.example", .tenant = "t1"};
	put(fx, item, "main", CH_PUT_EXISTS);
	/* But not taken up again. */
	item = (struct ch_store_put_item){.name = "a.example", .cas = "main"};
	put(fx, item, "main", CH_PUT_EXISTS);
	item.cas = "main,gone";
	put(fx, item, "main", CH_PUT_REJECTED);
	assert_string_equal(fx_get(fx, "a.example").cas, "main");
}

/* A CA that issuers do not have any more is no mistake: the platform goes on with it. */
static void what_an_issuer_has_told_of_before_is_taken(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_LEASE};
	struct ch_store_put_item item = {
		.name = "a.example", .cas = "old,main", .standby = "older"};

	put(fx, item, "main", CH_PUT_REJECTED);
	op.u.lease = (struct ch_op_lease){.issuer = FIRST,
		.max = 1,
		.lease_ms = LEASE_MS,
		.pace = {.account = "old.test/1", .ca = "old"},
		.fallback = {{.account = "older.test/1", .ca = "older"}},
		.n_fallback = 1};
	assert_ok(fx_run(fx, &op));
	put(fx, item, "main", CH_PUT_CREATED);
	item.cas = "ol,main";
	put(fx, item, "main", CH_PUT_REJECTED);
}

static void one_of_many_is_refused_alone(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item items[] = {{.name = "a.example", .cas = "main"},
		{.name = "b.example", .cas = "nonesuch"}, {.name = "c.example"}};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = items;
	op.u.put.n_items = CH_ARRAY_LEN(items);
	op.u.put.known_cas = "main";
	assert_ok(fx_run(fx, &op));
	assert_int_equal(items[0].result, CH_PUT_CREATED);
	assert_int_equal(items[1].result, CH_PUT_REJECTED);
	assert_int_equal(items[2].result, CH_PUT_CREATED);
}

static int adopt(
	struct fixture *fx, const struct ch_store_put_item *settings, const char *known)
{
	struct ch_store_adopt_item item = {
		.names = {"a.example"}, .n_names = 1, .not_after_ms = test_now_ms + CH_DAY_MS};
	struct ch_store_op op = {.type = CH_OP_ADOPT};

	op.u.adopt = (struct ch_op_adopt){.settings = settings,
		.known_cas = known,
		.dry_run = true,
		.items = &item,
		.n_items = 1};
	return fx_run(fx, &op);
}

static void certificates_are_not_adopted_for_a_ca_that_no_issuer_has(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item settings = {.cas = "nonesuch"};

	assert_ok(adopt(fx, &settings, NULL));
	assert_refused(fx, adopt(fx, &settings, "main"), CH_ECONFLICT, "ca-unknown");
	settings.cas = "main";
	assert_ok(adopt(fx, &settings, "main"));
	settings.standby = "nonesuch";
	assert_refused(fx, adopt(fx, &settings, "main"), CH_ECONFLICT, "ca-unknown");
}

#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_said_is_there_for_every_store),
		T(it_is_written_when_it_is_news_and_else_now_and_then),
		T(another_version_is_written_and_does_not_make_it_say_anything_new),
		T(who_is_silent_for_long_is_forgotten),
		T(what_a_wrong_clock_confirmed_does_not_last),
		T(too_much_is_refused),
		T(a_ca_that_no_issuer_has_is_refused),
		T(a_standby_is_from_one_that_an_issuer_has),
		T(what_the_name_had_before_is_left_alone),
		T(what_an_issuer_has_told_of_before_is_taken),
		T(one_of_many_is_refused_alone),
		T(certificates_are_not_adopted_for_a_ca_that_no_issuer_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
