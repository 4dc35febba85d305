/* PostgreSQL: any number of stores on one database.  One of them writes at a time, under an
 * advisory lock that is held until the commit; so ids and numbers of the feed come in the order
 * of commits, as with one store.  The others hear of each commit by NOTIFY. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/counters.h"
#include "store/db_postgres.h"
#include "store/migrations.h"
#include "store/postgres_migrate.h"
#include "store/sql_calendar.h"
#include "store/transfer.h"

#define LOOK_MS 2000 /* so often without a notification, should they be lost */
#define AWAY_MS 500  /* between attempts to connect */

/* A store that hangs, or is cut off, must not keep the others from writing.  Every statement
 * has an index; a plan made while tables were empty must not stay one without. */
#define SETUP                                                                                  \
	"SET client_min_messages = warning; SET jit = off; SET enable_seqscan = off;"          \
	"SET plan_cache_mode = force_generic_plan; SET statement_timeout = '60s';"             \
	"SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s';"           \
	"SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2;"                        \
	"SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000;"

struct postgres_store {
	struct ch_sql_store sql; /* first */
	const char *url;	 /* while it is opened */
	uint64_t times;		 /* of the writer's connection: its server was looked at */

	struct ch_db *listener; /* the thread's alone */
	pthread_t listener_thread;
	bool listens;
	int stop_fd;
	uint64_t head; /* that was told */
	char id[17];   /* in what it notifies: its own are no news */
};

static struct postgres_store *postgres_of(struct ch_sql_store *store)
{
	return (struct postgres_store *)store;
}

/* ---- the writer ---- */

/* On another timeline changes may be missing that edges have seen: they are to compare all. */
static int check_timeline(struct ch_db *db)
{
	/* They may also hand back what was lost, under ids that are not to come again. */
	int rc = ch_db_run(db,
		"INSERT INTO counter (key, n) SELECT '" CH_COUNTER_HANDBACK_UNTIL
		"', ? FROM meta "
		"WHERE timeline NOT IN ('', substr(pg_walfile_name(pg_current_wal_lsn()), 1, "
		"8)) "
		"ON CONFLICT (key) DO UPDATE SET n = excluded.n",
		"i", ch_now_ms() + CH_RESTORE_WINDOW_MS);

	if (rc)
		return rc;
	return ch_db_run(db,
		"UPDATE meta SET epoch = iif(timeline = '', epoch, "
		"uuid_send(gen_random_uuid())), "
		"last_id = last_id + iif(timeline = '', 0, 1000000), "
		"timeline = substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) "
		"WHERE one = 1 AND timeline <> substr(pg_walfile_name(pg_current_wal_lsn()), "
		"1, 8)",
		"");
}

static int postgres_begun(struct ch_sql_store *base, struct ch_work *w)
{
	struct postgres_store *store = postgres_of(base);
	uint64_t times = ch_db_postgres_times(w->db);
	int rc = ch_db_run(
		w->db, "SELECT pg_advisory_xact_lock(" CH_POSTGRES_WRITER_LOCK ")", "");

	if (rc || times == store->times)
		return rc;
	rc = check_timeline(w->db);
	if (!rc)
		rc = ch_db_settle(w->db);
	if (!rc)
		store->times = times;
	return rc;
}

/* What was found out about the server may have been undone. */
static void postgres_rolled_back(struct ch_sql_store *base)
{
	postgres_of(base)->times = 0;
}

static int postgres_to_commit(struct ch_sql_store *store, struct ch_work *w)
{
	const struct ch_store_change *change = &w->tx.change;
	char text[128];

	if (!w->tx.changed)
		return CH_OK;
	snprintf(text, sizeof(text), "%s %" PRIu64 " %d %d %d %" PRId64, postgres_of(store)->id,
		change->feed_head, change->feed, change->acks, change->held, change->due_ms);
	return ch_db_run(w->db, "SELECT pg_notify('certherd', ?)", "t", text);
}

/* ---- the listener ---- */

static void merge(struct ch_store_change *into, const struct ch_store_change *one)
{
	into->feed |= one->feed;
	into->acks |= one->acks;
	into->held |= one->held;
	if (one->feed_head > into->feed_head)
		into->feed_head = one->feed_head;
	if (one->due_ms < into->due_ms)
		into->due_ms = one->due_ms;
}

struct heard {
	const char *own_id;
	struct ch_store_change change;
	bool any;
	uint64_t own_head;
};

static void hear(const char *text, void *arg)
{
	struct heard *heard = arg;
	struct ch_store_change one = {.feed_head = 0};
	int feed;
	int acks;
	int held;
	char id[17];

	if (sscanf(text, "%16s %" SCNu64 " %d %d %d %" SCNd64, id, &one.feed_head, &feed, &acks,
		    &held, &one.due_ms) != 6)
		return;
	if (strcmp(id, heard->own_id) == 0) {
		heard->own_head = one.feed_head;
		return;
	}
	one.feed = feed;
	one.acks = acks;
	one.held = held;
	merge(&heard->change, &one);
	heard->any = true;
}

static int read_head(struct ch_db *db, uint64_t *ret_head)
{
	int64_t head = 0;
	int rc = ch_db_get_i64(db, &head, "SELECT head FROM meta WHERE one = 1", "");

	*ret_head = (uint64_t)head;
	return rc;
}

