#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "base/user.h"

static void numbers_are_users(void **state)
{
	struct ch_user user;

	assert_int_equal(ch_user_parse("64101:64102", &user, NULL), CH_OK);
	assert_true(user.separate);
	assert_int_equal(user.uid, 64101);
	assert_int_equal(user.gid, 64102);
	assert_int_equal(user.n_groups, 1);
	assert_int_equal(user.groups[0], 64102);
	assert_int_equal(ch_user_parse("64199", &user, NULL), CH_OK);
	assert_int_equal(user.gid, 64199);
}

static void names_are_looked_up(void **state)
{
	struct ch_user user;
	struct ch_err err;

	assert_int_equal(ch_user_parse("daemon", &user, &err), CH_OK);
	assert_int_equal(user.uid, 1);
	assert_true(user.n_groups >= 1);
	assert_int_equal(ch_user_parse("no-such-user-here", &user, &err), CH_ENOTFOUND);
	assert_non_null(strstr(err.detail, "no-such-user-here"));
}

static void a_dash_is_no_separation(void **state)
{
	struct ch_user user = {.separate = true};

	assert_int_equal(ch_user_parse("-", &user, NULL), CH_OK);
	assert_false(user.separate);
}

static void root_and_rubbish_are_refused(void **state)
{
	static const char *const bad[] = {"", "0", "0:5", "root", "5:", "5:x", "5:-1", "5 ",
		"5:6:7", "4294967295", "99999999999999999999", "7x"};
	struct ch_user user;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_user_parse(bad[i], &user, NULL), CH_EINVAL);
}

static void groups_are_names_or_numbers(void **state)
{
	struct ch_user user;
	gid_t gid;

	assert_int_equal(ch_group_parse("64333", &gid, NULL), CH_OK);
	assert_int_equal(gid, 64333);
	assert_int_equal(ch_group_parse("daemon", &gid, NULL), CH_OK);
	assert_int_equal(gid, 1);
	assert_int_equal(ch_group_parse("no-such-group-here", &gid, NULL), CH_ENOTFOUND);
	assert_int_equal(ch_user_parse("64101:64102", &user, NULL), CH_OK);
	assert_int_equal(ch_user_add_group(&user, 64102), CH_OK);
	assert_int_equal(user.n_groups, 1);
	for (gid_t g = 1; g < CH_USER_GROUPS_MAX; g++)
		assert_int_equal(ch_user_add_group(&user, g), CH_OK);
	assert_int_equal(ch_user_add_group(&user, 5000), CH_EFULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_users),
		cmocka_unit_test(names_are_looked_up),
		cmocka_unit_test(a_dash_is_no_separation),
		cmocka_unit_test(root_and_rubbish_are_refused),
		cmocka_unit_test(groups_are_names_or_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
