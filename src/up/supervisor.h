/* Starts child processes, starts them again when they end, stops them in order.  One thread;
 * it waits for signals and deadlines and does nothing in between. */
#ifndef CH_UP_SUPERVISOR_H
#define CH_UP_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/user.h"

#define CH_SUP_ROLES_MAX 8
#define CH_SUP_STOP_MS 10000	/* from SIGTERM to SIGKILL, for each role */
#define CH_SUP_EXIT_CONFIG 2	/* a role's exit code for bad usage or configuration */
#define CH_SUP_EXIT_NO_EXEC 126 /* the program could not be started */

struct ch_sup_role {
	const char *name;
	const char *program;   /* path */
	char *const *argv;     /* borrowed, NULL at the end */
	const char *must_read; /* a file that the user must be able to read; NULL: none */
	bool needed;	       /* the others are of no use without it */
	bool reloads;	       /* takes SIGHUP, and reads anew what may have changed */
	struct ch_user user;
};

/* Started in the order given, stopped in the opposite one.  Returns when SIGTERM or SIGINT
 * came, or SIGHUP of a terminal, and all have ended; *ret_exit is the exit code of the whole.
 * Without a terminal, or under nohup, SIGHUP is passed on to the roles that take it.  The
 * signals stay blocked, so that one more of them does not take the exit code from a process
 * that has only to end. */
CH_MUST int ch_sup_run(const struct ch_sup_role *roles, size_t n, int *ret_exit);

/* The process of a role: in its own session, without a controlling terminal, nothing to read as
 * standard input, no descriptor but the standard ones, and of a terminal only the right to
 * write to it; its signals as at the start of a program, its user's rights only, killed when
 * this process ends.  CH_EIO. */
CH_MUST int ch_sup_spawn(const struct ch_sup_role *role, pid_t *ret_pid);

#endif
