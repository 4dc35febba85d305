#include "memory_store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define TABLES_MAX 32

static sqlite3 *db; /* beside the store's own connections */
static char *restore[TABLES_MAX];
static size_t n_restore;

static void run(const char *sql)
{
	CH_FUZZ_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

/* SQLite's own file system in memory: a path is shared by the connections of the process. */
static void use_memory(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("memdb");

	CH_FUZZ_CHECK(vfs && sqlite3_vfs_register(vfs, 1) == SQLITE_OK);
}

struct ch_store *ch_fuzz_store_open(void)
{
	char folder[] = "/tmp/certherd-fuzz-XXXXXX";
	struct ch_store_options options = {.edge_timeout_ms = 60000, .readers = 1};
	struct ch_store *store = NULL;
	struct ch_err err = {0};
	char database[64];
	char lock[64];

	use_memory();
	CH_FUZZ_CHECK(mkdtemp(folder));
	snprintf(database, sizeof(database), "sqlite:%s/db", folder);
	snprintf(lock, sizeof(lock), "%s/db.lock", folder);
	options.database = database;
	CH_FUZZ_CHECK(ch_store_open(&options, &store, &err) == CH_OK);
	CH_FUZZ_CHECK(sqlite3_open(strchr(database, '/'), &db) == SQLITE_OK);
	/* The store makes these beside the database; nobody needs them any more. */
	CH_FUZZ_CHECK(!unlink(strchr(database, '/')) && !unlink(lock) && !rmdir(folder));
	run("UPDATE meta SET epoch = x'000102030405060708090a0b0c0d0e0f';"
	    "ATTACH ':memory:' AS kept");
	return store;
}

void ch_fuzz_store_number(uint64_t next)
{
	char *sql = sqlite3_mprintf("UPDATE meta SET last_id = %llu WHERE last_id < %llu",
		(unsigned long long)next - 1, (unsigned long long)next);

	run(sql);
	CH_FUZZ_CHECK(sqlite3_changes(db) == 1);
	sqlite3_free(sql);
}

static void keep_table(const char *name)
{
	char *sql = sqlite3_mprintf(
		"CREATE TABLE kept.\"%w\" AS SELECT * FROM main.\"%w\"", name, name);

	run(sql);
	sqlite3_free(sql);
	CH_FUZZ_CHECK(n_restore < TABLES_MAX);
	restore[n_restore++] = sqlite3_mprintf("DELETE FROM main.\"%w\";"
					       "INSERT INTO main.\"%w\" "
					       "SELECT * FROM kept.\"%w\"",
		name, name, name);
}

void ch_fuzz_store_keep(void)
{
	/* Triggers count in `counter`: it has to come last. */
	static const char list[] =
		"SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE "
		"'sqlite_%' ORDER BY name = 'counter'";
	sqlite3_stmt *stmt;
	char names[TABLES_MAX][64];
	size_t n = 0;

	CH_FUZZ_CHECK(sqlite3_prepare_v2(db, list, -1, &stmt, NULL) == SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW && n < TABLES_MAX)
		snprintf(names[n++], sizeof(names[0]), "%s",
			(const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	CH_FUZZ_CHECK(n > 0);
	for (size_t i = 0; i < n; i++)
		keep_table(names[i]);
}

void ch_fuzz_store_reset(void)
{
	run("BEGIN IMMEDIATE");
	for (size_t i = 0; i < n_restore; i++)
		run(restore[i]);
	run("COMMIT");
}
