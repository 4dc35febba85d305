#include "up/up.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opts.h"
#include "up/supervisor.h"

#define SELF "/proc/self/exe"

/* In the order in which they are started: whom the others talk to first. */
static const struct {
	const char *name;
	const char *user_key;
	const char *user;
} known[] = {
	{"store", "store_user", "certherd-store"},
	{"issuer", "issuer_user", "certherd-issuer"},
	{"agent", "agent_user", "certherd-agent"},
};
#define KNOWN CH_ARRAY_LEN(known)

struct plan {
	bool wanted[KNOWN];
	enum ch_log_level log_level;
	char config[PATH_MAX];
	char *argv[KNOWN][5];
	struct ch_sup_role roles[KNOWN];
	size_t n;
};

static int want_role(const char *item, void *arg)
{
	struct plan *plan = arg;

	for (size_t i = 0; i < KNOWN; i++) {
		if (strcmp(item, known[i].name) == 0 && !plan->wanted[i]) {
			plan->wanted[i] = true;
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

static int add_group(struct ch_conf *conf, struct ch_user *user, struct ch_err *err)
{
	const char *group = ch_conf_str(conf, "agent", "replica_group", "");
	gid_t gid;
	int rc;

	if (!*group)
		return CH_OK;
	rc = ch_group_parse(group, &gid, err);
	if (rc) {
		ch_err_prefix(err, "[agent] replica_group");
		return rc;
	}
	rc = ch_user_add_group(user, gid);
	return rc ? ch_err_set(err, rc, "groups", "the agent's user is in too many groups")
		  : rc;
}

/* Only root can give each role a user of its own. */
static int find_user(
	struct ch_conf *conf, size_t i, struct ch_user *ret_user, struct ch_err *err)
{
	const char *text = ch_conf_str(conf, "up", known[i].user_key, known[i].user);
	struct ch_user user = {.separate = false};
	int rc = CH_OK;

	if (geteuid() == 0)
		rc = ch_user_parse(text, &user, err);
	if (rc == CH_ENOTFOUND)
		return ch_err_set(err, rc, "user-unknown",
			"there is no user %s for the %s.  Make it with\n"
			"    useradd --system --no-create-home --shell /usr/sbin/nologin %s\n"
			"and give it its files with `certherd init --own DIR`; or set %s = - "
			"in "
			"[up] to run\nthe %s without separation",
			text, known[i].name, text, known[i].user_key, known[i].name);
	if (rc)
		return rc;
	if (user.separate && strcmp(known[i].name, "agent") == 0)
		rc = add_group(conf, &user, err);
	*ret_user = user;
	return rc;
}

static int add_role(struct plan *plan, struct ch_conf *conf, size_t i, struct ch_err *err)
{
	struct ch_sup_role *role = &plan->roles[plan->n];
	char *const argv[] = {(char *)"certherd", (char *)known[i].name, (char *)"--config",
		plan->config, NULL};
	int rc = find_user(conf, i, &role->user, err);

	if (rc)
		return rc;
	memcpy(plan->argv[plan->n], argv, sizeof(argv));
	role->name = known[i].name;
	role->program = SELF;
	role->argv = plan->argv[plan->n];
	role->must_read = plan->config;
	role->needed = strcmp(role->name, "store") == 0;
	role->reloads = strcmp(role->name, "issuer") == 0;
	plan->n++;
	return CH_OK;
}

static int make_plan(const char *path, struct plan *plan, struct ch_err *err)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	const char *level;
	int rc = ch_conf_load(path, &conf, err);

	if (rc)
		return rc;
	/* The roles get it as an absolute path: what they are given must not depend on where
	 * this was started. */
	if (!realpath(path, plan->config))
		return ch_err_set(err, CH_EIO, "config-open", "cannot find %s: %s", path,
			strerror(errno));
	level = ch_conf_str(conf, "up", "log_level", "info");
	if (ch_log_level_parse(level, &plan->log_level))
		ch_conf_fail(conf, "up", "log_level",
			"\"%s\" is none of error, warn, info, debug", level);
	ch_conf_list(conf, "up", "roles", "store,issuer,agent",
		"store, issuer and agent, each once", want_role, plan);
	for (size_t i = 0; i < KNOWN && rc == CH_OK; i++) {
		if (plan->wanted[i])
			rc = add_role(plan, conf, i, err);
		else
			(void)ch_conf_str(conf, "up", known[i].user_key, "");
	}
	if (rc)
		return rc;
	if (plan->n == 0)
		ch_conf_fail(conf, "up", "roles", "names no role to run");
	return ch_conf_finish(conf, "up", err);
}

static void tell_separation(const struct plan *plan)
{
	size_t together = 0;

	for (size_t i = 0; i < plan->n; i++)
		together += !plan->roles[i].user.separate;
	if (together == 0)
		return;
	ch_log_warn("separation is off: %s, so whoever breaks into one role has the others' "
		    "secrets too",
		geteuid() != 0	      ? "not started as root"
		: together == plan->n ? "no role has a user of its own"
				      : "some roles have no user of their own");
}

int ch_up_main(int argc, char **argv)
{
	const char *config = NULL;
	const struct ch_opt list[] = {CH_OPT_CONFIG(&config)};
	const struct ch_opts opts = {"up", "[options]",
		"Runs store, issuer and agent on this machine, each its own process, and "
		"starts\n"
		"them again when they end.  As root each runs as its own user (store_user,\n"
		"issuer_user, agent_user in [up]).  SIGTERM or Ctrl-C stops them all, so does "
		"the\n"
		"end of its terminal.  Without one SIGHUP is passed on to the issuer.",
		list, CH_ARRAY_LEN(list), 0, 0};
	struct plan plan = {.log_level = CH_LOG_INFO};
	struct ch_err err;
	size_t n;
	int exit = 1;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	rc = make_plan(ch_opts_config(config), &plan, &err);
	if (rc) {
		fprintf(stderr, "certherd up: %s\n", err.detail);
		return 2;
	}
	ch_log_init("up", plan.log_level);
	tell_separation(&plan);
	if (ch_sup_run(plan.roles, plan.n, &exit)) {
		ch_log_error("cannot supervise: %s", strerror(errno));
		return 1;
	}
	return exit;
}
