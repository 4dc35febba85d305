#include "edge/replica.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "edge/generation_walk.h"
#include "edge/replica_writer.h"

/* Workers that die of something else must not make us read all of it again and again. */
#define DEATH_WALK_EVERY_MS (10 * CH_MINUTE_MS)

/* What becomes of the files while the writer is at work: who reads them, and whether they are
 * still there. */

/* The lock is worth nothing once the file that bears it is no longer in the folder. */
static int check_writer_lock(const struct ch_replica_writer *writer, struct ch_err *err)
{
	char path[CH_REPLICA_PATH_B];
	struct stat held;
	struct stat named;

	if (ch_generation_path(path, writer->dir, CH_REPLICA_LOCK, NULL) == CH_OK &&
		fstat(writer->lock_fd, &held) == 0 && lstat(path, &named) == 0 &&
		held.st_dev == named.st_dev && held.st_ino == named.st_ino)
		return CH_OK;
	return ch_err_set(err, CH_ECORRUPT, "replica-lost", "%s was removed or replaced", path);
}

/* Readers that come now find the live generation by it. */
static int mend_pointer(struct ch_replica_writer *writer, struct ch_err *err)
{
	char name[CH_GENERATION_NAME_B];
	struct ch_err found = {.rc = CH_OK};
	int rc = ch_generation_read_pointer(writer->dir, CH_REPLICA_CURRENT, name, &found);

	if (rc == CH_OK && strcmp(name, writer->live.name) == 0)
		return CH_OK;
	if (rc == CH_OK)
		(void)ch_err_set(&found, CH_ECORRUPT, "replica-pointer",
			"%s/" CH_REPLICA_CURRENT " names another generation", writer->dir);
	rc = ch_replica_write_pointer(writer, CH_REPLICA_CURRENT, writer->live.name, err);
	if (rc == CH_OK && err)
		*err = found;
	return rc;
}

void ch_replica_writer_heard(struct ch_replica_writer *writer)
{
	(void)futimens(writer->lock_fd, NULL);
}

int ch_replica_writer_look(struct ch_replica_writer *writer, struct ch_err *err)
{
	int rc = check_writer_lock(writer, err);

	if (err && rc == CH_OK)
		err->rc = CH_OK;
	if (rc == CH_OK && writer->build.env)
		rc = ch_generation_check_same(writer->dir, &writer->build, err);
	if (rc || !writer->live.env)
		return rc;
	rc = ch_generation_check_same(writer->dir, &writer->live, err);
	/* As a worker of nginx does that starts now. */
	if (rc == CH_OK)
		rc = ch_generation_check(writer->dir, writer->live.name, err);
	return rc ? rc : mend_pointer(writer, err);
}

/* Readers of dead processes are removed, and seen once: so whoever removes them notes it. */
static int see_dead_readers(struct ch_replica_writer *writer)
{
	int dead = 0;
	int mdb_rc = mdb_reader_check(writer->live.env, &dead);

	if (dead > 0)
		writer->died = true;
	return mdb_rc ? ch_lmdb_rc(mdb_rc) : CH_OK;
}

void ch_replica_forget_live(struct ch_replica_writer *writer)
{
	if (writer->walker)
		ch_generation_walk_stop(writer->walker);
	writer->walker = 0;
	writer->stuck_txn = 0;
	/* Those who died before it was opened died before it was looked through. */
	if (writer->live.env)
		(void)see_dead_readers(writer);
	writer->died = false;
	writer->death_walk_ms = 0;
	writer->walk_ms = ch_mono_ms();
}

static int begin_walk(struct ch_replica_writer *writer, int64_t every_ms, struct ch_err *err)
{
	int64_t now = ch_mono_ms();
	bool after_death =
		writer->died && (writer->death_walk_ms == 0 ||
					now - writer->death_walk_ms >= DEATH_WALK_EVERY_MS);

	if (!after_death && (every_ms == 0 || now - writer->walk_ms < every_ms))
		return CH_OK;
	writer->walk_ms = now;
	writer->died = false;
	if (after_death)
		writer->death_walk_ms = now;
	return ch_generation_walk_begin(
		writer->dir, writer->live.name, !after_death, &writer->walker, err);
}

int ch_replica_writer_walk(
	struct ch_replica_writer *writer, int64_t every_ms, struct ch_err *err)
{
	struct ch_err found = {.rc = CH_OK};
	int rc;

	if (!writer->live.env)
		return CH_OK;
	if (!writer->walker) {
		rc = see_dead_readers(writer);
		if (rc)
			return ch_err_set(err, rc, "replica-readers",
				"readers of the replica cannot be looked at: %s",
				ch_rc_str(rc));
		return begin_walk(writer, every_ms, err);
	}
	rc = ch_generation_walk_ask(writer->walker, writer->live.name, &found);
	if (rc == CH_EAGAIN && strcmp(found.problem, CH_PROBLEM_WALKING) == 0)
		return CH_OK;
	writer->walker = 0;
	if (rc == CH_ECORRUPT)
		ch_replica_withdraw(writer, &found);
	if (rc && err)
		*err = found;
	return rc;
}

struct oldest {
	pid_t walker; /* does not count: it ends by itself */
	size_t newest_txn;
	size_t txn; /* 0: nobody reads an outdated snapshot */
};

/* One line per reader: "pid thread txnid", "-" for one that holds nothing. */
static int see_reader(const char *line, void *arg)
{
	struct oldest *oldest = arg;
	unsigned long long txn;
	int pid;

	if (sscanf(line, "%d %*x %llu", &pid, &txn) == 2 && pid != oldest->walker && txn > 0 &&
		txn < oldest->newest_txn && (oldest->txn == 0 || txn < oldest->txn))
		oldest->txn = (size_t)txn;
	return 0;
}

int ch_replica_check_readers(struct ch_replica_writer *writer, int64_t *ret_stuck_ms)
{
	struct oldest oldest = {.walker = writer->walker};
	MDB_envinfo info;
	int rc;
	int mdb_rc;

	if (!writer->live.env) {
		*ret_stuck_ms = 0;
		return CH_OK;
	}
	ch_replica_sweep(writer);
	rc = ch_generation_check_size(&writer->live);
	if (rc)
		return rc;
	rc = see_dead_readers(writer);
	if (rc)
		return rc;
	mdb_rc = mdb_env_info(writer->live.env, &info);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	oldest.newest_txn = info.me_last_txnid;
	mdb_rc = mdb_reader_list(writer->live.env, see_reader, &oldest);
	if (mdb_rc < 0)
		return ch_lmdb_rc(mdb_rc);
	if (oldest.txn == 0 || oldest.txn != writer->stuck_txn)
		writer->stuck_since_ms = ch_mono_ms();
	writer->stuck_txn = oldest.txn;
	*ret_stuck_ms = oldest.txn ? ch_mono_ms() - writer->stuck_since_ms : 0;
	return CH_OK;
}
