#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* Behind the name of the file that it becomes; then DIGITS hexadecimal digits. */
#define MARK ".tmp."
#define DIGITS 16
#define NAME_B 256 /* NAME_MAX and a NUL */

static int fail(struct ch_err *err, const char *what, const char *path)
{
	int rc = errno == ENOENT		      ? CH_ENOTFOUND
		 : errno == EEXIST		      ? CH_EEXIST
		 : errno == ENOSPC || errno == EDQUOT ? CH_EFULL
						      : CH_EIO;

	return ch_err_set(err, rc, "file", "cannot %s %s: %s", what, path, strerror(errno));
}

int ch_file_read(
	const char *path, size_t max_b, char **ret_text, size_t *ret_len, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	CH_AUTO_FREE char *text = NULL;
	size_t cap = 4096;
	size_t len = 0;

	if (fd < 0)
		return fail(err, "open", path);
	for (;;) {
		char *grown = realloc(text, cap + 1);
		ssize_t got;

		if (!grown)
			return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
		text = grown;
		got = read(fd, text + len, cap - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(err, "read", path);
		if (got == 0)
			break;
		len += (size_t)got;
		if (len > max_b)
			return ch_err_set(err, CH_ETOOBIG, "file-size", "%s is over %zu bytes",
				path, max_b);
		if (len == cap)
			cap *= 2;
	}
	text[len] = 0;
	*ret_text = TAKE_PTR(text);
	*ret_len = len;
	return CH_OK;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t put = write(fd, bytes, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		bytes += put;
		len -= (size_t)put;
	}
	return 0;
}

static int sync_folder(const char *path)
{
	CH_AUTO_FREE char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	CH_AUTO_CLOSE int fd = -1;

	if (!dir)
		return -1;
	if (slash)
		slash[slash == dir] = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

static int write_temporary(
	const char *tmp, const void *bytes, size_t len, mode_t mode, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return fail(err, "create", tmp);
	/* The umask must not widen nor narrow what was asked for. */
	if (fchmod(fd, mode) < 0 || write_all(fd, bytes, len) < 0 || fsync(fd) < 0) {
		int rc = fail(err, "write", tmp);

		unlink(tmp);
		return rc;
	}
	return CH_OK;
}

static int put(const char *path, const void *bytes, size_t len, mode_t mode,
	int (*place)(const char *from, const char *to), struct ch_err *err)
{
	CH_AUTO_FREE char *tmp = NULL;
	uint64_t random;
	int rc;

	/* Not by the number of the process, which the one that was killed here had, too, where
	 * numbers begin anew: what it left would be in the way of every other. */
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return fail(err, "write", path);
	if (asprintf(&tmp, "%s" MARK "%0*" PRIx64, path, DIGITS, random) < 0) {
		tmp = NULL;
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	rc = write_temporary(tmp, bytes, len, mode, err);
	if (rc)
		return rc;
	if (place(tmp, path) < 0)
		rc = fail(err, "write", path);
	unlink(tmp);
	if (rc == CH_OK && sync_folder(path) < 0)
		rc = fail(err, "sync the folder of", path);
	return rc;
}

int ch_file_write_atomic(
	const char *path, const void *bytes, size_t len, mode_t mode, struct ch_err *err)
{
	return put(path, bytes, len, mode, rename, err);
}

int ch_file_create(
	const char *path, const void *bytes, size_t len, mode_t mode, struct ch_err *err)
{
	return put(path, bytes, len, mode, link, err);
}

static void closedir_p(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The name of the file that it was to become. */
static bool is_temporary(const char *name, char ret_of[NAME_B])
{
	size_t len = strlen(name);
	size_t behind = strlen(MARK) + DIGITS;
	const char *mark;

	if (len <= behind || len >= NAME_B)
		return false;
	mark = name + len - behind;
	if (strncmp(mark, MARK, strlen(MARK)) != 0 ||
		strspn(mark + strlen(MARK), "0123456789abcdef") != DIGITS)
		return false;
	memcpy(ret_of, name, len - behind);
	ret_of[len - behind] = 0;
	return true;
}

static bool is_stale(int folder, const char *name)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       ch_now_ms() - (int64_t)st.st_mtime * CH_SECOND_MS > CH_FILE_STALE_MS;
}

/* Of one name, or of those that is_ours knows. */
static void sweep(const char *folder, const char *of_name, bool (*is_ours)(const char *name))
{
	CH_CLEANUP(closedir_p) DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char of[NAME_B];

		if (is_temporary(entry->d_name, of) &&
			(of_name ? strcmp(of, of_name) == 0 : is_ours(of)) &&
			is_stale(dirfd(dir), entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
}

void ch_file_sweep(const char *path)
{
	CH_AUTO_FREE char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	const char *name = slash ? path + (slash - dir) + 1 : path;

	if (!dir)
		return;
	if (slash)
		slash[slash == dir] = 0;
	sweep(slash ? dir : ".", name, NULL);
}

void ch_file_sweep_folder(const char *folder, bool (*is_ours)(const char *name))
{
	sweep(folder, NULL, is_ours);
}
