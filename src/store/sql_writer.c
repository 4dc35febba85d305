/* The one thread that writes.  It takes what is queued, runs each operation in a savepoint of
 * one transaction, commits, and only then reports: an fsync is shared by all that waited. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "store/sql_ahead.h"
#include "store/sql_calendar.h"

#define BATCH_OPS 256
#define BATCH_MS 50
/* A commit costs much the same for one operation and for several: while they come in company,
 * commits keep this distance.  Programs at work on many names can wait longer than whoever
 * sends one request after the other. */
#define APART_MS 3
#define PATIENT_MS 10
#define CROWD_OPS 32
#define ASK_OPS 64
#define CAREFUL_BATCHES 100

static int run_op(struct ch_work *w, struct ch_store_op *op)
{
	switch (op->type) {
	case CH_OP_PUT:
		return ch_work_put(w, &op->u.put);
	case CH_OP_DELETE:
		return ch_work_delete(w, op->u.name.name);
	case CH_OP_RETRY:
		return ch_work_retry(w, op->u.name.name);
	case CH_OP_PAUSE:
		return ch_work_pause(w, op->u.name.name);
	case CH_OP_RESUME:
		return ch_work_resume(w, op->u.name.name);
	case CH_OP_LEASE:
		return ch_work_lease(w, &op->u.lease);
	case CH_OP_PATCH:
		return ch_work_patch(w, &op->u.patch);
	case CH_OP_PUBLISH:
		return ch_work_publish(w, &op->u.publish);
	case CH_OP_EDGE_ACK:
		return ch_work_edge_ack(w, &op->u.edge_ack);
	case CH_OP_EDGE_FORGET:
		return ch_work_edge_forget(w, &op->u.edge_forget);
	case CH_OP_TICKETS:
		return ch_work_tickets(w, &op->u.tickets);
	case CH_OP_HOUSEKEEP:
		return ch_work_housekeep(w, &op->u.housekeep);
	case CH_OP_POOL:
		return ch_work_pool(w, &op->u.pool);
	case CH_OP_RELEASE:
		return ch_work_release(w, &op->u.release);
	case CH_OP_ROLLBACK:
		return ch_work_rollback(w, &op->u.rollback);
	case CH_OP_STANDBY:
		return ch_work_standby(w, &op->u.standby);
	case CH_OP_REKEY:
		return ch_work_rekey(w, &op->u.rekey);
	case CH_OP_ASK_LEASE:
		return ch_work_ask_lease(w, &op->u.ask_lease);
	case CH_OP_ASK_WRITE:
		return ch_work_ask_write(w, &op->u.ask_write);
	case CH_OP_ALERTS:
		return ch_work_alerts(w, &op->u.alerts);
	case CH_OP_HANDBACK:
		return ch_work_handback(w, &op->u.handback);
	case CH_OP_ISSUER:
		return ch_work_issuer(w, &op->u.issuer);
	case CH_OP_WANTED:
		return ch_work_wanted(w, &op->u.wanted);
	case CH_OP_ADOPT:
		return ch_work_adopt(w, &op->u.adopt);
	default:
		return ch_err_set(&op->err, CH_EINVAL, "internal", "no such operation");
	}
}

static const char *problem_of(int rc)
{
	switch (rc) {
	case CH_EAGAIN:
	case CH_EUNSUPPORTED:
		return "store-busy";
	case CH_EFULL:
		return "store-full";
	default:
		return "internal";
	}
}

static void fail_op(struct ch_store_op *op, int rc, const char *text)
{
	op->rc = rc;
	if (op->err.rc == rc && op->err.problem[0])
		return; /* it said so itself */
	if (rc == CH_EFULL)
		ch_err_set(&op->err, rc, problem_of(rc),
			"nothing was changed: the database's disk is full, make room there "
			"(%.300s)",
			text);
	else
		ch_err_set(&op->err, rc, problem_of(rc), "%s: %.300s", ch_rc_str(rc), text);
}

struct batch {
	struct ch_store_op *ops[BATCH_OPS];
	size_t n;
	/* Of the last of these it is not known yet whether the database took what they wrote:
	 * it is asked when there is a reason, for that takes as long as the way there and back.
	 */
	size_t n_unsettled;
	uint64_t refusals; /* before them */
};

/* rc: the operation's own.  False: the database has refused something, of this operation or of
 * one before it. */
