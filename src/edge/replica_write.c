#include "edge/replica.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"
#include "edge/generation_walk.h"
#include "edge/replica_writer.h"

#define LOCK_TRIES 50
#define LOCK_WAIT_MS 10

static int fail_errno(struct ch_err *err, const char *what, const char *path)
{
	return ch_err_set(err, ch_lmdb_rc(errno), "replica", "cannot %s %s: %s", what, path,
		strerror(errno));
}

/* DIR has room for the longest path below it: see ch_replica_writer_open. */
static void path_of(const struct ch_replica_writer *writer, const char *a, const char *b,
	char ret_path[CH_REPLICA_PATH_B])
{
	(void)snprintf(
		ret_path, CH_REPLICA_PATH_B, "%s/%s%s%s", writer->dir, a, *b ? "/" : "", b);
}

int ch_replica_write_pointer(struct ch_replica_writer *writer, const char *file,
	const char *generation, struct ch_err *err)
{
	char path[CH_REPLICA_PATH_B];
	char line[CH_GENERATION_NAME_B + 2];
	int len = snprintf(line, sizeof(line), "%s\n", generation);

	path_of(writer, file, "", path);
	/* It names, it does not tell: the folder's mode decides who gets so far. */
	return ch_file_write_atomic(path, line, (size_t)len, 0644, err);
}

static void sweep_pointer(const struct ch_replica_writer *writer, const char *file)
{
	char path[CH_REPLICA_PATH_B];

	path_of(writer, file, "", path);
	ch_file_sweep(path);
}

void ch_replica_withdraw(struct ch_replica_writer *writer, const struct ch_err *why)
{
	char path[CH_REPLICA_PATH_B];

	if (strcmp(why->problem, CH_PROBLEM_PAGES) != 0)
		return;
	path_of(writer, CH_REPLICA_CURRENT, "", path);
	(void)unlink(path);
}

static int give_to_readers(
	struct ch_replica_writer *writer, const char *path, mode_t mode, struct ch_err *err)
{
	if (writer->reader_gid >= 0 && chown(path, (uid_t)-1, (gid_t)writer->reader_gid) < 0)
		return ch_err_set(err, CH_EAUTH, "replica-group",
			"cannot give %s to group %lld (the agent's user must be a member of "
			"it): "
			"%s",
			path, (long long)writer->reader_gid, strerror(errno));
	return chmod(path, mode) < 0 ? fail_errno(err, "set the mode of", path) : CH_OK;
}

static int give_generation(
	struct ch_replica_writer *writer, const char *generation, struct ch_err *err)
{
	char path[CH_REPLICA_PATH_B];
	int rc;

	path_of(writer, generation, "data.mdb", path);
	rc = give_to_readers(writer, path, 0640, err);
	if (rc)
		return rc;
	path_of(writer, generation, "lock.mdb", path);
	rc = give_to_readers(writer, path, 0660, err);
	if (rc)
		return rc;
	path_of(writer, generation, "", path);
	return give_to_readers(writer, path, 0750, err);
}

static int sync_dir(const char *path, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? fail_errno(err, "sync", path) : CH_OK;
}

static void remove_generation(const struct ch_replica_writer *writer, const char *generation)
{
	char path[CH_REPLICA_PATH_B];

	/* The lock file first: without it nobody opens the rest. */
	path_of(writer, generation, "lock.mdb", path);
	(void)unlink(path);
	path_of(writer, generation, "data.mdb", path);
	(void)unlink(path);
	path_of(writer, generation, "", path);
	(void)rmdir(path);
}

