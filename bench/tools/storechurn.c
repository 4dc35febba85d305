/* Changes certificates in a store's database, beside the store that serves it:
 *
 *   storechurn DATABASE SIGNING-KEY SUFFIX NAMES RATE SECONDS
 *
 * RATE records a second, of the names n<number>.SUFFIX drawn at random, get the next version, a
 * new signature and the next place in the feed, in a transaction every hundredth of a second.
 * The store sees them when its edges ask next; nothing wakes those that wait.  Prints how many
 * it changed, and how long that took. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/sign.h"
#include "wire/record.h"

#define STEPS_PER_S 100
#define BUSY_MS 30000

static sqlite3 *db;

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "storechurn: %s: %s\n", what, detail);
	exit(1);
}

static void need(int rc, int expected)
{
	if (rc != expected)
		die("database", sqlite3_errmsg(db));
}

static void run(const char *sql)
{
	need(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *stmt;

	need(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	return stmt;
}

struct churn {
	const struct ch_sign_key *key;
	sqlite3_stmt *find;
	sqlite3_stmt *change;
	sqlite3_int64 seq;
	sqlite3_int64 version;
	unsigned names;
	uint64_t random;
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* The key stays, and so does what it is sealed with. */
static void change_one(struct churn *churn, const char *suffix)
{
	CH_AUTO_BUF struct ch_buf bytes;
	struct ch_record record;
	char name[300];

	snprintf(name, sizeof(name), "n%llu.%s",
		(unsigned long long)(next_random(&churn->random) % churn->names), suffix);
	sqlite3_bind_text(churn->find, 1, name, -1, SQLITE_STATIC);
	need(sqlite3_step(churn->find), SQLITE_ROW);
	if (ch_record_decode(sqlite3_column_blob(churn->find, 0),
		    (size_t)sqlite3_column_bytes(churn->find, 0), &record) ||
		record.kind != CH_RECORD_CERT)
		die(name, "has no certificate");
	record.version = (uint64_t)++churn->version;
	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	if (ch_record_sign(&record, churn->key, &bytes))
		die(name, "cannot be signed");
	need(sqlite3_reset(churn->find), SQLITE_OK);
	sqlite3_bind_int64(churn->change, 1, ++churn->seq);
	sqlite3_bind_int64(churn->change, 2, churn->version);
	sqlite3_bind_blob(churn->change, 3, bytes.data, (int)bytes.len, SQLITE_STATIC);
	sqlite3_bind_text(churn->change, 4, name, -1, SQLITE_STATIC);
	need(sqlite3_step(churn->change), SQLITE_DONE);
	need(sqlite3_reset(churn->change), SQLITE_OK);
}

static void change_some(struct churn *churn, unsigned n, const char *suffix)
{
	sqlite3_stmt *meta;
	char sql[160];

	run("BEGIN IMMEDIATE");
	meta = prepare("SELECT head, last_id FROM meta");
	need(sqlite3_step(meta), SQLITE_ROW);
	churn->seq = sqlite3_column_int64(meta, 0);
	churn->version = sqlite3_column_int64(meta, 1);
	sqlite3_finalize(meta);
	while (n--)
		change_one(churn, suffix);
	snprintf(sql, sizeof(sql), "UPDATE meta SET head = %lld, last_id = %lld; COMMIT",
		(long long)churn->seq, (long long)churn->version);
	run(sql);
}

int main(int argc, char **argv)
{
	struct ch_sign_key *key;
	struct churn churn = {.random = 1};
	struct ch_err err;
	int64_t began_ms = ch_mono_ms();
	unsigned long done = 0;
	double rate;
	int64_t last_ms;

	if (argc != 7)
		die("usage", "storechurn DATABASE SIGNING-KEY SUFFIX NAMES RATE SECONDS");
	churn.names = (unsigned)strtoul(argv[4], NULL, 10);
	rate = atof(argv[5]);
	last_ms = began_ms + atol(argv[6]) * CH_SECOND_MS;
	if (ch_sign_key_load(argv[2], &key, &err))
		die(argv[2], err.detail);
	churn.key = key;
	if (sqlite3_open(argv[1], &db))
		die(argv[1], "cannot be opened");
	sqlite3_busy_timeout(db, BUSY_MS);
	run("PRAGMA synchronous = OFF"); /* it is not what is measured */
	churn.find =
		prepare("SELECT record FROM edge_record WHERE name = ?1 AND pool = 'default'");
	churn.change = prepare("UPDATE edge_record SET seq = ?1, version = ?2, record = ?3 "
			       "WHERE name = ?4 AND pool = 'default'");
	for (int64_t now_ms; (now_ms = ch_mono_ms()) < last_ms;) {
		unsigned long due =
			(unsigned long)((double)(now_ms - began_ms) * rate / CH_SECOND_MS);

		if (due > done)
			change_some(&churn, (unsigned)(due - done), argv[3]);
		done = due > done ? due : done;
		usleep(1000000 / STEPS_PER_S);
	}
	printf("{\"changed\": %lu, \"wall_s\": %.3f}\n", done,
		(double)(ch_mono_ms() - began_ms) / CH_SECOND_MS);
	ch_sign_key_free(key);
	return 0;
}