static bool settle(
	const struct ch_sql_store *store, struct ch_work *w, struct batch *batch, int *rc)
{
	int settled;

	if (!*rc && !store->careful && store->kind->refusals) {
		batch->n_unsettled++;
		return true;
	}
	settled = ch_db_settle(w->db);
	if (!*rc)
		*rc = settled;
	if (batch->n_unsettled && store->kind->refusals(w->db) != batch->refusals)
		return false;
	batch->n_unsettled = 0;
	if (store->kind->refusals)
		batch->refusals = store->kind->refusals(w->db);
	return true;
}

/* Returns false when the database has given up the whole transaction. */
static bool run_in_savepoint(const struct ch_sql_store *store, struct ch_work *w,
	struct batch *batch, struct ch_store_op *op)
{
	struct ch_work_tx before = w->tx;
	int rc = ch_db_run(w->db, "SAVEPOINT op", "");

	w->op = op;
	w->edges = NULL;
	w->ahead = NULL;
	if (!ch_ahead_outlives(op))
		w->gathered = NULL;
	w->ruled[0] = '\0';
	ch_slots_begin(w->slots);
	if (!rc)
		rc = run_op(w, op);
	if (!settle(store, w, batch, &rc))
		return false;
	if (rc)
		fail_op(op, rc, ch_db_text_of_error(w->db));
	if (!ch_db_in_transaction(w->db))
		return false;
	if (rc) {
		w->tx = before;
		ch_slots_rolled_back(w->slots);
		if (ch_db_run(w->db, "ROLLBACK TO SAVEPOINT op", ""))
			return false;
	}
	return ch_db_run(w->db, "RELEASE SAVEPOINT op", "") == CH_OK;
}

/* What issuers and edges write on their way. */
static bool is_patient(const struct ch_store_op *op)
{
	switch (op->type) {
	case CH_OP_LEASE:
	case CH_OP_PATCH:
	case CH_OP_PUBLISH:
	case CH_OP_EDGE_ACK:
	case CH_OP_ISSUER:
	case CH_OP_WANTED:
		return true;
	default:
		return false;
	}
}

static struct ch_store_op *take_op(struct ch_sql_store *store)
{
	struct ch_store_op *op;

	pthread_mutex_lock(&store->lock);
	op = store->queue_head;
	if (op) {
		store->queue_head = op->backend_next;
		if (!store->queue_head)
			store->queue_tail = &store->queue_head;
		store->queue_len--;
		store->queue_hasty -= !is_patient(op);
	}
	pthread_mutex_unlock(&store->lock);
	return op;
}

int ch_work_load_meta(struct ch_work *w)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT m.last_id, m.head, m.floor, m.epoch, s.compatible_from "
		"FROM meta m, certherd_schema s WHERE m.one = 1",
		"");

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	w->tx.last_id = ch_db_u64(stmt, 0);
	w->tx.head = ch_db_u64(stmt, 1);
	w->tx.floor = ch_db_u64(stmt, 2);
	ch_db_bytes(stmt, 3, w->epoch, CH_EPOCH_B, &rc);
	w->compatible_from = ch_db_u64(stmt, 4);
	w->tx.changed = false;
	w->tx.change = (struct ch_store_change){.feed_head = w->tx.head, .due_ms = INT64_MAX};
	return rc;
}

int ch_work_save_meta(struct ch_work *w, const struct ch_work_tx *before)
{
	if (before->last_id == w->tx.last_id && before->head == w->tx.head &&
		before->floor == w->tx.floor)
		return CH_OK;
	return ch_db_run(w->db,
		"UPDATE meta SET last_id = ?, head = ?, floor = ? WHERE one = 1", "iii",
		w->tx.last_id, w->tx.head, w->tx.floor);
}

void ch_sql_announce(struct ch_sql_store *store, const struct ch_store_change *change)
{
	void (*fn)(const struct ch_store_change *change, void *arg);
	void *arg;

	pthread_mutex_lock(&store->lock);
	fn = store->on_commit;
	arg = store->on_commit_arg;
	pthread_mutex_unlock(&store->lock);
	if (fn)
		fn(change, arg);
}

/* A newer store on the same database may have brought a schema in which this one would do harm.
 */
static int check_schema(struct ch_sql_store *store, const struct ch_work *w)
{
	struct ch_store_change change = {.is_outdated = true, .due_ms = INT64_MAX};

	if (w->compatible_from <= *store->kind->knows)
		return CH_OK;
	ch_sql_announce(store, &change);
	return CH_EUNSUPPORTED;
}

struct coming {
	const struct ch_store_op *ops[ASK_OPS];
	size_t n;
};

