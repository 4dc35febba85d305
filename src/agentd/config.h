/* [agent] of the configuration; see doc/configuration.md. */
#ifndef CH_AGENTD_CONFIG_H
#define CH_AGENTD_CONFIG_H

#include "agentd/brake.h"
#include "base/conf.h"
#include "base/log.h"
#include "net/api.h"

struct ch_agent_config {
	struct ch_api_options api; /* strings borrowed from the ch_conf */
	const char *replica;	   /* borrowed */
	int64_t reader_gid;	   /* -1: none */
	const char *signers;	   /* borrowed */
	int64_t poll_wait_ms;
	int64_t check_ms;
	bool wanted;		  /* the store is told which names visitors wait for */
	const char *metrics;	  /* "ADDRESS:PORT" of loopback; NULL: off */
	const char *nginx_status; /* URL, borrowed; NULL: it is not asked */
	struct ch_brake_limits limits;
	enum ch_log_level log_level;
};

CH_MUST int ch_agent_config_read(
	struct ch_conf *conf, struct ch_agent_config *ret_config, struct ch_err *err);

#endif
