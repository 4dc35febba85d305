/* The second level of the edge's cache: scalars that must never be given out for another
 * record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/keytable.h"

#define SETS 64u
#define SET_B (CH_KEYTABLE_WAYS * CH_KEYTABLE_SLOT_B)
#define IDLE_S 100u
#define NEVER UINT32_MAX

static struct ch_keytable *table_of(size_t bound_b)
{
	struct ch_keytable_options options = {.bound_b = bound_b, .idle_s = IDLE_S};
	struct ch_keytable *table;

	memset(options.secret, 7, sizeof(options.secret));
	assert_int_equal(ch_keytable_new(&options, &table), CH_OK);
	return table;
}

static struct ch_keytable *table_new(void)
{
	return table_of(SETS * SET_B);
}

/* All keys whose set is the same have the same upper half. */
static struct ch_keytable_key key_of(uint32_t set, uint32_t number, uint8_t version)
{
	struct ch_keytable_key key = {.hash = (uint64_t)set << 32 | number};

	memset(key.id, version, sizeof(key.id));
	memcpy(key.id, &number, sizeof(number));
	return key;
}

static void scalar_of(const struct ch_keytable_key *key, uint8_t ret_scalar[32])
{
	memset(ret_scalar, 0xc5, 32);
	memcpy(ret_scalar, &key->hash, sizeof(key->hash));
	ret_scalar[31] = key->id[15];
}

static void put(struct ch_keytable *table, struct ch_keytable_key key, uint32_t now_s)
{
	uint8_t scalar[32];

	scalar_of(&key, scalar);
	ch_keytable_put(table, &key, now_s, scalar);
}

/* Never anything but its own. */
static bool is_there(struct ch_keytable *table, struct ch_keytable_key key, uint32_t now_s)
{
	uint8_t expected[32];
	uint8_t scalar[32] = {0};

	scalar_of(&key, expected);
	if (!ch_keytable_get(table, &key, now_s, scalar)) {
		assert_int_equal(scalar[31] | scalar[30] | scalar[0], 0);
		return false;
	}
	assert_memory_equal(scalar, expected, sizeof(scalar));
	return true;
}

/* Above the largest table here; a sanitizer has mappings of many gigabytes, and of its own. */
#define MAPPING_MOST_B (64ul << 20)

/* The sanitizer has no say in what lies where: these are all the process's mappings. */
__attribute__((no_sanitize_address)) static size_t copies_between(
	unsigned long from, unsigned long to, const uint8_t scalar[32])
{
	size_t found = 0;

	if (to - from > MAPPING_MOST_B)
		return 0;
	for (const uint8_t *at = (void *)from; at + 64 <= (uint8_t *)to; at += 64) {
		size_t same = 0;

		while (same < 32 && at[24 + same] == scalar[same])
			same++;
		found += same == 32;
	}
	return found;
}

/* Whether these bytes are anywhere in this process's private writable memory that has no file:
 * the table is no part of the heap. */
static size_t copies_in_table(const struct ch_keytable_key *key)
{
	uint8_t scalar[32];
	char line[512];
	size_t found = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	assert_non_null(maps);
	scalar_of(key, scalar);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long from;
		unsigned long to;

		if (!strstr(line, " rw-p 00000000 00:00 0 ") || strchr(line, '[') ||
			sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		found += copies_between(from, to, scalar);
	}
	assert_int_equal(fclose(maps), 0);
	return found;
}

static void what_was_put_is_found(void **state)
{
	struct ch_keytable *table = table_new();

	(void)state;
	assert_int_equal(ch_keytable_sets(table), SETS);
	for (uint32_t i = 0; i < 200; i++) {
		assert_false(is_there(table, key_of(i << 26, i, 1), 1));
		put(table, key_of(i << 26, i, 1), 1);
		assert_true(is_there(table, key_of(i << 26, i, 1), 1));
	}
	assert_int_equal(ch_keytable_entries(table), 200);
	for (uint32_t i = 0; i < 200; i++)
		assert_true(is_there(table, key_of(i << 26, i, 1), 1));
	ch_keytable_free(table);
}

static void a_stale_identity_is_refused_and_wiped(void **state)
{
	struct ch_keytable *table = table_new();
	struct ch_keytable_key old = key_of(5, 5, 1);
	struct ch_keytable_key new = key_of(5, 5, 2);

	(void)state;
	put(table, old, 1);
	assert_int_equal(copies_in_table(&old), 1);
	assert_false(is_there(table, new, 1));
	assert_int_equal(copies_in_table(&old), 0);
	assert_int_equal(ch_keytable_entries(table), 0);
	assert_false(is_there(table, old, 1));
	/* One in the place of the other. */
	put(table, old, 1);
	put(table, new, 1);
	assert_int_equal(ch_keytable_entries(table), 1);
	assert_int_equal(copies_in_table(&old), 0);
	assert_true(is_there(table, new, 1));
	ch_keytable_free(table);
}

