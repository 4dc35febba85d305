/* Names that visitors wait for, gathered for the store: a hint, of which nothing is kept on
 * disk. Whatever cannot be told is dropped.
 *
 * Who tells the agent are nginx's workers, and strangers may have taken one: so only names come
 * in, each at most once in CH_WANTED_AGAIN_MS, and the store is asked once a second at most,
 * for CH_WANTED_NAMES_MAX of them.  Whether a name is registered for this edge at all is not
 * looked up here, since the replica's one reader in this process is the thread that follows the
 * feed: the store has to look anyway. */
#ifndef CH_AGENTD_WANTED_NAMES_H
#define CH_AGENTD_WANTED_NAMES_H

#include "agentd/figures.h"
#include "base/clock.h"
#include "edge/told.h"
#include "net/api.h"
#include "wire/name.h"

#define CH_WANTED_NAMES_MAX 100u
#define CH_WANTED_GATHER_MS 50		      /* after the first of them */
#define CH_WANTED_EVERY_MS CH_SECOND_MS	      /* between two requests, at least */
#define CH_WANTED_AGAIN_MS (5 * CH_MINUTE_MS) /* a name is not told again within */
#define CH_WANTED_REST_MS (10 * CH_SECOND_MS) /* after a request that failed … */
#define CH_WANTED_REST_MOST_MS CH_HOUR_MS     /* … or as long as the store says, up to this */
#define CH_WANTED_NO_ROUTE_MS CH_HOUR_MS      /* after one that the store did not know */

struct ch_wanted_names {
	struct ch_api *api;		  /* borrowed */
	struct ch_agent_figures *figures; /* borrowed */
	struct ch_told *told;		  /* owned */
	char names[CH_WANTED_NAMES_MAX][CH_NAME_TEXT_B];
	size_t n;
	int64_t first_ms; /* when the first of them came */
	int64_t next_ms;  /* when the store may be asked again */
	bool resting;	  /* until then, since it failed: what comes meanwhile is dropped */
};

CH_MUST int ch_wanted_names_init(
	struct ch_wanted_names *w, struct ch_api *api, struct ch_agent_figures *figures);
void ch_wanted_names_done(struct ch_wanted_names *w);

/* A datagram; what is no name is counted and dropped. */
void ch_wanted_names_take(struct ch_wanted_names *w, const char *bytes, size_t len);
/* Then no more are taken before the next request. */
bool ch_wanted_names_is_full(const struct ch_wanted_names *w);
/* When ch_wanted_names_send is due, on the monotonic clock; INT64_MAX: there is nothing to
 * send. */
int64_t ch_wanted_names_due_ms(const struct ch_wanted_names *w);
void ch_wanted_names_send(struct ch_wanted_names *w);

#endif
