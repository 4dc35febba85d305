/* Who may claim a name: one that another tenant holds, or held, is taken over with proof only.
 */
#include "fixture.h"

static struct ch_store_put_item put_as(
	struct fixture *fx, const char *name, const char *tenant, const char *proof)
{
	struct ch_store_put_item item = {
		.name = name, .tenant = tenant, .ask_proof = true, .proof = proof};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

	assert_ok(fx_run(fx, &op));
	if (item.result == CH_PUT_REJECTED) {
		assert_string_equal(item.problem, "claim-needed");
		assert_non_null(item.claim);
		assert_non_null(strstr(item.detail, item.claim));
	} else {
		assert_null(item.claim);
	}
	return item;
}

static void a_held_name_takes_proof_for_this_tenant(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item refused;
	char claim[CH_STORE_CLAIM_B];

	assert_int_equal(put_as(fx, "a.example", "t1", NULL).result, CH_PUT_CREATED);
	assert_int_equal(put_as(fx, "a.example", "t1", NULL).result, CH_PUT_EXISTS);
	assert_int_equal(put_as(fx, "a.example", NULL, NULL).result, CH_PUT_EXISTS);
	refused = put_as(fx, "a.example", "t2", NULL);
	assert_int_equal(refused.result, CH_PUT_REJECTED);
	strcpy(claim, refused.claim);
	assert_int_equal(put_as(fx, "a.example", "t3", claim).result, CH_PUT_REJECTED);
	assert_int_equal(
		put_as(fx, "a.example", CH_STORE_LABEL_DEFAULT, NULL).result, CH_PUT_REJECTED);
	assert_string_equal(fx_get(fx, "a.example").tenant, "t1");
	assert_int_equal(put_as(fx, "a.example", "t2", claim).result, CH_PUT_EXISTS);
	assert_string_equal(fx_get(fx, "a.example").tenant, "t2");
}

static void a_removed_name_remembers_whose_it_was(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(put_as(fx, "a.example", "t1", NULL).result, CH_PUT_CREATED);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(put_as(fx, "a.example", NULL, NULL).result, CH_PUT_REJECTED);
	assert_int_equal(put_as(fx, "a.example", "t2", NULL).result, CH_PUT_REJECTED);
	assert_int_equal(put_as(fx, "a.example", "t1", NULL).result, CH_PUT_CREATED);
	/* Nobody's in particular. */
	assert_int_equal(put_as(fx, "b.example", NULL, NULL).result, CH_PUT_CREATED);
	assert_int_equal(put_as(fx, "b.example", "t2", NULL).result, CH_PUT_EXISTS);
}

static void a_www_name_is_not_taken_in_without(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {
		.name = "a.example", .tenant = "t2", .www = CH_TRI_YES, .ask_proof = true};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

	assert_int_equal(put_as(fx, "www.a.example", "t1", NULL).result, CH_PUT_CREATED);
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_REJECTED);
	assert_string_equal(fx_get(fx, "www.a.example").tenant, "t1");
	item.ask_proof = false;
	assert_ok(fx_run(fx, &op));
	assert_string_equal(fx_get(fx, "www.a.example").tenant, "t2");
}

static void wildcards_are_claimed_with_what_they_cover(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item refused;
	char claim[CH_STORE_CLAIM_B];

	assert_int_equal(put_as(fx, "*.a.example", "t1", NULL).result, CH_PUT_CREATED);
	assert_int_equal(put_as(fx, "a.example", "t2", NULL).result, CH_PUT_REJECTED);
	assert_int_equal(put_as(fx, "b.b.a.example", "t2", NULL).result, CH_PUT_CREATED);
	assert_int_equal(put_as(fx, "b.a.example", "t1", NULL).result, CH_PUT_CREATED);
	refused = put_as(fx, "c.a.example", "t2", NULL);
	assert_int_equal(refused.result, CH_PUT_REJECTED);
	strcpy(claim, refused.claim);
	assert_int_equal(put_as(fx, "c.a.example", "t2", claim).result, CH_PUT_CREATED);
	/* Once it is theirs, it is not asked again. */
	assert_int_equal(put_as(fx, "c.a.example", "t2", NULL).result, CH_PUT_EXISTS);
	assert_int_equal(put_as(fx, "d.example", "t2", NULL).result, CH_PUT_CREATED);
	assert_int_equal(put_as(fx, "*.d.example", "t1", NULL).result, CH_PUT_REJECTED);
	assert_int_equal(put_as(fx, "*.d.example", "t2", NULL).result, CH_PUT_CREATED);
	/* Nobody's in particular, and what nobody holds. */
	assert_int_equal(put_as(fx, "*.e.example", NULL, NULL).result, CH_PUT_CREATED);
	assert_int_equal(put_as(fx, "f.e.example", "t2", NULL).result, CH_PUT_CREATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_held_name_takes_proof_for_this_tenant, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_removed_name_remembers_whose_it_was, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_www_name_is_not_taken_in_without, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			wildcards_are_claimed_with_what_they_cover, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