static void names_with_the_same_hash_never_get_each_others(void **state)
{
	struct ch_keytable *table = table_new();
	struct ch_keytable_key one = key_of(9, 1, 1);
	struct ch_keytable_key two = key_of(9, 2, 1);

	(void)state;
	two.hash = one.hash;
	for (unsigned i = 0; i < 3; i++) {
		put(table, one, 1);
		assert_false(is_there(table, two, 1));
		put(table, two, 1);
		assert_false(is_there(table, one, 1));
	}
	ch_keytable_free(table);
}

static void every_byte_of_what_identifies_counts(void **state)
{
	struct ch_keytable_options options = {.bound_b = SET_B, .secret = {1}};
	struct ch_keytable *table = table_new();
	struct ch_keytable *other;
	uint8_t text[513] = "version, signature, name";
	uint8_t id[CH_KEYTABLE_ID_B];
	uint8_t changed[CH_KEYTABLE_ID_B];

	(void)state;
	assert_int_equal(ch_keytable_identify(table, text, 100, id), CH_OK);
	assert_int_equal(ch_keytable_identify(table, text, 100, changed), CH_OK);
	assert_memory_equal(id, changed, sizeof(id));
	for (size_t i = 0; i < 100; i++) {
		text[i] ^= 1;
		assert_int_equal(ch_keytable_identify(table, text, 100, changed), CH_OK);
		assert_memory_not_equal(id, changed, sizeof(id));
		text[i] ^= 1;
	}
	assert_int_equal(ch_keytable_identify(table, text, 99, changed), CH_OK);
	assert_memory_not_equal(id, changed, sizeof(id));
	assert_int_equal(ch_keytable_identify(table, text, 512, changed), CH_OK);
	assert_int_equal(ch_keytable_identify(table, text, 513, changed), CH_ETOOBIG);
	assert_int_equal(ch_keytable_new(&options, &other), CH_OK);
	assert_int_equal(ch_keytable_identify(other, text, 100, changed), CH_OK);
	assert_memory_not_equal(id, changed, sizeof(id));
	ch_keytable_free(other);
	ch_keytable_free(table);
}

static void a_full_set_gives_up_what_was_used_least(void **state)
{
	struct ch_keytable *table = table_new();
	struct ch_keytable_key first = key_of(0, 0, 1);

	(void)state;
	for (uint32_t i = 0; i < CH_KEYTABLE_WAYS; i++)
		put(table, key_of(0, i, 1), 1 + i);
	for (uint32_t i = 1; i < CH_KEYTABLE_WAYS; i++)
		assert_true(is_there(table, key_of(0, i, 1), 20));
	put(table, key_of(0, 100, 1), 21);
	assert_int_equal(copies_in_table(&first), 0);
	assert_false(is_there(table, first, 21));
	for (uint32_t i = 1; i < CH_KEYTABLE_WAYS; i++)
		assert_true(is_there(table, key_of(0, i, 1), 21));
	assert_int_equal(ch_keytable_entries(table), CH_KEYTABLE_WAYS);
	ch_keytable_free(table);
}

