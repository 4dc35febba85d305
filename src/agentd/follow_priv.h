/* Internal to src/agentd: the parts of a step. */
#ifndef CH_AGENTD_FOLLOW_PRIV_H
#define CH_AGENTD_FOLLOW_PRIV_H

#include "agentd/follow.h"

/* Sends the acknowledgement when there is news or the heartbeat is due.  A failure is logged
 * and made good by the next one. */
void ch_follow_ack(struct ch_follow *follow);

/* Closes the replica and opens it again, after damage or loss: what can be read on goes on, and
 * what cannot is made anew beside it.  why: for the log; NULL: it was not
 * open, or what is wrong with it is not known yet. */
void ch_follow_reopen(struct ch_follow *follow, const char *why);
/* For when the store does not go on from where we are.  It can say so again and again, and each
 * time costs it and us the whole list: so from the second time on it is left alone for longer
 * and longer. */
void ch_follow_note_restart(struct ch_follow *follow);
/* True: the store is to be left alone for now. */
bool ch_follow_is_resting(const struct ch_follow *follow);
/* True when it has been started over often enough for people to hear of it. */
bool ch_follow_is_circling(const struct ch_follow *follow);

/* Fills the generation under construction for some seconds, or to its end.  *ret_known: the
 * store has snapshots by name; without, the feed is read from its beginning. */
CH_MUST int ch_follow_snapshot(struct ch_follow *follow, bool *ret_known, struct ch_err *err);

/* Begins a new empty generation. */
CH_MUST int ch_follow_rebuild(struct ch_follow *follow, struct ch_err *err);
/* Gives a store that was restored what it has forgotten, some seconds of it at a time.
 * *ret_done: all of it, or it wants none. */
CH_MUST int ch_follow_hand_back(struct ch_follow *follow, bool *ret_done, struct ch_err *err);
void ch_follow_hand_reset(struct ch_follow *follow);
/* Publishes the generation under construction once it is complete and lacks too little for the
 * brake, or somebody has confirmed. */
CH_MUST int ch_follow_try_publish(struct ch_follow *follow, struct ch_err *err);
/* Readers of dead processes and stuck ones; every ten seconds. */
void ch_follow_check_readers(struct ch_follow *follow);

#endif
