/* What is told from a statement's text about the rows it reads or writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/db_postgres_touch.h"
#include "store/migrations.h"

static unsigned bits_of(const char *tables)
{
	char list[128];
	unsigned bits = 0;

	snprintf(list, sizeof(list), "%s", tables);
	for (char *word = strtok(list, " "); word; word = strtok(NULL, " "))
		bits |= ch_touch_bit(word);
	return bits;
}

static void check(const char *text, bool is_read, unsigned tables, int key_arg)
{
	struct ch_touch touch = ch_touch_of(text);

	if (touch.is_read != is_read || touch.tables != tables || touch.key_arg != key_arg)
		fail_msg("%s: %d, %x (%x), %d", text, touch.is_read, touch.tables, tables,
			touch.key_arg);
}

static void reads_are_known_by_their_tables(void **state)
{
	static const struct {
		const char *text;
		const char *tables;
		int key_arg;
	} cases[] = {
		{"SELECT a FROM name WHERE name = $1", "name", 0},
		{"SELECT a FROM orders WHERE id = $2 AND b > $1 ORDER BY c", "orders", 1},
		{"SELECT a FROM order_name WHERE order_id = $1 ORDER BY length(name), name",
			"order_name", 0},
		{"SELECT 1 FROM held WHERE name IN ($1, $1 || '/6', $1 || '/7') AND pool = $2",
			"held", 0},
		{"SELECT a FROM held WHERE name = $1 AND pool = $2 UNION ALL SELECT a "
		 "FROM edge_record WHERE name = $1 AND pool = $2 LIMIT 1",
			"held edge_record", 0},
		{"SELECT max(length(r)) FROM (SELECT r FROM held WHERE name = $1) AS x", "held",
			0},
		/* More than the rows of one key: */
		{"SELECT min(next_at) FROM name WHERE order_id IS NULL", "name", -1},
		{"SELECT a FROM name WHERE name = $1 OR a = $2", "name", -1},
		{"SELECT a FROM name WHERE name > $1", "name", -1},
		{"SELECT a FROM name WHERE name IN ($1, $2)", "name", -1},
		{"SELECT a FROM name WHERE name IN ($1, 'www.' || $1)", "name", -1},
		{"SELECT a FROM name WHERE name IN ($1, $1 || '.www')", "name", -1},
		{"SELECT a FROM name WHERE name IN ($1 || '/6' || $2)", "name", -1},
		{"SELECT a FROM name WHERE name = $1 || 'x'", "name", -1},
		{"SELECT a FROM name WHERE name IN (SELECT b FROM edge)", "name edge", -1},
		{"SELECT a FROM name n WHERE n.name = $1", "name", -1},
		{"SELECT a FROM held WHERE name = $1 UNION ALL SELECT a FROM edge_record "
		 "WHERE name = $2",
			"held edge_record", -1},
		{"SELECT a FROM orders o JOIN name n ON n.name = o.b WHERE id = $1",
			"orders name", -1},
		{"SELECT a FROM orders WHERE id = $1 AND EXISTS (SELECT 1 FROM name WHERE "
		 "state = $2)",
			"orders name", -1},
		{"SELECT a FROM orders o, name n WHERE o.b = n.name", "orders name", -1},
		{"SELECT a FROM (SELECT b FROM orders LIMIT $1) o, pool p WHERE o.b = p.pool",
			"orders pool", -1},
		{"WITH k (w) AS (VALUES ($1), ($2)) SELECT w, (SELECT 1 FROM holder WHERE "
		 "name = w) FROM k",
			"holder", -1},
		/* Words that are no tables here: */
		{"SELECT pool, name, 'FROM orders' FROM edge WHERE pool = $1", "edge", -1},
		/* Tables that are not told apart: */
		{"SELECT a FROM cert WHERE version = $1", "cert", -1},
		{"SELECT a FROM name, cert", "name cert", -1},
		{"SELECT a IS DISTINCT FROM b FROM name", "name b", -1},
		{"SELECT 1", "", -1},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++)
		check(cases[i].text, true, bits_of(cases[i].tables), cases[i].key_arg);
}

