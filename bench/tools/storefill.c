/* Fills a new store's database with the records of a replica (tests/tools/mkreplica.c), for
 * what is read from it: storefill REPLICA DATABASE.  There are no orders and no history. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "edge/replica.h"
#include "store/store.h"

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "storefill: %s: %s\n", what, detail);
	exit(1);
}

static void make_schema(const char *path)
{
	char database[1100];
	struct ch_store_options options = {.database = database, .edge_timeout_ms = 60000};
	struct ch_store *store;
	struct ch_err err;

	snprintf(database, sizeof(database), "sqlite:%s", path);
	if (ch_store_open(&options, &store, &err))
		die(path, err.detail);
	ch_store_close(store);
}

static void need(sqlite3 *db, int rc, int expected)
{
	if (rc != expected)
		die("database", sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;

	need(db, sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	return stmt;
}

static void run(sqlite3 *db, sqlite3_stmt *stmt)
{
	need(db, sqlite3_step(stmt), SQLITE_DONE);
	need(db, sqlite3_reset(stmt), SQLITE_OK);
}

struct fill {
	sqlite3 *db;
	struct ch_replica_reader *reader;
	sqlite3_stmt *record;
	sqlite3_stmt *chain;
	uint64_t seq;
};

static void add_chain(struct fill *fill, const uint8_t *id)
{
	const uint8_t *block;
	size_t len;

	if (ch_replica_get_chain(fill->reader, id, &block, &len))
		die("replica", "a chain is missing");
	sqlite3_bind_blob(fill->chain, 1, id, CH_CHAIN_ID_B, SQLITE_STATIC);
	sqlite3_bind_blob(fill->chain, 2, block, (int)len, SQLITE_STATIC);
	run(fill->db, fill->chain);
}

static void add_record(struct fill *fill, const struct ch_replica_entry *entry)
{
	struct ch_record record;

	if (ch_record_decode(entry->bytes, entry->len, &record) ||
		record.kind != CH_RECORD_CERT)
		die("replica", "a record is no certificate");
	add_chain(fill, record.chain_id);
	sqlite3_bind_int64(fill->record, 1, (sqlite3_int64)++fill->seq);
	sqlite3_bind_text(fill->record, 2, entry->key, (int)entry->key_len, SQLITE_STATIC);
	sqlite3_bind_int64(fill->record, 3, (sqlite3_int64)record.version);
	sqlite3_bind_blob(fill->record, 4, entry->bytes, (int)entry->len, SQLITE_STATIC);
	sqlite3_bind_blob(fill->record, 5, record.chain_id, CH_CHAIN_ID_B, SQLITE_STATIC);
	sqlite3_bind_int64(fill->record, 6, ch_now_ms());
	run(fill->db, fill->record);
}

int main(int argc, char **argv)
{
	struct fill fill = {.seq = 0};
	struct ch_replica_entry entry = {.key_len = 0};
	struct ch_err err;

	if (argc != 3)
		die("usage", "storefill REPLICA DATABASE");
	make_schema(argv[2]);
	if (sqlite3_open(argv[2], &fill.db))
		die(argv[2], "cannot be opened");
	if (ch_replica_reader_open(argv[1], &fill.reader, &err) ||
		ch_replica_begin(fill.reader))
		die(argv[1], err.detail);
	run(fill.db, prepare(fill.db, "BEGIN"));
	fill.record = prepare(fill.db, "INSERT INTO edge_record (seq, pool, name, version, "
				       "kind, record, chain_id, at) "
				       "VALUES (?1, 'default', ?2, ?3, 2, ?4, ?5, ?6)");
	fill.chain = prepare(fill.db, "INSERT OR IGNORE INTO chain VALUES (?1, ?2)");
	while (ch_replica_next(fill.reader, entry.key, entry.key_len, &entry) == CH_OK)
		if (!memchr(entry.key, '/', entry.key_len))
			add_record(&fill, &entry);
	ch_replica_end(fill.reader);
	run(fill.db,
		prepare(fill.db, "UPDATE meta SET head = (SELECT max(seq) FROM edge_record), "
				 "last_id = (SELECT max(version) FROM edge_record)"));
	run(fill.db, prepare(fill.db, "COMMIT"));
	for (sqlite3_stmt *stmt; (stmt = sqlite3_next_stmt(fill.db, NULL));)
		sqlite3_finalize(stmt);
	need(fill.db, sqlite3_close(fill.db), SQLITE_OK); /* all is in the one file then */
	ch_replica_reader_free(fill.reader);
	printf("%llu\n", (unsigned long long)fill.seq);
	return 0;
}