/* None of them goes away but by this thread. */
static void look_ahead(
	struct ch_sql_store *store, const struct ch_store_op *first, struct coming *coming)
{
	coming->ops[0] = first;
	coming->n = 1;
	pthread_mutex_lock(&store->lock);
	for (const struct ch_store_op *op = store->queue_head; op && coming->n < ASK_OPS;
		op = op->backend_next)
		coming->ops[coming->n++] = op;
	pthread_mutex_unlock(&store->lock);
}

/* With the transaction's own row comes what the operations begin with. */
static int load_with(struct ch_sql_store *store, struct ch_work *w, const struct coming *coming)
{
	uint64_t refusals = store->kind->refusals(w->db);
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < coming->n; i++) {
		rc = ch_work_ask_op(w, coming->ops[i]);
		if (!rc)
			rc = ch_ahead_gather(w, coming->ops[i]);
	}
	if (!rc)
		rc = ch_ahead_ask_gathered(w);
	if (!rc)
		rc = ch_work_load_meta(w);
	if (!rc)
		rc = check_schema(store, w);
	for (size_t i = 0; !rc && i < coming->n; i++) {
		rc = ch_work_ask_more(w, coming->ops[i]);
		/* What is wrong with one of them is for itself to say. */
		if (rc && store->kind->refusals(w->db) == refusals)
			rc = CH_OK;
	}
	return rc ? rc : ch_ahead_take_gathered(w);
}

static int load(struct ch_sql_store *store, struct ch_work *w, const struct ch_store_op *first)
{
	struct coming coming;
	int rc;

	if (store->kind->refusals && !store->careful) {
		look_ahead(store, first, &coming);
		return load_with(store, w, &coming);
	}
	rc = ch_work_load_meta(w);
	return rc ? rc : check_schema(store, w);
}

static int undo(struct ch_sql_store *store, struct ch_work *w)
{
	if (store->kind->rolled_back)
		store->kind->rolled_back(store);
	return ch_db_run(w->db, "ROLLBACK", "");
}

static int begin_once(
	struct ch_sql_store *store, struct ch_work *w, const struct ch_store_op *first)
{
	int rc = ch_db_run(w->db, store->kind->begin_write, "");

	if (!rc)
		rc = store->kind->begun(store, w);
	return rc ? rc : load(store, w, first);
}

/* What the database refuses to answer one of those that wait is not held against the first:
 * then nothing is asked ahead. */
static int begin(struct ch_sql_store *store, struct ch_work *w, const struct ch_store_op *first)
{
	uint64_t refusals = store->kind->refusals ? store->kind->refusals(w->db) : 0;
	int rc = begin_once(store, w, first);

	if (!rc || rc == CH_EAGAIN || rc == CH_EFULL || store->careful ||
		!store->kind->refusals || store->kind->refusals(w->db) == refusals ||
		!ch_db_in_transaction(w->db) || undo(store, w))
		return rc;
	store->careful = CAREFUL_BATCHES;
	w->gathered = NULL;
	return begin_once(store, w, first);
}

/* Runs first and what follows it in the queue; the transaction stays open on success. */
static int run_ops(struct ch_sql_store *store, struct ch_work *w, struct ch_store_op *first,
	struct batch *batch)
{
	int64_t began_ms = ch_mono_ms();
	struct ch_store_op *op = first;
	struct ch_work_tx before;
	int rc = store->kind->mend(w->db);

	batch->ops[batch->n++] = first;
	w->now = ch_now_ms();
	if (!rc)
		rc = begin(store, w, first);
	before = w->tx;
	if (store->kind->refusals)
		batch->refusals = store->kind->refusals(w->db);
	while (!rc) {
		if (!run_in_savepoint(store, w, batch, op)) {
			rc = op->rc ? op->rc : ch_db_rc(w->db);
			return rc ? rc : CH_EIO;
		}
		if (batch->n == BATCH_OPS || ch_mono_ms() - began_ms >= BATCH_MS)
			break;
		op = take_op(store);
		if (!op)
			break;
		batch->ops[batch->n++] = op;
	}
	return rc ? rc : ch_work_save_meta(w, &before);
}

/* With the lock held, for so long at the most. */
static void gather(struct ch_sql_store *store, int64_t wait_ms, enum ch_sql_awaits what)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (wait_ms < PATIENT_MS ? wait_ms : PATIENT_MS) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	store->awaits = what;
	while (wait_ms > 0 && !store->closing && store->queue_len < CROWD_OPS &&
		!(what == CH_AWAITS_HASTE && store->queue_hasty) &&
		pthread_cond_timedwait(&store->queue_cond, &store->lock, &until) == 0)
		continue;
	store->awaits = CH_AWAITS_ANY;
}

/* Waits for an operation, and for its company.  Who writes one after the other does not wait;
 * nor does a crowd.  False: the store is closing, and all is written. */
