#include "agentd/config.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/follow.h"
#include "base/clock.h"
#include "net/metrics.h"

#define SECTION "agent"

static int64_t read_group(struct ch_conf *conf)
{
	const char *text = ch_conf_str(conf, SECTION, "replica_group", "");
	const struct group *group;

	if (!*text)
		return -1;
	if (strspn(text, "0123456789") == strlen(text) && strlen(text) < 10)
		return strtol(text, NULL, 10);
	group = getgrnam(text);
	if (!group) {
		ch_conf_fail(conf, SECTION, "replica_group", "there is no group \"%s\"", text);
		return -1;
	}
	return (int64_t)group->gr_gid;
}

int ch_agent_config_read(
	struct ch_conf *conf, struct ch_agent_config *ret_config, struct ch_err *err)
{
	struct ch_agent_config c = {0};
	const char *level = ch_conf_str(conf, SECTION, "log_level", "info");
	int rc;

	if (ch_log_level_parse(level, &c.log_level))
		ch_conf_fail(conf, SECTION, "log_level",
			"\"%s\" is none of error, warn, info, debug", level);
	c.replica = ch_conf_path(conf, SECTION, "replica", "edge/replica");
	c.reader_gid = read_group(conf);
	c.signers = ch_conf_path(conf, SECTION, "signers", "edge/signers");
	c.poll_wait_ms =
		ch_conf_duration(conf, SECTION, "poll_wait", "30s", 0, 60 * CH_SECOND_MS);
	if (c.poll_wait_ms > CH_POLL_WAIT_MAX_MS)
		c.poll_wait_ms = CH_POLL_WAIT_MAX_MS;
	c.check_ms =
		ch_conf_duration(conf, SECTION, "replica_check", "12h", 0, 365 * CH_DAY_MS);
	c.wanted = ch_conf_bool(conf, SECTION, "wanted", true);
	c.limits.percent =
		(unsigned)ch_conf_int(conf, SECTION, "removal_limit_percent", 1, 0, 100);
	c.limits.count = (uint64_t)ch_conf_int(
		conf, SECTION, "removal_limit_count", 10, 0, INT64_C(1000000000));
	c.limits.window_ms = ch_conf_duration(
		conf, SECTION, "removal_window", "10m", CH_SECOND_MS, 30 * CH_DAY_MS);
	c.metrics = ch_metrics_from_conf(conf, SECTION);
	c.nginx_status = ch_nginx_look_from_conf(conf, SECTION);
	rc = ch_api_options_from_conf(conf, SECTION, "edge", &c.api);
	if (rc == CH_OK || rc == CH_EINVAL)
		rc = ch_conf_finish(conf, SECTION, err);
	if (rc)
		return rc;
	*ret_config = c;
	return CH_OK;
}
