/* What only the writer does with a generation, before it opens it. */
#include "edge/generation_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/record.h"

enum { WALK_WHOLE = 10, WALK_UNSUPPORTED, WALK_FAILED }; /* anything else: damaged */

/* A record that cannot be served is as bad as a page that cannot be read. */
static bool is_record(const MDB_val *key, const MDB_val *val)
{
	char own[CH_RECORD_KEY_B];
	struct ch_record record;
	int rc = ch_record_decode(val->mv_data, val->mv_size, &record);

	if (rc)
		return rc == CH_EUNSUPPORTED;
	return ch_record_key(record.kind, record.name, record.name_len, own) == key->mv_size &&
	       memcmp(own, key->mv_data, key->mv_size) == 0;
}

static bool is_whole(MDB_txn *txn, MDB_dbi dbi, bool of_records)
{
	MDB_cursor *cursor;
	MDB_stat stat;
	MDB_val key;
	MDB_val val;
	size_t n = 0;

	if (mdb_stat(txn, dbi, &stat) || mdb_cursor_open(txn, dbi, &cursor))
		return false;
	/* Pages that lead in circles must not keep it here. */
	while (n <= stat.ms_entries && mdb_cursor_get(cursor, &key, &val, MDB_NEXT) == 0) {
		if (of_records && !is_record(&key, &val))
			return false;
		n++;
	}
	return n == stat.ms_entries;
}

static int walk(const char *dir, const char *name)
{
	const struct ch_generation_open how = {.writer = false};
	struct ch_generation gen;
	MDB_txn *txn;
	bool whole;
	int rc = ch_generation_open(dir, name, &how, &gen, NULL);

	if (rc == CH_ECORRUPT)
		return CH_ECORRUPT;
	if (rc)
		return rc == CH_EUNSUPPORTED ? WALK_UNSUPPORTED : WALK_FAILED;
	if (mdb_txn_begin(gen.env, NULL, MDB_RDONLY, &txn))
		return WALK_FAILED;
	whole = is_whole(txn, gen.meta, false) && is_whole(txn, gen.chains, false) &&
		is_whole(txn, gen.names, true) && is_whole(txn, gen.extras, true);
	/* Else its place in the table of readers would stay taken, and keep pages from being
	 * used again, until somebody looks for the dead. */
	mdb_txn_abort(txn);
	ch_generation_close(&gen);
	return whole ? WALK_WHOLE : CH_ECORRUPT;
}

/* LMDB has no checksums, and rubbish in its pages makes it crash: that must happen to a child.
 */
_Noreturn static void walk_in_child(const char *dir, const char *name, pid_t parent)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
	int null;

	/* Whatever the process would do about a crash of its own. */
	for (size_t i = 0; i < CH_ARRAY_LEN(crashes); i++)
		signal(crashes[i], SIG_DFL);
	/* It must not outlive a writer that is killed, holding the writer's lock. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(WALK_FAILED);
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	null = open("/dev/null", O_WRONLY);
	/* What an assertion of LMDB prints there says nothing to an operator. */
	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
	_exit(walk(dir, name));
}

int ch_generation_walk(const char *dir, const char *name, struct ch_err *err)
{
	pid_t self = getpid();
	pid_t pid = fork();
	int status;

	if (pid == 0)
		walk_in_child(dir, name, self);
	if (pid < 0)
		return ch_err_set(err, CH_EAGAIN, "replica-walk",
			"cannot make a process that looks through replica %s: %s", name,
			strerror(errno));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return ch_err_set(err, CH_EIO, "replica-walk",
				"cannot wait for a look through replica %s: %s", name,
				strerror(errno));
	/* Whoever opens it gets to hear of what is no damage. */
	if (WIFEXITED(status) &&
		(WEXITSTATUS(status) == WALK_WHOLE || WEXITSTATUS(status) == WALK_UNSUPPORTED ||
			WEXITSTATUS(status) == WALK_FAILED))
		return CH_OK;
	return ch_err_set(
		err, CH_ECORRUPT, "replica-damaged", "pages of replica %s are damaged", name);
}

/* LMDB's header, and an entry for each reader. */
#define LOCK_HEAD_B 192
#define LOCK_READER_B 64

int ch_generation_reserve_lock(const char *dir, const char *name, unsigned max_readers,
	bool create, struct ch_err *err)
{
	unsigned readers = max_readers ? max_readers : CH_REPLICA_READERS_MAX;
	char path[CH_REPLICA_PATH_B];
	CH_AUTO_CLOSE int fd = -1;
	struct stat st;
	int error;

	if (ch_generation_path(path, dir, name, "lock.mdb"))
		return ch_err_set(err, CH_ETOOBIG, "replica-path", "%s is too long", dir);
	fd = open(
		path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0), 0640);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ch_err_set(err, ch_lmdb_rc(errno), "replica", "cannot open %s: %s", path,
			strerror(errno));
	if (!create) {
		/* It mostly is there already, and without it all is as good as it was. */
		(void)!fallocate(fd, 0, 0, st.st_size);
		return CH_OK;
	}
	error = posix_fallocate(fd, 0, LOCK_HEAD_B + (off_t)(readers - 1) * LOCK_READER_B);
	return error ? ch_err_set(err, ch_lmdb_rc(error), "replica", "cannot reserve %s: %s",
			       path, strerror(error))
		     : CH_OK;
}
