#include "edge/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"

#define POINTER_MAX_B 4096
#define DEFAULT_MAP_B ((size_t)64 << 30)
#define LOCK_FILE_MIN_B 192 /* LMDB's header and one reader: less was never written by it */

int ch_lmdb_rc(int mdb_rc)
{
	switch (mdb_rc) {
	case MDB_SUCCESS:
		return CH_OK;
	case MDB_NOTFOUND:
		return CH_ENOTFOUND;
	case MDB_MAP_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return CH_EFULL;
	case ENOMEM:
		return CH_ENOMEM;
	case MDB_READERS_FULL:
	case EAGAIN:
		return CH_EAGAIN;
	case EACCES:
	case EPERM:
	case EROFS:
		return CH_EAUTH;
	case MDB_VERSION_MISMATCH:
		return CH_EUNSUPPORTED;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_PANIC:
	case MDB_BAD_TXN:
	case MDB_BAD_DBI:
	case MDB_INCOMPATIBLE:
		return CH_ECORRUPT;
	case MDB_BAD_VALSIZE:
	case EINVAL:
		return CH_EINVAL;
	default:
		return CH_EIO;
	}
}

int ch_lmdb_fail(struct ch_err *err, int mdb_rc, const char *what, const char *generation)
{
	return ch_err_set(err, ch_lmdb_rc(mdb_rc), "replica", "cannot %s of replica %s: %s",
		what, generation, mdb_strerror(mdb_rc));
}

bool ch_generation_name_ok(const char *name, size_t len)
{
	const size_t prefix_len = sizeof(CH_GENERATION_PREFIX) - 1;

	return len == CH_GENERATION_NAME_B - 1 &&
	       memcmp(name, CH_GENERATION_PREFIX, prefix_len) == 0 &&
	       strspn(name + prefix_len, "0123456789abcdef") >= len - prefix_len;
}

static int join(char ret_path[CH_REPLICA_PATH_B], const char *dir, const char *a, const char *b)
{
	int len = snprintf(
		ret_path, CH_REPLICA_PATH_B, "%s/%s%s%s", dir, a, b ? "/" : "", b ? b : "");

	return len < 0 || len >= CH_REPLICA_PATH_B ? CH_ETOOBIG : CH_OK;
}

/* f<number>- of another number is no damage: its reader is newer than we are. */
static bool is_other_format(const char *line)
{
	size_t digits = line[0] == 'f' ? strspn(line + 1, "0123456789") : 0;

	return digits > 0 && line[1 + digits] == '-' &&
	       strncmp(line, CH_GENERATION_PREFIX, sizeof(CH_GENERATION_PREFIX) - 1) != 0;
}

int ch_generation_read_pointer(const char *dir, const char *file,
	char ret_name[CH_GENERATION_NAME_B], struct ch_err *err)
{
	CH_AUTO_FREE char *text = NULL;
	char path[CH_REPLICA_PATH_B];
	size_t len;
	size_t lines = 0;
	int rc = join(path, dir, file, NULL);

	if (rc)
		return ch_err_set(
			err, rc, "replica-path", "the path of the replica is too long");
	rc = ch_file_read(path, POINTER_MAX_B, &text, &len, err);
	if (rc)
		return rc;
	for (char *at = text; *at; lines++) {
		size_t line_len = strcspn(at, "\n");

		if (ch_generation_name_ok(at, line_len)) {
			memcpy(ret_name, at, line_len);
			ret_name[line_len] = 0;
			return CH_OK;
		}
		if (!is_other_format(at))
			return ch_err_set(err, CH_ECORRUPT, "replica-pointer",
				"%s does not name a generation", path);
		at += line_len;
		at += *at == '\n';
	}
	return ch_err_set(err, lines ? CH_EUNSUPPORTED : CH_ECORRUPT, "replica-pointer",
		lines ? "%s names only formats that this version cannot read"
		      : "%s does not name a generation",
		path);
}

