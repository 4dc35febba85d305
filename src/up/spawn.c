#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "up/supervisor.h"

static int drop_rights(const struct ch_user *user)
{
	uid_t r;
	uid_t e;
	uid_t s;

	if (!user->separate)
		return CH_OK;
	if (setgroups(user->n_groups, user->groups) < 0 ||
		setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return CH_EIO;
	/* No way back, and none through a set-uid program either. */
	if (getresuid(&r, &e, &s) < 0 || r != user->uid || e != user->uid || s != user->uid ||
		setuid(0) == 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return CH_EAUTH;
	return CH_OK;
}

/* The same terminal, to write to only: whoever can read it reads what is typed there. */
static int reopen_to_write(int fd)
{
	char path[32];
	int again;

	if (!isatty(fd))
		return CH_OK;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_NOCTTY);
	if (again < 0 || dup2(again, fd) < 0)
		return CH_EIO;
	(void)close(again);
	return CH_OK;
}

/* A role must not be able to type at the supervisor's terminal (TIOCSTI), which may be root's
 * shell, nor read from it.  In a session of its own it has no controlling terminal.  That also
 * leaves Ctrl-C to the supervisor, which stops the roles in order. */
static int leave_terminal(const struct ch_sup_role *role)
{
	int null = open("/dev/null", O_RDWR);

	if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
		return CH_EIO;
	/* Of a terminal that is another user's there is only this descriptor, and only one who
	 * becomes another user must not have it. */
	if ((reopen_to_write(STDOUT_FILENO) || reopen_to_write(STDERR_FILENO)) &&
		role->user.separate)
		return CH_EIO;
	closefrom(STDERR_FILENO + 1);
	return CH_OK;
}

_Noreturn static void become(const struct ch_sup_role *role, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	if (leave_terminal(role)) {
		ch_log_error("%s: cannot leave the terminal: %s", role->name, strerror(errno));
		_exit(CH_SUP_EXIT_NO_EXEC);
	}
	if (drop_rights(&role->user)) {
		ch_log_error("%s: cannot become its user: %s", role->name, strerror(errno));
		_exit(CH_SUP_EXIT_NO_EXEC);
	}
	if (role->must_read && access(role->must_read, R_OK) < 0) {
		ch_log_error(
			"%s: its user (uid %u) cannot read %s: %s; may others pass through "
			"the folders above it?",
			role->name, (unsigned)geteuid(), role->must_read, strerror(errno));
		_exit(CH_SUP_EXIT_CONFIG);
	}
	/* Changing the user forgets this, so it comes after; and the parent may be gone by now.
	 * SIGKILL, because nobody is left who would wait for anything gentler. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(CH_SUP_EXIT_NO_EXEC);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	execv(role->program, role->argv);
	ch_log_error("%s: cannot start %s: %s", role->name, role->program, strerror(errno));
	_exit(CH_SUP_EXIT_NO_EXEC);
}

int ch_sup_spawn(const struct ch_sup_role *role, pid_t *ret_pid)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return CH_EIO;
	if (pid == 0)
		become(role, parent);
	*ret_pid = pid;
	return CH_OK;
}
