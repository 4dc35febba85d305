/* Internal to src/agentd: the parts of a step. */
#ifndef CH_AGENTD_FOLLOW_PRIV_H
#define CH_AGENTD_FOLLOW_PRIV_H

#include "agentd/follow.h"

/* Sends the acknowledgement when there is news or the heartbeat is due.  A failure is logged
 * and made good by the next one. */
void ch_follow_ack(struct ch_follow *follow);

/* Begins a new empty generation that is filled from the beginning of the feed. */
CH_MUST int ch_follow_rebuild(struct ch_follow *follow, struct ch_err *err);
/* Publishes the generation under construction once it is complete and lacks too little for the
 * brake, or somebody has confirmed. */
CH_MUST int ch_follow_try_publish(struct ch_follow *follow, struct ch_err *err);
/* Readers of dead processes and stuck ones; every ten seconds. */
void ch_follow_check_readers(struct ch_follow *follow);

#endif
