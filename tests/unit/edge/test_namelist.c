/* The file of names: what is written can be read; what is not of that kind is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "edge/namelist.h"

/* How many names it has; negative: what it is refused with. */
static int count(const char *text, size_t len)
{
	struct ch_namelist list;
	const char *name;
	size_t name_len;
	int rc = ch_namelist_open(text, len, &list);
	int n = 0;

	while (rc == CH_OK) {
		rc = ch_namelist_next(&list, &name, &name_len);
		if (rc == CH_OK)
			n++;
	}
	return rc == CH_ENOTFOUND ? n : rc;
}

static void what_is_written_is_read(void **state)
{
	static const char *names[] = {
		"shop.example.com", "*.example.net", "xn--bcher-kva.test"};
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_namelist list;
	const char *name;
	size_t len;

	(void)state;
	ch_buf_init(&buf, CH_NAMELIST_B(3));
	ch_namelist_begin(&buf);
	for (size_t i = 0; i < 3; i++)
		ch_namelist_add(&buf, names[i], strlen(names[i]));
	ch_namelist_end(&buf, 3);
	assert_int_equal(buf.rc, CH_OK);
	assert_int_equal(ch_namelist_open((char *)buf.data, buf.len, &list), CH_OK);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ch_namelist_next(&list, &name, &len), CH_OK);
		assert_int_equal(len, strlen(names[i]));
		assert_memory_equal(name, names[i], len);
	}
	assert_int_equal(ch_namelist_next(&list, &name, &len), CH_ENOTFOUND);
}

static void the_longest_names_fit_the_bound(void **state)
{
	CH_AUTO_BUF struct ch_buf buf;
	char name[CH_NAME_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[100] = '.';
	ch_buf_init(&buf, CH_NAMELIST_B(50));
	ch_namelist_begin(&buf);
	for (size_t i = 0; i < 50; i++)
		ch_namelist_add(&buf, name, CH_NAME_MAX);
	ch_namelist_end(&buf, 50);
	assert_int_equal(buf.rc, CH_OK);
	assert_int_equal(count((char *)buf.data, buf.len), 50);
}

static void an_empty_list_is_one(void **state)
{
	(void)state;
	assert_int_equal(count("certherd names 1\nend 0\n", 23), 0);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *bad[] = {"", "\n", "end 0\n", "certherd names 1\n",
		"certherd names 2\nend 0\n", "certherd names 1\na.test\n",
		"certherd names 1\na.test\nend 1", "certherd names 1\na.test\nend 2\n",
		"certherd names 1\na.test\nb.test\nend 1\n",
		"certherd names 1\na.test\nend 01\n", "certherd names 1\na.test\nend \n",
		"certherd names 1\na.test\nend -1\n", "certherd names 1\na.test\nend 1 \n",
		"certherd names 1\na.test\nend 1\n\n",
		"certherd names 1\na.test\nend 99999999999999999999999999\n",
		"certherd names 1\na.test\nend 100001\n", "certherd names 1\na.testend 1\n",
		"certherd names 1\n\nend 1\n", "certherd names 1\nA.test\nend 1\n",
		"certherd names 1\n../etc/passwd\nend 1\n", "certherd names 1\na test\nend 1\n",
		"certherd names 1\na.test\r\nend 1\n"};

	(void)state;
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		if (count(bad[i], strlen(bad[i])) != CH_EPROTO)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(count("certherd names 1\na\0test\nend 1\n", 30), CH_EPROTO);
}

static void a_list_that_is_cut_anywhere_is_refused(void **state)
{
	const char *text = "certherd names 1\none.test\ntwo.test\nend 2\n";
	size_t len = strlen(text);

	(void)state;
	assert_int_equal(count(text, len), 2);
	for (size_t n = 0; n < len; n++) {
		/* So that reading past the end is seen. */
		char *part = malloc(n + 1);

		assert_non_null(part);
		memcpy(part, text, n);
		part = realloc(part, n ? n : 1);
		assert_int_equal(count(part, n), CH_EPROTO);
		free(part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_longest_names_fit_the_bound),
		cmocka_unit_test(an_empty_list_is_one),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(a_list_that_is_cut_anywhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
