/* What can be known of a generation without trusting it to LMDB. */
#include "edge/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SETTLED_MS 100
#define LOCK_FILE_MIN_B 192 /* LMDB's header and one reader: less was never written by it */

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

_Static_assert(META_LAST_PAGE == META_AT + 24 + 2 * 48 && META_TXN == META_LAST_PAGE + 8,
	"two databases of 48 bytes lie between the map's size and the last page");

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

static int read_metas(int fd, struct meta *ret_first, struct meta *ret_second)
{
	if (read_meta(fd, 0, ret_first) || read_meta(fd, ret_first->page_b, ret_second))
		return CH_ECORRUPT;
	return ret_first->page_b == ret_second->page_b ? CH_OK : CH_ECORRUPT;
}

static int check_data_pages(int fd, off_t size, const char *path, struct ch_err *err)
{
	struct meta first;
	struct meta second;
	const struct meta *newest;
	uint64_t need_b;

	if (read_metas(fd, &first, &second))
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
	if (ch_generation_path(path, dir, name, "data.mdb"))
		return ch_err_set(err, CH_ETOOBIG, "replica-path", "%s is too long", dir);
	*strrchr(path, '/') = 0;
	rc = check_folder(path, st.st_uid, err);
	if (rc == CH_OK && (rc = ch_generation_path(path, dir, name, "data.mdb")) == CH_OK)
		rc = check_data(path, st.st_uid, err);
	if (rc == CH_OK && (rc = ch_generation_path(path, dir, name, "lock.mdb")) == CH_OK)
		rc = check_lock(path, st.st_uid, err);
	return rc;
}

static bool is_as_it_was(const struct ch_generation *gen, const struct stat *st)
{
	return gen->good_b == st->st_size && gen->good_since.tv_sec == st->st_ctim.tv_sec &&
	       gen->good_since.tv_nsec == st->st_ctim.tv_nsec;
}

/* The kernel's time stamps are of its last tick: of what has changed just now another change
 * would not show. */
static void found_good(struct ch_generation *gen, const struct stat *st)
{
	int64_t changed_ms = (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;

	if (ch_now_ms() - changed_ms < SETTLED_MS)
		return;
	gen->good_b = st->st_size;
	gen->good_since = st->st_ctim;
}

int ch_generation_check_size(struct ch_generation *gen)
{
	struct stat st;
	struct meta first;
	struct meta second;
	MDB_envinfo info;
	MDB_stat stat;

	/* First the old bound: only with that the meta pages may be touched. */
	if (fstat(gen->fd, &st) < 0 || (uint64_t)st.st_size < gen->need_b || st.st_size < 4096)
		return CH_ECORRUPT;
	if (is_as_it_was(gen, &st))
		return CH_OK;
	/* What is looked at here never changes, so a writer at work is no matter. */
	if (read_metas(gen->fd, &first, &second))
		return CH_ECORRUPT;
	if (mdb_env_info(gen->env, &info) || mdb_env_stat(gen->env, &stat))
		return CH_ECORRUPT;
	gen->need_b = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	if ((uint64_t)st.st_size >= gen->need_b) {
		found_good(gen, &st);
		return CH_OK;
	}
	/* It may have grown since. */
	if (fstat(gen->fd, &st) < 0 || (uint64_t)st.st_size < gen->need_b)
		return CH_ECORRUPT;
	return CH_OK;
}

static bool leads_to(const char *dir, const char *name, const char *file, dev_t dev, ino_t ino)
{
	char path[CH_REPLICA_PATH_B];
	struct stat st;

	return ch_generation_path(path, dir, name, file) == CH_OK && lstat(path, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

int ch_generation_check_same(
	const char *dir, const struct ch_generation *gen, struct ch_err *err)
{
	const char *lost = NULL;
	struct stat st;

	if (!leads_to(dir, gen->name, NULL, gen->dev, gen->ino))
		lost = "";
	else if (fstat(gen->fd, &st) < 0 ||
		 !leads_to(dir, gen->name, "data.mdb", st.st_dev, st.st_ino))
		lost = "/data.mdb";
	else if (!leads_to(dir, gen->name, "lock.mdb", gen->dev, gen->lock_ino))
		lost = "/lock.mdb";
	return lost ? ch_err_set(err, CH_ECORRUPT, "replica-lost",
			      "%s/%s%s was removed or replaced", dir, gen->name, lost)
		    : CH_OK;
}
