#include "agentd/wanted.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agentd/wanted_names.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LOOK_MS (10 * CH_SECOND_MS)
#define READS_A_SECOND 1000u

struct ch_wanted {
	struct ch_wanted_names names;
	struct ch_api *api; /* owned */
	struct sockaddr_un address;
	int64_t reader_gid;
	int fd;		  /* -1: there is none */
	struct stat made; /* with fd: what is at the address */
	int64_t look_ms;  /* when that is looked at next */
	bool complained;
	int64_t second_ms; /* the second that is counted in began */
	unsigned reads;
	atomic_bool stopping;
	int stop_fd; /* readable when it does */
	pthread_t thread;
};

static int is_stopping(void *arg)
{
	return atomic_load(&((struct ch_wanted *)arg)->stopping);
}

static bool is_ours(const struct ch_wanted *w)
{
	struct stat st;

	return w->fd >= 0 && lstat(w->address.sun_path, &st) == 0 &&
	       st.st_dev == w->made.st_dev && st.st_ino == w->made.st_ino;
}

static void drop_socket(struct ch_wanted *w)
{
	if (is_ours(w))
		(void)unlink(w->address.sun_path);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* An agent that was killed leaves one.  There is no other agent: the replica's lock is ours. */
static int remove_stale(const char *path, struct ch_err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return CH_OK;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return ch_err_set(err, CH_EEXIST, "wanted",
			"%s is in the way: it is no socket of this user's", path);
	return unlink(path) == 0 ? CH_OK
				 : ch_err_set(err, CH_EIO, "wanted", "cannot remove %s: %s",
					   path, strerror(errno));
}

/* Until it has its mode the folder's keeps others away from it. */
static int bind_socket(struct ch_wanted *w, struct ch_err *err)
{
	const char *path = w->address.sun_path;
	bool given = w->reader_gid >= 0;

	if (bind(w->fd, (const struct sockaddr *)&w->address, sizeof(w->address)) < 0 ||
		lstat(path, &w->made) < 0 ||
		(given && lchown(path, (uid_t)-1, (gid_t)w->reader_gid) < 0) ||
		chmod(path, 0620) < 0)
		return ch_err_set(
			err, CH_EIO, "wanted", "cannot make %s: %s", path, strerror(errno));
	return CH_OK;
}

static int make_socket(struct ch_wanted *w, struct ch_err *err)
{
	int rc = remove_stale(w->address.sun_path, err);

	if (rc)
		return rc;
	w->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		return ch_err_set(
			err, CH_EIO, "wanted", "cannot make a socket: %s", strerror(errno));
	rc = bind_socket(w, err);
	if (rc)
		drop_socket(w);
	return rc;
}

static void look(struct ch_wanted *w)
{
	struct ch_err err;

	w->look_ms = ch_mono_ms() + LOOK_MS;
	if (is_ours(w))
		return;
	drop_socket(w);
	if (make_socket(w, &err) == CH_OK) {
		w->complained = false;
		return;
	}
	if (!w->complained)
		ch_log_warn("nginx cannot tell which names visitors wait for: %s", err.detail);
	w->complained = true;
}

static bool may_read(struct ch_wanted *w, int64_t now_ms)
{
	if (now_ms - w->second_ms >= CH_SECOND_MS) {
		w->second_ms = now_ms;
		w->reads = 0;
	}
	return w->fd >= 0 && w->reads < READS_A_SECOND && !ch_wanted_names_is_full(&w->names);
}

static void read_some(struct ch_wanted *w)
{
	char bytes[CH_NAME_TEXT_B];

	while (w->reads < READS_A_SECOND && !ch_wanted_names_is_full(&w->names)) {
		ssize_t len = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

		if (len < 0)
			return;
		w->reads++;
		ch_wanted_names_take(&w->names, bytes, (size_t)len);
	}
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

static void wait_and_read(struct ch_wanted *w)
{
	int64_t now_ms = ch_mono_ms();
	int64_t until_ms = earlier(w->look_ms, ch_wanted_names_due_ms(&w->names));
	bool reading = may_read(w, now_ms);
	struct pollfd fds[] = {{.fd = w->stop_fd, .events = POLLIN},
		{.fd = reading ? w->fd : -1, .events = POLLIN}};

	if (w->reads >= READS_A_SECOND)
		until_ms = earlier(until_ms, w->second_ms + CH_SECOND_MS);
	if (poll(fds, CH_ARRAY_LEN(fds), until_ms > now_ms ? (int)(until_ms - now_ms) : 0) >
			0 &&
		fds[1].revents)
		read_some(w);
}

static void *run(void *arg)
{
	struct ch_wanted *w = arg;

	while (!is_stopping(w)) {
		if (ch_mono_ms() >= w->look_ms)
			look(w);
		if (ch_mono_ms() >= ch_wanted_names_due_ms(&w->names))
			ch_wanted_names_send(&w->names);
		else
			wait_and_read(w);
	}
	return NULL;
}

static void wanted_free(struct ch_wanted *w)
{
	drop_socket(w);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
	ch_wanted_names_done(&w->names);
	ch_api_free(w->api);
	free(w);
}

static int make_api(
	struct ch_wanted *w, const struct ch_wanted_options *options, struct ch_err *err)
{
	struct ch_api_options api = *options->api;

	api.http.canceled = is_stopping;
	api.http.canceled_arg = w;
	return ch_api_new(&api, &w->api, err);
}

static int set_up(
	struct ch_wanted *w, const struct ch_wanted_options *options, struct ch_err *err)
{
	int len = snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s/%s",
		options->dir, CH_TOLD_SOCKET);
	int rc;

	if (len < 0 || (size_t)len >= sizeof(w->address.sun_path))
		return ch_err_set(err, CH_ETOOBIG, "wanted",
			"%s/%s is too long for the path of a socket (%zu bytes at most)",
			options->dir, CH_TOLD_SOCKET, sizeof(w->address.sun_path) - 1);
	w->address.sun_family = AF_UNIX;
	w->reader_gid = options->reader_gid;
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (w->stop_fd < 0)
		return ch_err_set(err, CH_EIO, "wanted", "eventfd: %s", strerror(errno));
	rc = options->http ? ch_api_new_over(options->api, options->http, &w->api, err)
			   : make_api(w, options, err);
	if (rc)
		return rc;
	rc = ch_wanted_names_init(&w->names, w->api, options->figures);
	return rc ? ch_err_set(err, rc, "wanted", "%s", ch_rc_str(rc)) : CH_OK;
}

static int start_thread(struct ch_wanted *w)
{
	sigset_t all;
	sigset_t before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

int ch_wanted_start(const struct ch_wanted_options *options, struct ch_wanted **ret_wanted,
	struct ch_err *err)
{
	struct ch_wanted *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	w->fd = -1;
	w->stop_fd = -1;
	rc = set_up(w, options, err);
	if (rc == CH_OK && start_thread(w))
		rc = ch_err_set(err, CH_EAGAIN, "wanted", "cannot start a thread");
	if (rc) {
		wanted_free(w);
		return rc;
	}
	*ret_wanted = w;
	return CH_OK;
}

void ch_wanted_stop(struct ch_wanted *w)
{
	const uint64_t one = 1;

	if (!w)
		return;
	atomic_store(&w->stopping, true);
	(void)!write(w->stop_fd, &one, sizeof(one));
	pthread_join(w->thread, NULL);
	wanted_free(w);
}
