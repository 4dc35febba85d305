#include "edge/replica.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "edge/replica_writer.h"

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

struct oldest {
	size_t newest_txn;
	size_t txn; /* 0: nobody reads an outdated snapshot */
};

/* One line per reader: "pid thread txnid", "-" for one that holds nothing. */
static int see_reader(const char *line, void *arg)
{
	struct oldest *oldest = arg;
	unsigned long long txn;

	if (sscanf(line, "%*d %*x %llu", &txn) == 1 && txn > 0 && txn < oldest->newest_txn &&
		(oldest->txn == 0 || txn < oldest->txn))
		oldest->txn = (size_t)txn;
	return 0;
}

int ch_replica_check_readers(struct ch_replica_writer *writer, int64_t *ret_stuck_ms)
{
	struct oldest oldest = {.txn = 0};
	MDB_envinfo info;
	int dead;
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
	mdb_rc = mdb_reader_check(writer->live.env, &dead);
	if (mdb_rc == 0)
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
