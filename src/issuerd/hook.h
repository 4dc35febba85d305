/* A program of the operator's: HOOK VERB [ARGUMENT…], with a text on its standard input. */
#ifndef CH_ISSUERD_HOOK_H
#define CH_ISSUERD_HOOK_H

#include "base/err.h"

#define CH_HOOK_ARGS_MAX 2

struct ch_hook { /* all borrowed */
	const char *program;
	const char *verb;
	const char *args[CH_HOOK_ARGS_MAX]; /* NULL: no more */
	const char *input;		    /* NULL: none */
	const char *failed;		    /* the error's problem */
	const char *timeout;		    /* the same, when its time is over */
	int64_t timeout_ms;
	/* Asked several times a second; ends it when it says so; NULL: never. */
	int (*canceled)(void *arg);
	void *arg;
};

/* Runs it, without a shell, in a process group of its own, with PATH alone in its environment,
 * no file open but its standard input and error, and waits.  Whatever of the group is left when
 * it ends or its time is over is killed.  CH_EAGAIN: it failed, or took too long; CH_EINVAL: it
 * cannot be started; CH_EIO; CH_ECANCELED. */
CH_MUST int ch_hook_run(const struct ch_hook *hook, struct ch_err *err);
/* It can be run, and group and others cannot change it: it runs beside our keys.  section: of
 * the configuration, for the message.  CH_EINVAL, CH_EAUTH. */
CH_MUST int ch_hook_check(const char *program, const char *section, struct ch_err *err);

#endif