/* The meta pages of LMDB 0.9 on 64 bits (struct MDB_page's header, then struct MDB_meta). */
enum {
	META_AT = 16,
	META_MAGIC = META_AT + 0,
	META_VERSION = META_AT + 4,
	META_PAGE_B = META_AT + 24, /* md_pad of the free list's database */
	META_LAST_PAGE = META_AT + 120,
	META_TXN = META_AT + 128,
	META_B = META_AT + 136,
};

struct meta {
	uint32_t magic;
	uint32_t version;
	uint32_t page_b;
	uint64_t last_page;
	uint64_t txn;
};

static int read_meta(int fd, off_t at, struct meta *ret_meta)
{
	uint8_t bytes[META_B];

	if (pread(fd, bytes, sizeof(bytes), at) != (ssize_t)sizeof(bytes))
		return CH_ECORRUPT;
	memcpy(&ret_meta->magic, bytes + META_MAGIC, 4);
	memcpy(&ret_meta->version, bytes + META_VERSION, 4);
	memcpy(&ret_meta->page_b, bytes + META_PAGE_B, 4);
	memcpy(&ret_meta->last_page, bytes + META_LAST_PAGE, 8);
	memcpy(&ret_meta->txn, bytes + META_TXN, 8);
	if (ret_meta->magic != 0xBEEFC0DE || ret_meta->page_b < 512 ||
		ret_meta->page_b > 65536 || ret_meta->last_page > UINT64_MAX / 65536 - 1)
		return CH_ECORRUPT;
	return CH_OK;
}

static int check_data_pages(int fd, off_t size, const char *path, struct ch_err *err)
{
	struct meta first;
	struct meta second;
	const struct meta *newest;
	uint64_t need_b;

	if (read_meta(fd, 0, &first) || read_meta(fd, first.page_b, &second) ||
		first.page_b != second.page_b)
		return ch_err_set(err, CH_ECORRUPT, "replica-damaged",
			"%s is not an LMDB database or its first pages are damaged", path);
	if (first.version != 1 || second.version != 1)
		return ch_err_set(err, CH_EUNSUPPORTED, "replica-format",
			"%s was written by another version of LMDB", path);
	newest = first.txn > second.txn ? &first : &second;
	need_b = (newest->last_page + 1) * newest->page_b;
	if ((uint64_t)size < need_b)
		return ch_err_set(err, CH_ECORRUPT, "replica-damaged",
			"%s was cut: it has %llu bytes and should have %llu", path,
			(unsigned long long)size, (unsigned long long)need_b);
	return CH_OK;
}

static int refuse(struct ch_err *err, const char *path, const char *why)
{
	return ch_err_set(err, CH_EAUTH, "replica-owner", "%s %s", path, why);
}

/* The owner of DIR is the agent: what others could have put there is not read. */
static int check_owner(const struct stat *st, uid_t dir_uid, mode_t not_mode, const char *path,
	struct ch_err *err)
{
	if (st->st_uid != dir_uid && st->st_uid != 0)
		return refuse(
			err, path, "does not belong to the owner of the replica's folder");
	if (st->st_mode & not_mode)
		return refuse(err, path, "may be written by others than its owner");
	return CH_OK;
}

static int check_folder(const char *path, uid_t dir_uid, struct ch_err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return ch_err_set(err, errno == EACCES ? CH_EAUTH : CH_ECORRUPT,
			"replica-missing", "cannot open %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return ch_err_set(
			err, CH_ECORRUPT, "replica-damaged", "%s is not a folder", path);
	return check_owner(&st, dir_uid, S_IWGRP | S_IWOTH, path, err);
}