static void names_that_come_once_push_out_no_others(void **state)
{
	struct ch_keytable *table = table_new();

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		put(table, key_of(0, i, 1), 1);
	for (uint32_t n = 0; n < 10000; n++) {
		put(table, key_of(0, 1000 + n, 1), 1);
		assert_true(is_there(table, key_of(0, n % 4, 1), 1));
	}
	/* But those of yesterday go. */
	for (uint32_t i = 10; i < 18; i++) {
		for (unsigned k = 0; k < 40; k++) {
			if (!is_there(table, key_of(0, i, 1), 2))
				put(table, key_of(0, i, 1), 2);
			put(table, key_of(0, 50000 + 40 * i + k, 1), 2);
		}
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_false(is_there(table, key_of(0, i, 1), 2));
	ch_keytable_free(table);
}

static void what_is_forgotten_is_wiped(void **state)
{
	struct ch_keytable *table = table_new();
	struct ch_keytable_key key = key_of(3, 3, 1);

	(void)state;
	put(table, key, 1);
	ch_keytable_forget(table, key.hash + 1);
	assert_int_equal(copies_in_table(&key), 1);
	ch_keytable_forget(table, key.hash);
	assert_int_equal(copies_in_table(&key), 0);
	assert_false(is_there(table, key, 1));
	ch_keytable_forget(table, key.hash);
	assert_int_equal(ch_keytable_entries(table), 0);
	ch_keytable_free(table);
}

static void what_nobody_asks_for_is_wiped_in_time(void **state)
{
	struct ch_keytable *table = table_new();
	struct ch_keytable_key key = key_of(1u << 31, 1, 1);
	struct ch_keytable_key used = key_of(1u << 30, 2, 1);

	(void)state;
	put(table, key, 1);
	put(table, used, 1);
	ch_keytable_tidy(table, 1 + IDLE_S, SETS);
	assert_int_equal(ch_keytable_entries(table), 2);
	assert_true(is_there(table, used, 1 + IDLE_S));
	/* Half of the sets, then the others. */
	ch_keytable_tidy(table, 2 + IDLE_S, SETS / 2);
	assert_int_equal(copies_in_table(&key), 1);
	ch_keytable_tidy(table, 2 + IDLE_S, SETS / 2);
	assert_int_equal(copies_in_table(&key), 0);
	assert_true(is_there(table, used, 2 + IDLE_S));
	/* Nor is it given out when it was not tidied yet. */
	assert_false(is_there(table, used, 3 + 2 * IDLE_S));
	assert_int_equal(copies_in_table(&used), 0);
	ch_keytable_tidy(table, NEVER, 100 * SETS);
	ch_keytable_free(table);
}

static void the_bound_is_never_passed(void **state)
{
	struct ch_keytable *table = table_of(10 * 4096 + 4095);

	(void)state;
	assert_true(ch_keytable_size(table) <= 10 * 4096 + 4095);
	for (uint32_t i = 0; i < 20000; i++)
		put(table, key_of(i * 2654435761u, i, 1), 1);
	assert_int_equal(ch_keytable_entries(table), 10 * 4096 / CH_KEYTABLE_SLOT_B);
	ch_keytable_free(table);
}

static void without_a_budget_nothing_is_kept(void **state)
{
	struct ch_keytable *table = table_of(0);
	struct ch_keytable_key key = key_of(1, 1, 1);

	(void)state;
	put(table, key, 1);
	assert_false(is_there(table, key, 1));
	ch_keytable_forget(table, key.hash);
	ch_keytable_tidy(table, 1, 10);
	assert_int_equal(ch_keytable_entries(table), 0);
	assert_int_equal(ch_keytable_sets(table), 0);
	ch_keytable_free(table);
	table = table_of(SET_B);
	put(table, key, 1);
	assert_int_equal(ch_keytable_entries(table), 0);
	ch_keytable_free(table);
	ch_keytable_free(NULL);
}

static void flags_of_table(const struct ch_keytable_key *key, char *ret_flags, size_t len)
{
	char line[512];
	uint8_t scalar[32];
	bool is_its = false;
	FILE *smaps = fopen("/proc/self/smaps", "r");

	assert_non_null(smaps);
	scalar_of(key, scalar);
	*ret_flags = '\0';
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long from;
		unsigned long to;

		if (sscanf(line, "%lx-%lx rw-p", &from, &to) == 2 && strstr(line, "rw-p") &&
			!strchr(line, '/') && !strchr(line, '[')) {
			is_its = copies_between(from, to, scalar) > 0;
		} else if (is_its && strncmp(line, "VmFlags:", 8) == 0) {
			assert_true(strlen(line) < len);
			strcpy(ret_flags, line);
			break;
		}
	}
	assert_int_equal(fclose(smaps), 0);
}

static void it_is_in_no_core_dump_and_no_child(void **state)
{
	struct ch_keytable *table = table_of(64 * 4096);
	struct ch_keytable_key key = key_of(1u << 31, 1, 1);
	char flags[512];
	int status;
	pid_t pid;

	(void)state;
	put(table, key, 1);
	flags_of_table(&key, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));
	assert_non_null(strstr(flags, " wf"));
	pid = fork();
	if (pid == 0)
		_exit(is_there(table, key, 1) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(is_there(table, key, 1));
	ch_keytable_free(table);
	assert_int_equal(copies_in_table(&key), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found),
		cmocka_unit_test(a_stale_identity_is_refused_and_wiped),
		cmocka_unit_test(names_with_the_same_hash_never_get_each_others),
		cmocka_unit_test(every_byte_of_what_identifies_counts),
		cmocka_unit_test(a_full_set_gives_up_what_was_used_least),
		cmocka_unit_test(names_that_come_once_push_out_no_others),
		cmocka_unit_test(what_is_forgotten_is_wiped),
		cmocka_unit_test(what_nobody_asks_for_is_wiped_in_time),
		cmocka_unit_test(the_bound_is_never_passed),
		cmocka_unit_test(without_a_budget_nothing_is_kept),
		cmocka_unit_test(it_is_in_no_core_dump_and_no_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
