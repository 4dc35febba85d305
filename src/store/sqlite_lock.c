#include "store/sqlite_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"

/* The lock is a file of its own: SQLite loses its locks when somebody in the process closes
 * another descriptor of the database. */
int ch_sqlite_lock(const char *path, int *ret_fd, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = -1;
	char lock_path[4096];

	if ((size_t)snprintf(lock_path, sizeof(lock_path), "%s.lock", path) >=
		sizeof(lock_path))
		return ch_err_set(err, CH_EINVAL, "bad-database", "the path is too long");
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Rights do not come by themselves: that is for the operator to mend. */
	if (fd < 0)
		return ch_err_set(err,
			errno == EACCES || errno == EPERM || errno == EROFS ? CH_EAUTH : CH_EIO,
			"internal", "cannot open %.300s: %s", lock_path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return ch_err_set(err, CH_ECONFLICT, "database-in-use",
			"another certherd store uses %.300s: an SQLite database serves one",
			path);
	*ret_fd = fd;
	fd = -1;
	return CH_OK;
}