static int check_data(const char *path, uid_t dir_uid, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ch_err_set(err, errno == EACCES ? CH_EAUTH : CH_ECORRUPT,
			"replica-missing", "cannot open %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ch_err_set(err, CH_ECORRUPT, "replica-damaged", "%s is no file", path);
	rc = check_owner(&st, dir_uid, S_IWGRP | S_IWOTH, path, err);
	return rc ? rc : check_data_pages(fd, st.st_size, path, err);
}

/* By path only: to close a descriptor of this file would drop the locks that LMDB holds. */
static int check_lock(const char *path, uid_t dir_uid, struct ch_err *err)
{
	struct stat st;
	int rc;

	if (lstat(path, &st) < 0)
		return ch_err_set(err, errno == EACCES ? CH_EAUTH : CH_ECORRUPT,
			"replica-missing", "cannot open %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (st.st_size != 0 && st.st_size < LOCK_FILE_MIN_B))
		return ch_err_set(err, CH_ECORRUPT, "replica-damaged", "%s is damaged", path);
	rc = check_owner(&st, dir_uid, S_IWOTH, path, err);
	if (rc)
		return rc;
	/* Without it LMDB would read unseen by the writer, who could then reuse our pages. */
	if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0)
		return ch_err_set(err, CH_EAUTH, "replica-lock",
			"%s must be writable by the readers (the agent's replica_group): %s",
			path, strerror(errno));
	return CH_OK;
}

int ch_generation_check(const char *dir, const char *name, struct ch_err *err)
{
	char path[CH_REPLICA_PATH_B];
	struct stat st;
	int rc;

	if (stat(dir, &st) < 0)
		return ch_err_set(err, errno == ENOENT ? CH_ENOTFOUND : CH_EAUTH,
			"replica-missing", "cannot open %s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return ch_err_set(
			err, CH_ECORRUPT, "replica-damaged", "%s is not a folder", dir);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(err, dir, "may be written by others than its owner");
	if (join(path, dir, name, "data.mdb"))
		return ch_err_set(err, CH_ETOOBIG, "replica-path", "%s is too long", dir);
	*strrchr(path, '/') = 0;
	rc = check_folder(path, st.st_uid, err);
	if (rc == CH_OK && (rc = join(path, dir, name, "data.mdb")) == CH_OK)
		rc = check_data(path, st.st_uid, err);
	if (rc == CH_OK && (rc = join(path, dir, name, "lock.mdb")) == CH_OK)
		rc = check_lock(path, st.st_uid, err);
	return rc;
}

/* LMDB's locks are the process's: a second environment on the same files would throw away the
 * reader table of the first.  So the process keeps a list of what it has open; entries that a
 * parent left behind at a fork do not count. */
#define OPEN_MAX 16
static struct {
	pid_t pid;
	dev_t dev;
	ino_t ino;
} open_list[OPEN_MAX];
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

static int open_list_add(const struct stat *st)
{
	int rc = CH_ETOOBIG;
	int at = -1;

	pthread_mutex_lock(&open_lock);
	for (int i = 0; i < OPEN_MAX; i++) {
		if (open_list[i].pid != getpid()) {
			at = i;
		} else if (open_list[i].dev == st->st_dev && open_list[i].ino == st->st_ino) {
			rc = CH_EEXIST;
			at = -1;
			break;
		}
	}
	if (at >= 0) {
		open_list[at].pid = getpid();
		open_list[at].dev = st->st_dev;
		open_list[at].ino = st->st_ino;
		rc = CH_OK;
	}
	pthread_mutex_unlock(&open_lock);
	return rc;
}

static void open_list_drop(dev_t dev, ino_t ino)
{
	pthread_mutex_lock(&open_lock);
	for (int i = 0; i < OPEN_MAX; i++)
		if (open_list[i].pid == getpid() && open_list[i].dev == dev &&
			open_list[i].ino == ino)
			open_list[i].pid = 0;
	pthread_mutex_unlock(&open_lock);
}

/* What is there says "format"; a new one is given it. */
static int check_format(struct ch_generation *gen, MDB_txn *txn, bool create)
{
	uint8_t bytes[4] = {0, 0, 0, CH_GENERATION_FORMAT};
	MDB_val key = {.mv_size = 6, .mv_data = "format"};
	MDB_val val = {.mv_size = sizeof(bytes), .mv_data = bytes};
	int mdb_rc;

	if (create) {
		mdb_rc = mdb_put(txn, gen->meta, &key, &val, 0);
		return mdb_rc ? ch_lmdb_rc(mdb_rc) : CH_OK;
	}
	mdb_rc = mdb_get(txn, gen->meta, &key, &val);
	if (mdb_rc)
		return mdb_rc == MDB_NOTFOUND ? CH_ECORRUPT : ch_lmdb_rc(mdb_rc);
	if (val.mv_size != sizeof(bytes))
		return CH_ECORRUPT;
	return memcmp(val.mv_data, bytes, sizeof(bytes)) == 0 ? CH_OK : CH_EUNSUPPORTED;
}

static int open_databases(
	struct ch_generation *gen, const struct ch_generation_open *how, struct ch_err *err)
{
	unsigned flags = how->create ? MDB_CREATE : 0;
	MDB_txn *txn;
	int rc;
	int mdb_rc = mdb_txn_begin(gen->env, NULL, how->create ? 0 : MDB_RDONLY, &txn);

	if (mdb_rc)
		return ch_lmdb_fail(err, mdb_rc, "begin a transaction", gen->name);
	mdb_rc = mdb_dbi_open(txn, "names", flags, &gen->names);
	if (mdb_rc == 0)
		mdb_rc = mdb_dbi_open(txn, "chains", flags, &gen->chains);
	if (mdb_rc == 0)
		mdb_rc = mdb_dbi_open(txn, "meta", flags, &gen->meta);
	if (mdb_rc) {
		mdb_txn_abort(txn);
		if (mdb_rc == MDB_NOTFOUND)
			return ch_err_set(err, CH_ECORRUPT, "replica-damaged",
				"replica %s is not complete", gen->name);
		return ch_lmdb_fail(err, mdb_rc, "open the databases", gen->name);
	}
	rc = check_format(gen, txn, how->create);
	if (rc) {
		mdb_txn_abort(txn);
		return ch_err_set(err, rc, "replica-format", "format of replica %s: %s",
			gen->name, ch_rc_str(rc));
	}
	mdb_rc = mdb_txn_commit(txn); /* also makes the handles lasting */
	return mdb_rc ? ch_lmdb_fail(err, mdb_rc, "commit", gen->name) : CH_OK;
}

static int open_env(const char *path, const struct ch_generation_open *how,
	struct ch_generation *gen, struct ch_err *err)
{
	size_t map_b = how->map_b ? how->map_b : DEFAULT_MAP_B;
	unsigned readers = how->max_readers ? how->max_readers : CH_REPLICA_READERS_MAX;
	int mdb_rc = mdb_env_create(&gen->env);

	if (mdb_rc)
		return ch_lmdb_fail(err, mdb_rc, "make the environment", gen->name);
	mdb_rc = mdb_env_set_maxdbs(gen->env, 3);
	if (mdb_rc == 0)
		mdb_rc = mdb_env_set_maxreaders(gen->env, readers);
	/* A reader takes the size that the writer noted in the file. */
	if (mdb_rc == 0 && how->writer)
		mdb_rc = mdb_env_set_mapsize(gen->env, map_b);
	/* Never MDB_NOSYNC, never MDB_NOLOCK. */
	if (mdb_rc == 0)
		mdb_rc = mdb_env_open(
			gen->env, path, MDB_NOTLS | (how->writer ? 0 : MDB_RDONLY), 0640);
	if (mdb_rc == 0)
		mdb_rc = mdb_env_get_fd(gen->env, &gen->fd);
	return mdb_rc ? ch_lmdb_fail(err, mdb_rc, "open the environment", gen->name) : CH_OK;
}

int ch_generation_open(const char *dir, const char *name, const struct ch_generation_open *how,
	struct ch_generation *ret_gen, struct ch_err *err)
{
	struct ch_generation gen = {.fd = -1};
	char path[CH_REPLICA_PATH_B];
	struct stat st;
	int rc;

	memcpy(gen.name, name, CH_GENERATION_NAME_B);
	if (join(path, dir, name, NULL))
		return ch_err_set(err, CH_ETOOBIG, "replica-path", "%s is too long", dir);
	/* The folder stands for its files. */
	if (stat(path, &st) < 0)
		return ch_err_set(err, CH_ECORRUPT, "replica-missing", "cannot open %s: %s",
			path, strerror(errno));
	rc = open_list_add(&st);
	if (rc)
		return ch_err_set(err, rc, "replica-open-twice",
			"%s is open in this process already", path);
	gen.dev = st.st_dev;
	gen.ino = st.st_ino;
	rc = open_env(path, how, &gen, err);
	if (rc == CH_OK)
		rc = ch_generation_check_size(&gen);
	if (rc == CH_OK)
		rc = open_databases(&gen, how, err);
	if (rc) {
		ch_generation_close(&gen);
		return rc;
	}
	*ret_gen = gen;
	return CH_OK;
}

void ch_generation_close(struct ch_generation *gen)
{
	if (gen->env)
		mdb_env_close(gen->env);
	if (gen->ino)
		open_list_drop(gen->dev, gen->ino);
	*gen = (struct ch_generation){.fd = -1};
}

int ch_generation_check_size(struct ch_generation *gen)
{
	struct stat st;
	MDB_envinfo info;
	MDB_stat stat;

	/* First the old bound: only with that the meta pages may be touched. */
	if (fstat(gen->fd, &st) < 0 || (uint64_t)st.st_size < gen->need_b || st.st_size < 4096)
		return CH_ECORRUPT;
	if (mdb_env_info(gen->env, &info) || mdb_env_stat(gen->env, &stat))
		return CH_ECORRUPT;
	gen->need_b = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	if ((uint64_t)st.st_size >= gen->need_b)
		return CH_OK;
	/* It may have grown since. */
	if (fstat(gen->fd, &st) < 0 || (uint64_t)st.st_size < gen->need_b)
		return CH_ECORRUPT;
	return CH_OK;
}

int ch_generation_cursor(
	const struct ch_generation *gen, MDB_txn *txn, struct ch_cursor *ret_cursor)
{
	struct ch_cursor cursor = {.valid = false};
	MDB_val key = {.mv_size = 6, .mv_data = "cursor"};
	MDB_val val;
	int mdb_rc = mdb_get(txn, gen->meta, &key, &val);

	if (mdb_rc && mdb_rc != MDB_NOTFOUND)
		return ch_lmdb_rc(mdb_rc);
	if (mdb_rc == 0) {
		struct ch_reader r;
		const uint8_t *epoch;

		ch_reader_init(&r, val.mv_data, val.mv_size);
		epoch = ch_read_bytes(&r, CH_EPOCH_B);
		if (epoch)
			memcpy(cursor.epoch, epoch, CH_EPOCH_B);
		cursor.seq = ch_read_u64(&r);
		cursor.base = ch_read_u64(&r);
		cursor.valid = true;
		if (r.rc || r.left)
			return CH_ECORRUPT;
	}
	*ret_cursor = cursor;
	return CH_OK;
}

int ch_generation_count(const struct ch_generation *gen, MDB_txn *txn, uint64_t *ret_names)
{
	MDB_val key = {.mv_size = 5, .mv_data = "names"};
	MDB_val val;
	struct ch_reader r;
	uint64_t names;
	int mdb_rc = mdb_get(txn, gen->meta, &key, &val);

	if (mdb_rc == MDB_NOTFOUND) {
		*ret_names = 0;
		return CH_OK;
	}
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	ch_reader_init(&r, val.mv_data, val.mv_size);
	names = ch_read_u64(&r);
	if (r.rc || r.left)
		return CH_ECORRUPT;
	*ret_names = names;
	return CH_OK;
}