static bool await_ops(struct ch_sql_store *store, size_t before_n, int64_t before_ms)
{
	bool any;

	pthread_mutex_lock(&store->lock);
	while (!store->queue_head && !store->closing)
		pthread_cond_wait(&store->queue_cond, &store->lock);
	if (before_n > 1 || store->queue_len > 1) {
		gather(store, before_ms + APART_MS - ch_mono_ms(), CH_AWAITS_CROWD);
		gather(store, before_ms + PATIENT_MS - ch_mono_ms(), CH_AWAITS_HASTE);
	}
	any = store->queue_head != NULL;
	pthread_mutex_unlock(&store->lock);
	return any;
}

/* The transaction is lost.  What one operation of several did wrong is not held against the
 * others: they may come again, and for a while each is looked at by itself. */
static int roll_back(
	struct ch_sql_store *store, struct ch_work *w, const struct batch *batch, int rc)
{
	store->slots->loaded = false;
	if (!ch_db_in_transaction(w->db))
		return rc;
	(void)!undo(store, w);
	if (!batch->n_unsettled || batch->n < 2 || rc == CH_EAGAIN || rc == CH_EFULL)
		return rc;
	store->careful = CAREFUL_BATCHES;
	return CH_EAGAIN;
}

/* Returns how many there were. */
static size_t run_batch(struct ch_sql_store *store, struct ch_store_op *first)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_work w = {.db = store->writer,
		.edge_timeout_ms = store->edge_timeout_ms,
		.slots = store->slots};
	struct batch batch = {.n = 0};
	char text[256] = "";
	int rc = ch_arena_new(0, &arena);

	w.arena = arena;
	if (rc)
		batch.ops[batch.n++] = first;
	else
		rc = run_ops(store, &w, first, &batch);
	if (!rc)
		rc = store->kind->to_commit(store, &w);
	if (!rc)
		rc = ch_db_run(w.db, "COMMIT", "");
	if (!rc)
		rc = ch_db_settle(w.db);
	store->careful -= store->careful > 0;
	if (rc) {
		snprintf(text, sizeof(text), "%s", ch_db_text_of_error(w.db));
		rc = roll_back(store, &w, &batch, rc);
	} else if (w.tx.changed) {
		ch_sql_announce(store, &w.tx.change);
	}
	for (size_t i = 0; i < batch.n; i++) {
		if (rc) /* what it saw of its neighbours' changes is gone as well */
			fail_op(batch.ops[i], rc, text);
		batch.ops[i]->done(batch.ops[i], batch.ops[i]->user);
	}
	return batch.n;
}

static void *writer_main(void *arg)
{
	struct ch_sql_store *store = arg;
	int64_t ended_ms = 0;
	size_t n = 0;

	while (await_ops(store, n, ended_ms)) {
		n = run_batch(store, take_op(store));
		ended_ms = ch_mono_ms();
	}
	return NULL;
}

int ch_sql_writer_start(struct ch_sql_store *store)
{
	if (pthread_create(&store->thread, NULL, writer_main, store))
		return CH_EIO;
	store->thread_runs = true;
	return CH_OK;
}

void ch_sql_writer_stop(struct ch_sql_store *store)
{
	if (!store->thread_runs)
		return;
	pthread_mutex_lock(&store->lock);
	store->closing = true;
	pthread_cond_broadcast(&store->queue_cond);
	pthread_mutex_unlock(&store->lock);
	pthread_join(store->thread, NULL);
	store->thread_runs = false;
}

int ch_sql_submit(struct ch_store *base, struct ch_store_op *op)
{
	struct ch_sql_store *store = ch_sql_of(base);
	int rc = CH_OK;

	pthread_mutex_lock(&store->lock);
	if (store->closing) {
		rc = CH_ECANCELED;
	} else if (store->queue_len >= store->queue_max) {
		rc = CH_EAGAIN;
	} else {
		op->backend_next = NULL;
		*store->queue_tail = op;
		store->queue_tail = &op->backend_next;
		store->queue_len++;
		store->queue_hasty += !is_patient(op);
		if (store->awaits == CH_AWAITS_ANY || store->queue_len >= CROWD_OPS ||
			(store->awaits == CH_AWAITS_HASTE && store->queue_hasty))
			pthread_cond_signal(&store->queue_cond);
	}
	pthread_mutex_unlock(&store->lock);
	if (!rc)
		return CH_OK;
	op->rc = ch_err_set(&op->err, rc, "store-busy",
		rc == CH_EAGAIN ? "too many changes are waiting to be written; try again"
				: "the store is closing");
	return rc;
}
