/* How many connections one identity may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stored/crowd.h"

static void one_identity_has_so_many_places(void **state)
{
	struct ch_crowd_place *place[4] = {NULL};
	struct ch_crowd *crowd;
	struct ch_err err;

	assert_int_equal(ch_crowd_new(2, &crowd, NULL), CH_OK);
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/c", &place[0], NULL), CH_OK);
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/c", &place[1], NULL), CH_OK);
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/c", &place[2], &err), CH_EAGAIN);
	assert_string_equal(err.problem, "too-many-connections");
	assert_null(place[2]);
	/* Who has one keeps it; another has its own. */
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/c", &place[1], NULL), CH_OK);
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/d", &place[2], NULL), CH_OK);
	ch_crowd_leave(crowd, &place[0]);
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/c", &place[3], NULL), CH_OK);
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/c", &place[0], NULL), CH_EAGAIN);
	/* A connection that becomes somebody else's makes room. */
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/d", &place[3], NULL), CH_OK);
	assert_int_equal(ch_crowd_join(crowd, "certherd://a/b/c", &place[0], NULL), CH_OK);
	for (int i = 0; i < 4; i++) {
		ch_crowd_leave(crowd, &place[i]);
		ch_crowd_leave(crowd, &place[i]);
	}
	ch_crowd_free(crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(one_identity_has_so_many_places)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
