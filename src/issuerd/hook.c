#include "issuerd/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acme/json.h"
#include "base/clock.h"
#include "base/mem.h"

#define TICK_MS 50
#define SAID_B 300

struct run {
	const struct ch_hook *hook;
	int input_fd; /* -1: none */
	pid_t pid;
	int said_fd; /* what it says on its standard error; -1: no more */
	char said[SAID_B];
	size_t said_len;
	int64_t until_ms; /* monotonic */
};

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes,
	int input_fd, int said_to)
{
	sigset_t none;
	sigset_t all;
	int bad;

	sigemptyset(&none);
	sigfillset(&all);
	bad = posix_spawnattr_setflags(attributes,
		POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	bad |= posix_spawnattr_setpgroup(attributes, 0);
	bad |= posix_spawnattr_setsigmask(attributes, &none);
	bad |= posix_spawnattr_setsigdefault(attributes, &all);
	bad |= posix_spawn_file_actions_adddup2(files, said_to, 2);
	if (input_fd >= 0)
		bad |= posix_spawn_file_actions_adddup2(files, input_fd, 0);
	else
		bad |= posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	bad |= posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
	bad |= posix_spawn_file_actions_addclosefrom_np(files, 3);
	return bad ? CH_ENOMEM : CH_OK;
}

static int start(struct run *r, char *const argv[], int said_to, struct ch_err *err)
{
	static char path[] =
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = {path, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int error = ENOMEM;

	if (posix_spawn_file_actions_init(&files))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (posix_spawnattr_init(&attributes) == 0) {
		if (prepare(&files, &attributes, r->input_fd, said_to) == CH_OK)
			error = posix_spawn(&r->pid, r->hook->program, &files, &attributes,
				argv, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&files);
	return error ? ch_err_set(err, CH_EINVAL, r->hook->failed,
			       "The hook %s cannot be started: %s.", r->hook->program,
			       strerror(error))
		     : CH_OK;
}

/* What does not fit is read and forgotten, so that it does not wait for a reader. */
static void take_said(struct run *r)
{
	char rest[512];
	ssize_t n = read(r->said_fd, rest, sizeof(rest));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(r->said_fd);
		r->said_fd = -1;
		return;
	}
	for (ssize_t i = 0; i < n && r->said_len + 1 < sizeof(r->said); i++)
		r->said[r->said_len++] = rest[i];
}

/* CH_OK: it has ended, and is not reaped yet: until then its group is nobody else's. */
static int wait_end(struct run *r)
{
	for (;;) {
		struct pollfd fd = {.fd = r->said_fd, .events = POLLIN};
		siginfo_t info = {.si_pid = 0};

		if (waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 &&
			errno != EINTR)
			return CH_EIO;
		if (info.si_pid == r->pid)
			return CH_OK;
		if (r->hook->canceled && r->hook->canceled(r->hook->arg))
			return CH_ECANCELED;
		if (ch_mono_ms() >= r->until_ms)
			return CH_ETIMEOUT;
		if (poll(&fd, r->said_fd >= 0, TICK_MS) > 0)
			take_said(r);
	}
}

static int judge(struct run *r, int status, struct ch_err *err)
{
	char said[SAID_B];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return CH_OK;
	r->said[r->said_len] = 0;
	while (r->said_len && strchr("\r\n\t ", r->said[r->said_len - 1]))
		r->said[--r->said_len] = 0;
	ch_acme_text(r->said, said, sizeof(said));
	if (WIFSIGNALED(status))
		return ch_err_set(err, CH_EAGAIN, r->hook->failed,
			"The hook %s %s was ended by signal %d.", r->hook->program,
			r->hook->verb, WTERMSIG(status));
	return ch_err_set(err, CH_EAGAIN, r->hook->failed,
		"The hook %s %s ended with status %d%s%s", r->hook->program, r->hook->verb,
		WEXITSTATUS(status), said[0] ? ": " : ".", said);
}

static int run(struct run *r, struct ch_err *err)
{
	int status = 0;
	int rc = wait_end(r);

	/* Also what it has left behind. */
	if (rc != CH_EIO)
		kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	while (rc == CH_OK && r->said_fd >= 0) {
		struct pollfd fd = {.fd = r->said_fd, .events = POLLIN};

		if (poll(&fd, 1, 0) <= 0)
			break;
		take_said(r);
	}
	if (rc == CH_ETIMEOUT)
		return ch_err_set(err, CH_EAGAIN, r->hook->timeout,
			"The hook %s %s did not end within %d s, and was killed.",
			r->hook->program, r->hook->verb,
			(int)(r->hook->timeout_ms / CH_SECOND_MS));
	if (rc)
		return ch_err_set(err, rc, r->hook->failed,
			"The hook %s %s was not seen to end.", r->hook->program, r->hook->verb);
	return judge(r, status, err);
}

/* All of it at once, so that nobody has to write while the program reads. */
static int hold_input(const char *text, int *ret_fd)
{
	size_t len = strlen(text);
	int fd = memfd_create("hook", MFD_CLOEXEC);

	if (fd < 0)
		return CH_EIO;
	if (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0) {
		close(fd);
		return CH_EIO;
	}
	*ret_fd = fd;
	return CH_OK;
}

static int run_with(struct run *r, struct ch_err *err)
{
	const struct ch_hook *hook = r->hook;
	/* posix_spawn does not change them. */
	char *const argv[] = {(char *)(uintptr_t)hook->program, (char *)(uintptr_t)hook->verb,
		(char *)(uintptr_t)hook->args[0], (char *)(uintptr_t)hook->args[1], NULL};
	int pipe_fds[2];
	int rc;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return ch_err_set(err, CH_EIO, hook->failed, "no pipe: %s", strerror(errno));
	r->said_fd = pipe_fds[0];
	/* Only our end: a program does not expect that of its standard error. */
	(void)!fcntl(r->said_fd, F_SETFL, O_NONBLOCK);
	rc = start(r, argv, pipe_fds[1], err);
	close(pipe_fds[1]);
	if (rc == CH_OK)
		rc = run(r, err);
	if (r->said_fd >= 0)
		close(r->said_fd);
	return rc;
}

int ch_hook_run(const struct ch_hook *hook, struct ch_err *err)
{
	struct run r = {
		.hook = hook, .input_fd = -1, .until_ms = ch_mono_ms() + hook->timeout_ms};
	int rc;

	if (hook->input && hold_input(hook->input, &r.input_fd))
		return ch_err_set(err, CH_EIO, hook->failed, "no room for the hook's input: %s",
			strerror(errno));
	rc = run_with(&r, err);
	if (r.input_fd >= 0)
		close(r.input_fd);
	return rc;
}

int ch_hook_check(const char *program, const char *section, struct ch_err *err)
{
	struct stat status;

	if (access(program, X_OK) < 0 || stat(program, &status) < 0 || !S_ISREG(status.st_mode))
		return ch_err_set(err, CH_EINVAL, "hook",
			"%s ([%s] hook) is no program that the issuer may run", program,
			section);
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return ch_err_set(err, CH_EAUTH, "hook",
			"%s ([%s] hook) can be changed by group or others: chmod go-w", program,
			section);
	return CH_OK;
}
