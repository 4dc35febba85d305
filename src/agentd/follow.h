/* Follows the feed: one step asks the store once, applies the answer, and acknowledges.  Keeps
 * no thread and never sleeps: the caller waits between steps. */
#ifndef CH_AGENTD_FOLLOW_H
#define CH_AGENTD_FOLLOW_H

#include "agentd/apply.h"
#include "agentd/brake.h"
#include "agentd/figures.h"
#include "agentd/nginx_look.h"
#include "agentd/refused.h"
#include "edge/replica.h"
#include "net/api.h"
#include "wire/edge_error.h"

#define CH_HEARTBEAT_MS 15000	  /* acknowledge at least so often, news or not */
#define CH_POLL_WAIT_MAX_MS 15000 /* so that a long poll does not delay the heartbeat */
#define CH_TROUBLE_B 512
#define CH_LABEL_B 64 /* a pool's name */

struct ch_follow {
	struct ch_api *api; /* borrowed */
	struct ch_replica_options replica;
	struct ch_replica_writer *writer; /* owned; NULL while the replica cannot be opened */
	const struct ch_verify_set *signers; /* borrowed */
	char pool[CH_LABEL_B];		     /* of this edge; "": not known */
	int64_t poll_wait_ms;
	int64_t check_ms; /* how often all of the replica is read; 0: only after a crash */
	struct ch_brake brake;
	struct ch_refused refused;
	struct ch_nginx_look nginx;

	uint64_t released_seq;	    /* removals up to here were confirmed … */
	uint64_t released;	    /* … and so many of them are still to come */
	uint64_t refused_head;	    /* the feed's head when the brake went on */
	int64_t brake_ask_ms;	    /* while the brake is on: when to ask the store again */
	bool no_snapshots;	    /* the store is of a version that has none */
	uint64_t filled;	    /* names, by snapshots since the start; for the log: */
	int64_t told_ms;	    /* when that was told last */
	_Atomic bool fetching;	    /* another thread asks the store: it must not look */
	int64_t look_ms;	    /* when the replica's files were looked at last */
	bool lost;		    /* … and were not as they should be: for the next step */
	int64_t readers_ms;	    /* when readers were looked at last */
	int64_t stuck_ms;	    /* when a stuck reader made a new generation last */
	unsigned failures;	    /* in a row */
	unsigned restarts;	    /* of the feed from its beginning, lately */
	int64_t restart_ms;	    /* when the last one was */
	int64_t restart_wait_ms;    /* how long to leave the store alone after it */
	bool answered;		    /* by the store, since the start */
	char trouble[CH_TROUBLE_B]; /* of the replica: disk full, …; "" when well */
	/* Of the generation under construction (follow_handback.c): */
	bool hand_tickets;		  /* the ticket keys were; */
	bool handed;			  /* what the store has forgotten was handed back */
	char hand_after[CH_RECORD_KEY_B]; /* up to this name */
	size_t hand_alone;		  /* so many go each in a request of its own */
	bool hand_first_only;		  /* of the next name: its two together gave offence */
	uint64_t hand_taken;
	uint64_t hand_soon; /* taken, but the issuer has to sign them again */
	uint64_t hand_refused;
	int64_t hand_until_ms;	   /* how long these are waited for */
	bool epoch_known;	   /* the store has said in which epoch it is */
	uint8_t epoch[CH_EPOCH_B]; /* of the store */
	bool ack_sent;		   /* … and these were in it: */
	int64_t ack_ms;
	uint64_t ack_seq;
	uint8_t ack_epoch[CH_EPOCH_B];
	char ack_error[CH_EDGE_ERROR_MAX_B + 1];
	struct ch_agent_figures figures;
};

/* Opens the replica; at a first start one is begun, for which see ch_replica_writer_open.  What
 * is borrowed must outlive it.  CH_ECONFLICT: another agent has it; CH_EAUTH, CH_EINVAL,
 * CH_ETOOBIG: somebody must put that right; whatever else is returned, ch_follow_step tries
 * again.  *err may tell of damage with CH_OK. */
CH_MUST int ch_follow_open(
	struct ch_follow *follow, const struct ch_brake_limits *limits, struct ch_err *err);
void ch_follow_close(struct ch_follow *follow);

/* One step.  Never gives up: logs what is wrong and sets *ret_wait_ms, how long to wait before
 * the next step (0: at once). */
void ch_follow_step(struct ch_follow *follow, int64_t *ret_wait_ms);

/* True when the replica's files are not what they were: the next step should be made now. Looks
 * once a second, so that waiting for the store or between steps can be cut short. */
bool ch_follow_is_lost(struct ch_follow *follow);

#endif