static void writes_are_known_by_their_table(void **state)
{
	static const struct {
		const char *text;
		const char *table;
		int key_arg;
	} cases[] = {
		{"UPDATE orders SET a = $1, b = coalesce($2, b) WHERE id = $3", "orders", 2},
		{"UPDATE name SET a = (SELECT b FROM cert WHERE c = $1) WHERE name = $2 AND "
		 "(d <> $3 OR e <> $4)",
			"name", 1},
		{"DELETE FROM held WHERE name = $1 AND pool = $2", "held", 0},
		{"INSERT INTO edge_record (seq, pool, name) VALUES ($1, $2, $3)", "edge_record",
			2},
		{"INSERT INTO bucket (key, tat) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE "
		 "SET tat = excluded.tat",
			"bucket", 0},
		/* Any rows: */
		{"UPDATE orders SET a = $1", "orders", -1},
		{"UPDATE orders SET id = $1 WHERE id = $2", "orders", -1},
		{"UPDATE orders SET (a, id) = ($1, $2) WHERE id = $3", "orders", -1},
		{"UPDATE orders SET a = $1 WHERE id = $2 OR b = $3", "orders", -1},
		{"UPDATE orders SET a = $1 WHERE id = $2 + 1", "orders", -1},
		{"UPDATE orders SET a = $1 WHERE id IN (SELECT b FROM name WHERE name = $2)",
			"orders", -1},
		{"UPDATE name SET a = x.a FROM x WHERE name = $1", "name", -1},
		{"DELETE FROM held WHERE seq <= $1", "held", -1},
		{"INSERT INTO bucket (tat, key) SELECT tat, key FROM x", "bucket", -1},
		{"INSERT INTO bucket (key, tat) VALUES (lower($1), $2)", "bucket", -1},
		{"INSERT INTO bucket (key, tat) VALUES ($1, $2), ($3, $4)", "bucket", -1},
		{"INSERT INTO edge (pool, id) VALUES ($1, $2) ON CONFLICT (pool, id) DO "
		 "UPDATE SET a = $3",
			"edge", -1},
		{"INSERT INTO orders VALUES ($1)", "orders", -1},
		{"INSERT INTO history (name) VALUES ($1)", "history", -1},
		{"SAVEPOINT op", "", -1},
		{"RELEASE SAVEPOINT op", "", -1},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++)
		check(cases[i].text, false, bits_of(cases[i].table), cases[i].key_arg);
}

static void what_is_not_understood_may_write_anything(void **state)
{
	static const char *const texts[] = {"ROLLBACK TO SAVEPOINT op", "BEGIN", "COMMIT",
		"TRUNCATE name", "", "WITH x AS (DELETE FROM name RETURNING 1) SELECT 1 FROM x",
		"MERGE INTO name USING x ON true WHEN MATCHED THEN DO NOTHING"};

	for (size_t i = 0; i < CH_ARRAY_LEN(texts); i++)
		check(texts[i], false, CH_TOUCH_ALL, -1);
}

/* The table after each of the words within functions, which are what triggers do. */
static void check_function(const char *body, size_t len, const char *word)
{
	char text[4096];
	char table[64];

	assert_true(len < sizeof(text));
	memcpy(text, body, len);
	text[len] = '\0';
	/* DO UPDATE SET, and what a trigger says of TG_OP, name no table. */
	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
		if (sscanf(at + strlen(word), " %63[a-z_]", table) == 1 &&
			ch_touch_bit(table) != CH_TOUCH_OTHER)
			fail_msg("a trigger writes to %s: %s", table, text);
	}
}

static void no_trigger_writes_to_what_is_remembered(void **state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ch_migrations_postgres_n; i++) {
		const char *at = ch_migrations_postgres[i];

		while ((at = strstr(at, "AS $$"))) {
			const char *end = strstr(at + 5, "$$");

			assert_non_null(end);
			check_function(at, (size_t)(end - at), "UPDATE ");
			check_function(at, (size_t)(end - at), "INSERT INTO ");
			check_function(at, (size_t)(end - at), "DELETE FROM ");
			at = end + 2;
			n++;
		}
	}
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_are_known_by_their_tables),
		cmocka_unit_test(writes_are_known_by_their_table),
		cmocka_unit_test(what_is_not_understood_may_write_anything),
		cmocka_unit_test(no_trigger_writes_to_what_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
