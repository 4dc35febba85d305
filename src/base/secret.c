#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define SECRET_MAX_B (1024u * 1024u)

struct ch_secret {
	size_t len;
	size_t map_b;
	uint8_t bytes[];
};

void ch_wipe(void *bytes, size_t len)
{
	explicit_bzero(bytes, len);
}

int ch_secret_new(size_t len, struct ch_secret **ret_secret)
{
	size_t page_b = (size_t)sysconf(_SC_PAGESIZE);
	size_t map_b;
	struct ch_secret *s;

	if (len == 0 || len > SECRET_MAX_B)
		return CH_ETOOBIG;
	map_b = (sizeof(*s) + len + page_b - 1) / page_b * page_b;
	s = mmap(NULL, map_b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return CH_ENOMEM;
	/* Best effort: RLIMIT_MEMLOCK may be small, and old kernels lack MADV_WIPEONFORK. */
	(void)mlock(s, map_b);
	(void)madvise(s, map_b, MADV_DONTDUMP);
	(void)madvise(s, map_b, MADV_WIPEONFORK);
	s->len = len;
	s->map_b = map_b;
	*ret_secret = s;
	return CH_OK;
}

int ch_secret_from(const void *bytes, size_t len, struct ch_secret **ret_secret)
{
	int rc = ch_secret_new(len, ret_secret);

	if (rc == CH_OK)
		memcpy((*ret_secret)->bytes, bytes, len);
	return rc;
}

void ch_secret_free(struct ch_secret *secret)
{
	if (!secret)
		return;
	size_t map_b = secret->map_b;

	ch_wipe(secret, map_b);
	munmap(secret, map_b);
}

uint8_t *ch_secret_bytes(struct ch_secret *secret)
{
	return secret->bytes;
}

size_t ch_secret_len(const struct ch_secret *secret)
{
	return secret->len;
}

static int check_mode(const char *path, const struct stat *st, size_t max_b, struct ch_err *err)
{
	if (!S_ISREG(st->st_mode))
		return ch_err_set(
			err, CH_EINVAL, "not-a-file", "%s is not a regular file", path);
	if (st->st_mode & 027 || (st->st_mode & 050 && st->st_uid != 0))
		return ch_err_set(err, CH_EAUTH, "secret-file-mode",
			"%s can be accessed by others (mode %04o): run chmod 600 on it", path,
			(unsigned)st->st_mode & 07777);
	if (st->st_size <= 0 || (uintmax_t)st->st_size > max_b)
		return ch_err_set(err, CH_ETOOBIG, "secret-file-size",
			"%s has %jd bytes; expected 1 to %zu", path, (intmax_t)st->st_size,
			max_b);
	return CH_OK;
}

int ch_secret_read_file(
	const char *path, size_t max_b, struct ch_secret **ret_secret, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	CH_AUTO_SECRET struct ch_secret *s = NULL;
	struct stat st;
	size_t at = 0;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ch_err_set(err, errno == ENOENT ? CH_ENOTFOUND : CH_EIO,
			"secret-file-open", "cannot open %s: %s", path, strerror(errno));
	rc = check_mode(path, &st, max_b, err);
	if (rc)
		return rc;
	rc = ch_secret_new((size_t)st.st_size, &s);
	if (rc)
		return ch_err_set(err, rc, "out-of-memory", "cannot hold %s in memory", path);
	while (at < s->len) {
		ssize_t got = read(fd, s->bytes + at, s->len - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return ch_err_set(err, CH_EIO, "secret-file-read", "cannot read %s: %s",
				path, got ? strerror(errno) : "it became shorter");
		at += (size_t)got;
	}
	*ret_secret = TAKE_PTR(s);
	return CH_OK;
}

void ch_secret_harden_process(void)
{
	struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
