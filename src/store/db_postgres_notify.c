#include <errno.h>
#include <poll.h>

#include "base/mem.h"
#include "store/db_postgres.h"

struct wait {
	int wait_ms;
	int wake_fd;
	void (*fn)(const char *text, void *arg);
	void *arg;
	bool any;
};

static int take(PGconn *conn, struct wait *w)
{
	PGnotify *note;

	if (!PQconsumeInput(conn))
		return CH_EAGAIN;
	while ((note = PQnotifies(conn))) {
		w->any = true;
		w->fn(note->extra, w->arg);
		PQfreemem(note);
	}
	return CH_OK;
}

static int wait_and_take(PGconn *conn, void *arg)
{
	struct wait *w = arg;
	struct pollfd fds[] = {
		{.fd = PQsocket(conn), .events = POLLIN}, {.fd = w->wake_fd, .events = POLLIN}};
	int rc = take(conn, w);

	if (rc || w->any)
		return rc;
	if (poll(fds, CH_ARRAY_LEN(fds), w->wait_ms) < 0 && errno != EINTR)
		return CH_EIO;
	return take(conn, w);
}

int ch_db_postgres_notified(struct ch_db *db, int wait_ms, int wake_fd,
	void (*fn)(const char *text, void *arg), void *arg)
{
	struct wait wait = {.wait_ms = wait_ms, .wake_fd = wake_fd, .fn = fn, .arg = arg};

	return ch_db_postgres_plain(db, wait_and_take, &wait);
}
