/* How this host's nginx gets on with what the agent brings it, by its figures
 * (certherd_status).
 *
 * The agent has no key that opens anything, and is to have none: whether nginx can open what
 * was sealed for this edge is known to nginx alone, and this is how its operators hear of it.
 */
#ifndef CH_AGENTD_NGINX_LOOK_H
#define CH_AGENTD_NGINX_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "net/http.h"

#define CH_NGINX_LOOK_MS 15000
/* A visitor comes to a name that cannot be opened now and then only. */
#define CH_NGINX_GREW_MS (15 * 60000)
/* So long a restart may take. */
#define CH_NGINX_AWAY_MS (2 * 60000)

struct ch_nginx_look {
	struct ch_http *http; /* borrowed; NULL: nothing is looked at */
	const char *url;      /* borrowed */
	bool looked;
	int64_t looked_ms; /* monotonic */
	bool known;
	uint64_t failures; /* openings that failed, at the last look */
	bool grew;
	int64_t grew_ms; /* when they last became more */
	bool away;
	int64_t away_ms; /* since when it does not answer as it should */
};

/* "nginx_status" of the section: NULL, it is off, or an http URL of this host's loopback. */
const char *ch_nginx_look_from_conf(struct ch_conf *conf, const char *section);
/* Openings that failed, by what certherd_status answers (NULL: nothing).  CH_EPROTO: it does
 * not say. */
CH_MUST int ch_nginx_failures(const char *text, uint64_t *ret_failures);
/* Asks when it is time to, for a second at most. */
void ch_nginx_look(struct ch_nginx_look *look);
/* Adds sentences with a space behind each; nothing when all is well. */
void ch_nginx_look_describe(const struct ch_nginx_look *look, struct ch_buf *buf);

#endif
