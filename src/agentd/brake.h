/* The removal brake: a store gone mad, or broken into, must not be able to take the sites of
 * a whole platform down.  A change that would take more than a share AND more than a number of
 * the live names away within a window is refused until somebody on the edge confirms it.
 *
 *   REPLICA/removal-refused    written while the brake is on: first line its random id, then
 *                              text for people
 *   REPLICA/removal-confirmed  the id, written by `certherd agent --confirm-removal`
 *
 * A confirmation fits one refusal only: one that was left behind releases nothing later. */
#ifndef CH_AGENTD_BRAKE_H
#define CH_AGENTD_BRAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CH_BRAKE_SPANS 64
#define CH_BRAKE_ID_B 17

struct ch_brake_limits {
	unsigned percent; /* of the live names */
	uint64_t count;
	int64_t window_ms;
};

struct ch_brake {
	struct ch_brake_limits limits;
	const char *dir; /* of the replica; borrowed */
	struct {
		int64_t at_ms; /* when the first removal of the span was applied */
		uint64_t removed;
	} spans[CH_BRAKE_SPANS]; /* oldest first; removals that were applied lately */
	unsigned n_spans;
	char id[CH_BRAKE_ID_B]; /* "" while the brake is off */
	uint64_t removing;	/* what is refused */
	uint64_t live;
	bool accepted; /* confirmed: the brake comes off when the removal was applied */
	bool told;     /* the caller's: this refusal was logged */
};

/* Removes what an earlier run left in dir. */
void ch_brake_init(
	struct ch_brake *brake, const struct ch_brake_limits *limits, const char *dir);
/* Whether removing so many of `live` names more is within the limits. */
bool ch_brake_allows(struct ch_brake *brake, int64_t now_ms, uint64_t removing, uint64_t live);
/* Notes removals that were applied. */
void ch_brake_note(struct ch_brake *brake, int64_t now_ms, uint64_t removed);
bool ch_brake_is_on(const struct ch_brake *brake);
/* Puts the brake on (or updates what it refuses) and writes the file; a failure to write it is
 * returned, the brake is on all the same. */
CH_MUST int ch_brake_put_on(
	struct ch_brake *brake, uint64_t removing, uint64_t live, struct ch_err *err);
/* Takes the brake off and removes both files. */
void ch_brake_release(struct ch_brake *brake);
/* True when the refusal that holds now was confirmed. */
bool ch_brake_is_confirmed(const struct ch_brake *brake);
/* Consumes the confirmation.  The refusal stays on record until ch_brake_release, or until
 * ch_brake_put_on replaces it, so that who confirmed can see which of the two happened. */
void ch_brake_accept(struct ch_brake *brake);

/* For --confirm-removal: confirms what the running agent refuses; *ret_text (owned by the
 * caller) says what that is, ret_id is its id.  CH_ENOTFOUND: nothing is refused. */
CH_MUST int ch_brake_confirm(
	const char *dir, char **ret_text, char ret_id[CH_BRAKE_ID_B], struct ch_err *err);
/* What became of it: CH_OK: it is applied; CH_EAGAIN: not yet; CH_ECONFLICT: by now more is
 * refused, under another id: *ret_text says what. */
CH_MUST int ch_brake_outcome(const char *dir, const char id[CH_BRAKE_ID_B], char **ret_text);

#endif
