#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
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

/* What the role inherits of a terminal is opened again for writing only: a descriptor that root
 * opened could be read from, and asked for input that nobody has typed. */
static int leave_terminal(void)
{
	int null_fd;

	if (setsid() < 0)
		return CH_EIO;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
		return CH_EIO;
	close(null_fd);
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		const char *name = isatty(fd) ? ttyname(fd) : NULL;
		int tty_fd;

		if (!isatty(fd))
			continue;
		/* A container may not have a name for it. */
		tty_fd = name ? open(name, O_WRONLY | O_NOCTTY | O_CLOEXEC) : -1;
		if (tty_fd < 0)
			continue;
		if (dup2(tty_fd, fd) < 0)
			return CH_EIO;
		close(tty_fd);
	}
	return CH_OK;
}

_Noreturn static void become(const struct ch_sup_role *role, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	/* Ctrl-C at a terminal is for the supervisor, which stops the roles in order.  And
	 * without a controlling terminal nobody who breaks into a role types into root's shell.
	 */
	if (leave_terminal()) {
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