/* Every process that has an environment open holds a lock on its lock file. */
static bool is_read(const struct ch_replica_writer *writer, const char *generation)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	char path[CH_REPLICA_PATH_B];
	CH_AUTO_CLOSE int fd = -1;

	path_of(writer, generation, "lock.mdb", path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno != ENOENT;
	return fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

static void closedir_p(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void ch_replica_sweep(struct ch_replica_writer *writer)
{
	CH_CLEANUP(closedir_p) DIR *dir = opendir(writer->dir);
	char current[CH_GENERATION_NAME_B] = "";
	struct dirent *entry;

	/* What `current` names stays, even if we could not open it. */
	if (ch_generation_read_pointer(writer->dir, CH_REPLICA_CURRENT, current, NULL))
		current[0] = 0;
	while (dir && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (!ch_generation_name_ok(name, strlen(name)) || strcmp(name, current) == 0 ||
			strcmp(name, writer->live.name) == 0 ||
			strcmp(name, writer->build.name) == 0)
			continue;
		if (!is_read(writer, name))
			remove_generation(writer, name);
	}
}

static int create_generation(
	struct ch_replica_writer *writer, struct ch_generation *ret_gen, struct ch_err *err)
{
	struct ch_generation_open how = writer->how;
	struct ch_generation gen;
	char name[CH_GENERATION_NAME_B] = CH_GENERATION_PREFIX;
	char path[CH_REPLICA_PATH_B];
	uint8_t random[8];
	int rc;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return ch_err_set(err, CH_EIO, "random", "no random numbers");
	ch_hex_encode(random, sizeof(random), name + sizeof(CH_GENERATION_PREFIX) - 1);
	path_of(writer, name, "", path);
	if (mkdir(path, 0750) < 0)
		return fail_errno(err, "make", path);
	how.create = true;
	rc = ch_generation_reserve_lock(writer->dir, name, how.max_readers, true, err);
	if (rc == CH_OK)
		rc = ch_generation_open(writer->dir, name, &how, &gen, err);
	if (rc) {
		remove_generation(writer, name);
		return rc;
	}
	rc = give_generation(writer, name, err);
	if (rc == CH_OK)
		rc = sync_dir(path, err);
	if (rc == CH_OK)
		rc = sync_dir(writer->dir, err);
	if (rc) {
		ch_generation_close(&gen);
		remove_generation(writer, name);
		return rc;
	}
	*ret_gen = gen;
	return CH_OK;
}

static int open_generation(struct ch_replica_writer *writer, const char *name,
	struct ch_generation *ret_gen, struct ch_err *err)
{
	int rc = ch_generation_check(writer->dir, name, err);

	if (rc == CH_OK)
		rc = ch_generation_reserve_lock(
			writer->dir, name, writer->how.max_readers, false, err);
	if (rc == CH_OK)
		rc = ch_generation_walk(writer->dir, name, err);
	if (rc == CH_OK)
		rc = ch_generation_open(writer->dir, name, &writer->how, ret_gen, err);
	if (rc == CH_OK && (rc = give_generation(writer, name, err)))
		ch_generation_close(ret_gen);
	return rc;
}

static int take_lock(struct ch_replica_writer *writer, struct ch_err *err)
{
	char path[CH_REPLICA_PATH_B];

	path_of(writer, CH_REPLICA_LOCK, "", path);
	writer->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (writer->lock_fd < 0)
		return fail_errno(err, "open", path);
	/* A writer that was just killed may leave a child behind for a moment. */
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		if (flock(writer->lock_fd, LOCK_EX | LOCK_NB) == 0)
			return CH_OK;
		if (errno != EWOULDBLOCK)
			return fail_errno(err, "lock", path);
		(void)!poll(NULL, 0, LOCK_WAIT_MS);
	}
	return ch_err_set(err, CH_ECONFLICT, "replica-locked",
		"another process writes to the replica at %s: an agent is running already",
		writer->dir);
}

static int make_folder(struct ch_replica_writer *writer, struct ch_err *err)
{
	struct stat st;

	if (mkdir(writer->dir, 0750) < 0 && errno != EEXIST)
		return ch_err_set(err, errno == ENOENT ? CH_EINVAL : ch_lmdb_rc(errno),
			"replica",
			"cannot make %s: %s; make it, owned by the agent's user (uid %ld)",
			writer->dir, strerror(errno), (long)geteuid());
	if (stat(writer->dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return ch_err_set(err, CH_EINVAL, "replica", "%s is not a folder", writer->dir);
	if (st.st_uid != geteuid() && geteuid() != 0)
		return ch_err_set(err, CH_EAUTH, "replica-owner",
			"%s must belong to the agent's user (uid %ld, is %ld)", writer->dir,
			(long)geteuid(), (long)st.st_uid);
	return give_to_readers(writer, writer->dir, 0750, err);
}

/* Opens what `building` names, unless it is finished or cannot be used. */
static int resume_building(struct ch_replica_writer *writer)
{
	char name[CH_GENERATION_NAME_B];
	char path[CH_REPLICA_PATH_B];
	int rc = ch_generation_read_pointer(writer->dir, CH_REPLICA_BUILDING, name, NULL);

	if (rc == CH_OK && strcmp(name, writer->live.name) != 0)
		rc = open_generation(writer, name, &writer->build, NULL);
	if (rc == CH_OK && writer->build.env)
		return CH_OK;
	path_of(writer, CH_REPLICA_BUILDING, "", path);
	(void)unlink(path);
	return CH_ENOTFOUND;
}

/* What another generation beside it helps against.  A lack of memory, of places for readers and
 * the like will pass, and no disk is filled with copies meanwhile. */
static bool is_replaceable(int rc)
{
	return rc == CH_ENOTFOUND || rc == CH_ECORRUPT || rc == CH_EUNSUPPORTED ||
	       rc == CH_EAUTH || rc == CH_EIO;
}

/* A folder's first generation too is made beside what is live, which is nothing: nginx may
 * still serve from one that was here before the folder was emptied, and must not leave it for
 * one that has no names yet. */
static int open_or_begin(struct ch_replica_writer *writer, struct ch_err *err)
{
	char name[CH_GENERATION_NAME_B];
	struct ch_err reason = {.rc = CH_OK};
	int rc = ch_generation_read_pointer(writer->dir, CH_REPLICA_CURRENT, name, &reason);
	bool first = rc == CH_ENOTFOUND;

	if (rc == CH_OK && (rc = open_generation(writer, name, &writer->live, &reason)))
		ch_replica_withdraw(writer, &reason);
	if (rc && !is_replaceable(rc)) {
		if (err)
			*err = reason;
		return rc;
	}
	if (resume_building(writer) && !writer->live.env) {
		int new_rc = ch_replica_writer_new_generation(writer, err);

		if (new_rc)
			return new_rc;
	}
	if (rc && !first && err)
		*err = reason;
	ch_replica_forget_live(writer);
	return CH_OK;
}

static void writer_free_p(struct ch_replica_writer **writer)
{
	ch_replica_writer_free(*writer);
}

int ch_replica_writer_open(const struct ch_replica_options *options,
	struct ch_replica_writer **ret_writer, struct ch_err *err)
{
	CH_CLEANUP(writer_free_p) struct ch_replica_writer *writer = NULL;
	int rc;

	if (err)
		err->rc = CH_OK;
	if (strlen(options->dir) >= CH_REPLICA_DIR_B)
		return ch_err_set(
			err, CH_ETOOBIG, "replica-path", "%s is too long", options->dir);
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	memcpy(writer->dir, options->dir, strlen(options->dir) + 1);
	writer->reader_gid = options->reader_gid;
	writer->how.writer = true;
	writer->how.map_b = options->map_b;
	writer->how.max_readers = options->max_readers;
	writer->lock_fd = -1;
	rc = make_folder(writer, err);
	if (rc == CH_OK)
		rc = take_lock(writer, err);
	if (rc == CH_OK) {
		sweep_pointer(writer, CH_REPLICA_CURRENT);
		sweep_pointer(writer, CH_REPLICA_BUILDING);
		rc = open_or_begin(writer, err);
	}
	if (rc)
		return rc;
	ch_replica_sweep(writer);
	*ret_writer = TAKE_PTR(writer);
	return CH_OK;
}

void ch_replica_writer_free(struct ch_replica_writer *writer)
{
	if (!writer)
		return;
	ch_replica_apply_abort(writer);
	if (writer->walker)
		ch_generation_walk_stop(writer->walker);
	ch_generation_close(&writer->build);
	ch_generation_close(&writer->live);
	if (writer->lock_fd >= 0)
		close(writer->lock_fd);
	free(writer);
}

int ch_replica_writer_new_generation(struct ch_replica_writer *writer, struct ch_err *err)
{
	struct ch_generation gen;
	char old[CH_GENERATION_NAME_B];
	int rc;

	if (writer->txn)
		return ch_err_set(err, CH_EINVAL, "replica", "a transaction is open");
	rc = create_generation(writer, &gen, err);
	if (rc)
		return rc;
	rc = ch_replica_copy_tickets(&writer->live, &gen);
	if (rc)
		(void)ch_err_set(err, rc, "replica", "cannot begin replica %s: %s", gen.name,
			ch_rc_str(rc));
	else
		rc = ch_replica_write_pointer(writer, CH_REPLICA_BUILDING, gen.name, err);
	memcpy(old, rc ? gen.name : writer->build.name, sizeof(old));
	ch_generation_close(rc ? &gen : &writer->build);
	if (old[0])
		remove_generation(writer, old);
	if (rc == CH_OK)
		writer->build = gen;
	return rc;
}

bool ch_replica_writer_is_rebuilding(const struct ch_replica_writer *writer)
{
	return writer->build.env != NULL;
}

/* So that readers who miss a name need not look at a file to know.  They find out all the same,
 * a little later, when it fails, as on a full disk. */
static void mark_superseded(const struct ch_generation *old, const char *next)
{
	MDB_val key = {.mv_size = sizeof(CH_META_NEXT) - 1, .mv_data = CH_META_NEXT};
	MDB_val val = {.mv_size = strlen(next), .mv_data = (void *)next};
	MDB_txn *txn;

	if (mdb_txn_begin(old->env, NULL, 0, &txn))
		return;
	if (mdb_put(txn, old->meta, &key, &val, 0))
		mdb_txn_abort(txn);
	else
		(void)mdb_txn_commit(txn);
}

int ch_replica_writer_publish(struct ch_replica_writer *writer, struct ch_err *err)
{
	char path[CH_REPLICA_PATH_B];
	int rc;

	if (writer->txn || !writer->build.env)
		return ch_err_set(err, CH_EINVAL, "replica", "no generation is ready");
	rc = ch_replica_write_pointer(writer, CH_REPLICA_CURRENT, writer->build.name, err);
	if (rc)
		return rc;
	if (writer->live.env && ch_generation_check_size(&writer->live) == CH_OK)
		mark_superseded(&writer->live, writer->build.name);
	ch_generation_close(&writer->live);
	writer->live = writer->build;
	writer->build = (struct ch_generation){.fd = -1};
	ch_replica_forget_live(writer);
	path_of(writer, CH_REPLICA_BUILDING, "", path);
	(void)unlink(path);
	ch_replica_sweep(writer);
	return CH_OK;
}
