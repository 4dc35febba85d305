/* What only the writer does with a generation. */
#include "edge/generation_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/record.h"

/* Anything else that a child ends with: damaged pages. */
enum { WALK_WHOLE = 10, WALK_UNSUPPORTED, WALK_FAILED, WALK_REFUSED, WALK_RECORD, WALK_PAGES };

static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

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

/* Of a value that has pages of its own only the first was touched so far. */
static void touch_end(const MDB_val *val)
{
	if (val->mv_size)
		(void)((const volatile uint8_t *)val->mv_data)[val->mv_size - 1];
}

static int look_through(MDB_txn *txn, MDB_dbi dbi, bool of_records)
{
	MDB_cursor *cursor;
	MDB_stat stat;
	MDB_val key;
	MDB_val val;
	size_t n = 0;
	int found = WALK_WHOLE;

	if (mdb_stat(txn, dbi, &stat) || mdb_cursor_open(txn, dbi, &cursor))
		return WALK_PAGES;
	/* Pages that lead in circles must not keep it here. */
	while (n <= stat.ms_entries && mdb_cursor_get(cursor, &key, &val, MDB_NEXT) == 0) {
		touch_end(&val);
		if (of_records && !is_record(&key, &val))
			found = WALK_RECORD;
		n++;
	}
	mdb_cursor_close(cursor);
	return n == stat.ms_entries ? found : WALK_PAGES;
}

static int look_through_all(const struct ch_generation *gen, MDB_txn *txn)
{
	const struct {
		MDB_dbi dbi;
		bool of_records;
	} list[] = {{gen->meta, false}, {gen->chains, false}, {gen->names, true},
		{gen->extras, true}};
	int worst = WALK_WHOLE;

	for (size_t i = 0; i < CH_ARRAY_LEN(list) && worst != WALK_PAGES; i++) {
		int found = look_through(txn, list[i].dbi, list[i].of_records);

		worst = found > worst ? found : worst;
	}
	return worst;
}

static int walk(const char *dir, const char *name)
{
	const struct ch_generation_open how = {.writer = false};
	struct ch_generation gen;
	MDB_txn *txn;
	struct ch_err err;
	int rc = ch_generation_open(dir, name, &how, &gen, &err);
	int found = WALK_FAILED;

	/* What we refuse every reader refuses; what LMDB stumbles over is another matter. */
	if (rc == CH_ECORRUPT)
		return strcmp(err.problem, "replica") == 0 ? WALK_PAGES : WALK_REFUSED;
	if (rc)
		return rc == CH_EUNSUPPORTED ? WALK_UNSUPPORTED : WALK_FAILED;
	if (mdb_txn_begin(gen.env, NULL, MDB_RDONLY, &txn) == 0) {
		found = look_through_all(&gen, txn);
		mdb_txn_abort(txn);
	}
	/* A place in the table of readers that is left behind looks like that of a crash, and
	 * keeps pages from being used again. */
	ch_generation_close(&gen);
	return found;
}

/* LMDB has no checksums, and rubbish in its pages makes it crash: that must happen to a child.
 */
#define IOPRIO_OF_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

/* It is no matter if that is not allowed. */
static void make_gentle(void)
{
	(void)!setpriority(PRIO_PROCESS, 0, 19);
	(void)!syscall(SYS_ioprio_set, IOPRIO_OF_PROCESS, 0, IOPRIO_IDLE);
}

_Noreturn static void walk_in_child(const char *dir, const char *name, pid_t parent)
{
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

int ch_generation_walk_begin(
	const char *dir, const char *name, bool gently, pid_t *ret_pid, struct ch_err *err)
{
	pid_t self = getpid();
	pid_t pid = fork();

	if (pid == 0 && gently)
		make_gentle();
	if (pid == 0)
		walk_in_child(dir, name, self);
	if (pid < 0)
		return ch_err_set(err, CH_EAGAIN, "replica-walk",
			"cannot make a process that looks through replica %s: %s", name,
			strerror(errno));
	*ret_pid = pid;
	return CH_OK;
}

static bool is_crash(int signo)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(crashes); i++)
		if (crashes[i] == signo)
			return true;
	return false;
}

static int judge(int status, const char *name, struct ch_err *err)
{
	/* Nothing is known of a generation whose walk somebody, or a lack of memory, ended. */
	if (WIFSIGNALED(status) && !is_crash(WTERMSIG(status)))
		return ch_err_set(err, CH_EAGAIN, "replica-walk",
			"a look through replica %s was ended by signal %d", name,
			WTERMSIG(status));
	switch (WIFEXITED(status) ? WEXITSTATUS(status) : WALK_PAGES) {
	case WALK_WHOLE:
	case WALK_UNSUPPORTED: /* whoever opens it gets to hear of what is no damage */
	case WALK_FAILED:
		return CH_OK;
	case WALK_REFUSED:
		return ch_err_set(
			err, CH_ECORRUPT, "replica-damaged", "replica %s is damaged", name);
	case WALK_RECORD:
		return ch_err_set(err, CH_ECORRUPT, "replica-damaged",
			"records of replica %s are damaged", name);
	default:
		return ch_err_set(err, CH_ECORRUPT, CH_PROBLEM_PAGES,
			"pages of replica %s are damaged", name);
	}
}

static int fail_wait(const char *name, struct ch_err *err)
{
	return ch_err_set(err, CH_EIO, "replica-walk",
		"cannot wait for a look through replica %s: %s", name, strerror(errno));
}

int ch_generation_walk(const char *dir, const char *name, struct ch_err *err)
{
	pid_t pid = 0;
	int status;
	int rc = ch_generation_walk_begin(dir, name, false, &pid, err);

	if (rc)
		return rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_wait(name, err);
	return judge(status, name, err);
}

int ch_generation_walk_ask(pid_t pid, const char *name, struct ch_err *err)
{
	int status;
	pid_t ended = waitpid(pid, &status, WNOHANG);

	if (ended == 0 || (ended < 0 && errno == EINTR))
		return ch_err_set(err, CH_EAGAIN, CH_PROBLEM_WALKING,
			"replica %s is still being looked through", name);
	return ended < 0 ? fail_wait(name, err) : judge(status, name, err);
}

void ch_generation_walk_stop(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
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