/* What may have been missed: everything is looked at. */
static int look(struct postgres_store *store, bool always)
{
	struct ch_store_change change = {.feed = true, .acks = true, .held = true};
	int rc = read_head(store->listener, &change.feed_head);

	if (rc || (!always && change.feed_head <= store->head))
		return rc;
	store->head = change.feed_head;
	ch_sql_announce(&store->sql, &change);
	return CH_OK;
}

static int listen_once(struct postgres_store *store, uint64_t *times)
{
	struct heard heard = {.own_id = store->id, .change = {.due_ms = INT64_MAX}};
	int rc = ch_db_postgres_mend(store->listener);

	if (rc)
		return rc;
	if (*times != ch_db_postgres_times(store->listener)) {
		rc = ch_db_script(store->listener, "LISTEN certherd");
		if (!rc)
			rc = *times ? look(store, true)
				    : read_head(store->listener, &store->head);
		if (rc)
			return rc;
		*times = ch_db_postgres_times(store->listener);
	}
	rc = ch_db_postgres_notified(store->listener, LOOK_MS, store->stop_fd, hear, &heard);
	if (heard.own_head > store->head)
		store->head = heard.own_head;

	if (rc || !heard.any)
		return rc ? rc : look(store, false);
	if (heard.change.feed_head > store->head)
		store->head = heard.change.feed_head;
	ch_sql_announce(&store->sql, &heard.change);
	return CH_OK;
}

static bool is_closing(struct ch_sql_store *store)
{
	bool closing;

	pthread_mutex_lock(&store->lock);
	closing = store->closing;
	pthread_mutex_unlock(&store->lock);
	return closing;
}

static void *listener_main(void *arg)
{
	struct postgres_store *store = arg;
	uint64_t times = 0;

	while (!is_closing(&store->sql)) {
		struct timespec pause = {.tv_nsec = AWAY_MS * 1000000L};

		if (listen_once(store, &times))
			nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- open and close ---- */

static int open_connection(
	struct ch_sql_store *store, struct ch_db **ret_db, struct ch_err *err)
{
	return ch_db_postgres_open(postgres_of(store)->url, SETUP, ret_db, err);
}

static void postgres_close(struct ch_sql_store *base)
{
	struct postgres_store *store = postgres_of(base);
	uint64_t one = 1;

	if (store->listens) {
		pthread_mutex_lock(&base->lock);
		base->closing = true;
		pthread_mutex_unlock(&base->lock);
		(void)!write(store->stop_fd, &one, sizeof(one));
		pthread_join(store->listener_thread, NULL);
	}
	ch_db_close(store->listener);
	if (store->stop_fd >= 0)
		close(store->stop_fd);
}

static const struct ch_sql_kind postgres_kind = {
	.refusals = ch_db_postgres_refusals,
	.begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	.begin_write = "BEGIN ISOLATION LEVEL READ COMMITTED",
	.schema = "SELECT version FROM certherd_schema",
	.knows = &ch_migrations_postgres_n,
	.mend = ch_db_postgres_mend,
	.begun = postgres_begun,
	.to_commit = postgres_to_commit,
	.rolled_back = postgres_rolled_back,
	.close = postgres_close,
};

static int open_writer(struct ch_sql_store *store, struct ch_err *err)
{
	int rc = open_connection(store, &store->writer, err);

	if (!rc)
		rc = ch_postgres_migrate(store->writer, err);
	if (rc)
		return rc;
	store->slots = calloc(1, sizeof(*store->slots));
	return store->slots ? CH_OK : ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
}

static int open_parts(struct postgres_store *store, const struct ch_store_options *options,
	struct ch_err *err)
{
	int rc = open_writer(&store->sql, err);

	if (!rc)
		rc = ch_sql_open_readers(&store->sql, options->readers, open_connection, err);
	if (!rc)
		rc = open_connection(&store->sql, &store->listener, err);
	if (rc)
		return rc;
	store->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store->stop_fd < 0 || ch_sql_writer_start(&store->sql))
		return ch_err_set(err, CH_EIO, "internal", "cannot start the writer thread");
	store->listens =
		pthread_create(&store->listener_thread, NULL, listener_main, store) == 0;
	return store->listens ? CH_OK
			      : ch_err_set(err, CH_EIO, "internal", "cannot start a thread");
}

int ch_postgres_open(const char *url, const struct ch_store_options *options,
	struct ch_store **ret_store, struct ch_err *err)
{
	struct postgres_store *store = calloc(1, sizeof(*store));
	uint64_t number = 0;
	int rc;

	if (!store)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	ch_sql_init(&store->sql, &postgres_kind, options);
	store->stop_fd = -1;
	store->url = url;
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
		ch_sql_close(&store->sql.base);
		return ch_err_set(err, CH_EIO, "internal", "no random bytes");
	}
	snprintf(store->id, sizeof(store->id), "%016" PRIx64, number);
	rc = open_parts(store, options, err);
	store->url = NULL;
	if (rc) {
		ch_sql_close(&store->sql.base);
		return rc;
	}
	*ret_store = &store->sql.base;
	return CH_OK;
}
