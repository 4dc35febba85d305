#include "up/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "up/backoff.h"

#define NEVER INT64_MAX
#define PATIENCE_MS 2000

struct child {
	const struct ch_sup_role *role;
	pid_t pid; /* 0: not running */
	int64_t started_ms;
	int64_t start_ms; /* when it is due to be started */
	int64_t kill_ms;  /* when it has to have ended after SIGTERM */
	struct ch_backoff backoff;
	bool restarted;
	bool wrong; /* its configuration was at its last end, and it does not run */
};

struct sup {
	struct child children[CH_SUP_ROLES_MAX];
	size_t n;
	bool hangup_stops;
	bool stopping;
	int64_t stopping_ms; /* since when */
	int exit;
};

static void start(struct child *c)
{
	char wait[CH_TIME_STR_B];

	c->started_ms = ch_mono_ms();
	c->wrong = false;
	if (ch_sup_spawn(c->role, &c->pid) == CH_OK) {
		c->start_ms = NEVER;
		ch_log_info("%s started pid=%ld", c->role->name, (long)c->pid);
		return;
	}
	c->start_ms = c->started_ms + ch_backoff_next(&c->backoff, 0);
	ch_log_error("%s: cannot make a process: %s; again in %s", c->role->name,
		strerror(errno), ch_duration_str(c->start_ms - c->started_ms, wait));
}

static void start_due(struct sup *s)
{
	int64_t now = ch_mono_ms();

	for (size_t i = 0; i < s->n && !s->stopping; i++)
		if (!s->children[i].pid && s->children[i].start_ms <= now)
			start(&s->children[i]);
}

static const char *describe(int status, char *text, size_t text_b)
{
	if (WIFSIGNALED(status))
		snprintf(text, text_b, "killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(text, text_b, "exit code %d", WEXITSTATUS(status));
	return text;
}

/* The last one that runs, which is the next to be stopped. */
static struct child *last_running(struct sup *s)
{
	for (size_t i = s->n; i > 0; i--)
		if (s->children[i - 1].pid)
			return &s->children[i - 1];
	return NULL;
}

static void stop_next(struct sup *s)
{
	struct child *c = last_running(s);

	if (!c || c->kill_ms != NEVER)
		return;
	c->kill_ms = ch_mono_ms() + CH_SUP_STOP_MS;
	(void)kill(c->pid, SIGTERM);
}

static void begin_stop(struct sup *s, const char *why)
{
	s->stopping = true;
	s->stopping_ms = ch_mono_ms();
	ch_log_info("stopping: %s", why);
	stop_next(s);
}

static bool all_are_wrong(const struct sup *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->children[i].wrong)
			return false;
	return true;
}

static void ended(struct sup *s, struct child *c, int status)
{
	int64_t lived_ms = ch_mono_ms() - c->started_ms;
	bool config = WIFEXITED(status) && WEXITSTATUS(status) == CH_SUP_EXIT_CONFIG;
	char wait[CH_TIME_STR_B];
	char how[64];
	int64_t wait_ms;

	c->pid = 0;
	describe(status, how, sizeof(how));
	if (s->stopping) {
		ch_log_info("%s stopped: %s", c->role->name, how);
		stop_next(s);
		return;
	}
	/* At the very start this is the operator's mistake, to be seen at once where nothing
	 * works with it.  Where others are of use, after a host's restart say, one role's
	 * trouble is no reason to stop them: nor later. */
	c->wrong = config;
	if (config && !c->restarted && lived_ms < CH_BACKOFF_RESET_MS &&
		(c->role->needed || all_are_wrong(s))) {
		ch_log_error("%s ended: %s: its configuration is wrong", c->role->name, how);
		s->exit = CH_SUP_EXIT_CONFIG;
		begin_stop(s, "wrong configuration");
		return;
	}
	c->restarted = true;
	wait_ms = config ? ch_backoff_longest(&c->backoff)
			 : ch_backoff_next(&c->backoff, lived_ms);
	c->start_ms = ch_mono_ms() + wait_ms;
	ch_log(config ? CH_LOG_ERROR : CH_LOG_WARN, "%s ended: %s%s; started again in %jd ms",
		c->role->name, how,
		config ? ": its configuration is wrong, see what it says above, and change "
			 "that; the others run on"
		       : "",
		(intmax_t)wait_ms);
	ch_log_debug("%s lived %s", c->role->name, ch_duration_str(lived_ms, wait));
}

static void reap(struct sup *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->n; i++)
			if (s->children[i].pid == pid)
				ended(s, &s->children[i], status);
}

static void kill_overdue(struct sup *s)
{
	int64_t now = ch_mono_ms();

	for (size_t i = 0; i < s->n; i++) {
		struct child *c = &s->children[i];

		if (c->pid && c->kill_ms <= now) {
			ch_log_warn("%s did not stop in time: killed", c->role->name);
			(void)kill(c->pid, SIGKILL);
			c->kill_ms = NEVER - 1; /* asked to stop, and no more to be done */
		}
	}
}

/* A second signal: whoever sends it does not want to wait.  One that comes right after the
 * first is only the same wish by another way: a terminal, a wrapper, a service manager. */
static void hurry(struct sup *s)
{
	if (ch_mono_ms() - s->stopping_ms < PATIENCE_MS)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (s->children[i].pid)
			(void)kill(s->children[i].pid, SIGKILL);
}

static int64_t next_deadline(const struct sup *s)
{
	int64_t at = NEVER;

	for (size_t i = 0; i < s->n; i++) {
		const struct child *c = &s->children[i];

		if (!c->pid && !s->stopping && c->start_ms < at)
			at = c->start_ms;
		if (c->pid && c->kill_ms < at)
			at = c->kill_ms;
	}
	return at;
}

/* Waits for a signal of the set or the next deadline; 0 for the deadline. */
static int wait_signal(const struct sup *s, const sigset_t *set)
{
	int64_t left_ms = next_deadline(s) - ch_mono_ms();
	struct timespec timeout;

	if (left_ms > CH_HOUR_MS)
		left_ms = CH_HOUR_MS;
	if (left_ms < 0)
		left_ms = 0;
	timeout.tv_sec = left_ms / CH_SECOND_MS;
	/* A millisecond more, so that it is not woken just before the deadline. */
	timeout.tv_nsec = (left_ms % CH_SECOND_MS) * 1000000 + 999999;
	return sigtimedwait(set, NULL, &timeout);
}

/* Whether SIGHUP says that the terminal is gone, and is not to be outlived.  A signal that is
 * ignored, as under nohup, comes all the same because it is blocked here. */
static bool hangup_stops(void)
{
	struct sigaction action;
	int fd;

	if (sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		return false;
	fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* To one that is only being started it is the end, and it begins again, with what there is now.
 */
static void pass_hangup_on(const struct sup *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct child *c = &s->children[i];

		if (!c->pid || !c->role->reloads)
			continue;
		ch_log_info("SIGHUP is passed on to the %s", c->role->name);
		(void)kill(c->pid, SIGHUP);
	}
}

static void on_signal(struct sup *s, int signal)
{
	if (signal == SIGHUP && !s->hangup_stops) {
		pass_hangup_on(s);
	} else if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) {
		if (s->stopping)
			hurry(s);
		else
			begin_stop(s, strsignal(signal));
	}
	/* Signals merge: whatever came, children may have ended. */
	reap(s);
	kill_overdue(s);
	start_due(s);
}

int ch_sup_run(const struct ch_sup_role *roles, size_t n, int *ret_exit)
{
	struct sup s = {.n = n, .hangup_stops = hangup_stops()};
	sigset_t set;

	if (n > CH_SUP_ROLES_MAX)
		return CH_ETOOBIG;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return CH_EIO;
	for (size_t i = 0; i < n; i++)
		s.children[i] = (struct child){.role = &roles[i], .kill_ms = NEVER};
	start_due(&s);
	while (!s.stopping || last_running(&s))
		on_signal(&s, wait_signal(&s, &set));
	*ret_exit = s.exit;
	return CH_OK;
}
