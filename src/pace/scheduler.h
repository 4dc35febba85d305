/* Who is next: classes of urgency, and within one the tenants in turn, each by its own order of
 * arrival.  In memory, for up to millions of items, which are numbers from 0.
 *
 * What cannot start yet for a reason of its own (the bucket of its registered domain is empty)
 * is parked under a key, where it is in nobody's way; of a key's items one comes back at a
 * time. Pure: no clock, no I/O. */
#ifndef CH_PACE_SCHEDULER_H
#define CH_PACE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The most urgent first. */
enum ch_class {
	CH_CLASS_DANGER,  /* expires soon */
	CH_CLASS_RENEWAL, /* its time to be renewed has come */
	CH_CLASS_VISITOR, /* somebody asks for it just now */
	CH_CLASS_NEW,
	CH_CLASS_BACKLOG, /* imports */
	CH_CLASS_COUNT
};

#define CH_SCHED_NONE UINT32_MAX
/* Each so many turns one is a less urgent class's. */
#define CH_SCHED_SHARE 8

/* Whose turn it is, of the classes whose bit (1 << class) is set in waiting (at least one): the
 * most urgent's, but of CH_SCHED_SHARE turns for which less urgent ones waited too, one is for
 * these, which take theirs in turn.  So nothing starves, however much comes that is more
 * urgent. turn: how many of these turns there have been; 0 to begin with. */
enum ch_class ch_sched_class(unsigned waiting, uint64_t turn);
/* The number after that turn.  A turn for which nobody else waited does not count; one of the
 * least urgent class is its share: it has the next one after as many as after any other. */
uint64_t ch_sched_next_turn(unsigned waiting, uint64_t turn);

struct ch_sched;

/* Items 0 … n_items - 1, tenants 0 … n_tenants - 1, keys 0 … n_keys - 1.  CH_ENOMEM. */
CH_MUST int ch_sched_new(
	uint32_t n_items, uint32_t n_tenants, uint32_t n_keys, struct ch_sched **ret_sched);
/* With so many lines (1 … CH_SCHED_LINES). */
CH_MUST int ch_sched_new_lines(uint32_t n_items, uint32_t n_tenants, uint32_t n_keys,
	unsigned n_lines, struct ch_sched **ret_sched);
void ch_sched_free(struct ch_sched *sched); /* NULL allowed */

/* A tenant with weight 2 has two turns for one of a tenant with weight 1, which is the default;
 * 1 … 1000. */
void ch_sched_set_weight(struct ch_sched *sched, uint32_t tenant, unsigned weight);

/* The item waits from now on: behind the others of its tenant and class, or before them (one
 * that had its turn and could not use it).  One that waits already, parked or not, is moved. */
void ch_sched_add(struct ch_sched *sched, uint32_t item, uint32_t tenant, enum ch_class class,
	bool first);
/* It waits no longer; nothing happens to one that does not. */
void ch_sched_remove(struct ch_sched *sched, uint32_t item);
/* The tenant's next turn in that class comes before those of tenants with a higher place (0 …
 * 999,999), each of which has one before it has another.  Only before anything is added. */
void ch_sched_set_place(
	struct ch_sched *sched, uint32_t tenant, enum ch_class class, uint32_t place);
/* The tenant stands in that line (0 … CH_SCHED_LINES - 1; 0 by default), of which
 * ch_sched_take_of can pass some over; for tenants of one class only.  Before anything is
 * added. */
#define CH_SCHED_LINES 8
void ch_sched_set_line(struct ch_sched *sched, uint32_t tenant, unsigned line);
/* Turns (ch_sched_class) that were taken before this scheduler was made. */
void ch_sched_set_turn(struct ch_sched *sched, uint64_t turn);
bool ch_sched_waits(const struct ch_sched *sched, uint32_t item);

/* Takes the next item (ch_sched_class) of the classes whose bit is set in open; CH_SCHED_NONE:
 * there is none.  Costs the logarithm of the number of tenants that wait. */
uint32_t ch_sched_take(struct ch_sched *sched, unsigned open);
/* The same of the lines whose bit (1 << line) is set. */
uint32_t ch_sched_take_of(struct ch_sched *sched, unsigned open, unsigned lines);
/* The lines in which somebody waits, parked ones not counted. */
unsigned ch_sched_lines(const struct ch_sched *sched);

/* Puts an item that was taken aside, behind the others of that key, until the key is woken, and
 * gives its tenant the turn back. */
void ch_sched_park(struct ch_sched *sched, uint32_t item, uint32_t key, int64_t at_ms);
/* The earliest time of a key with parked items; INT64_MAX: none. */
int64_t ch_sched_next_wake_ms(const struct ch_sched *sched);
/* For each key whose time has come: its first item waits again, first of its tenant, and if
 * more are parked there their time is again_at_ms(arg, key, now_ms), which must be after now.
 */
void ch_sched_wake(struct ch_sched *sched, int64_t now_ms,
	int64_t (*again_at_ms)(void *arg, uint32_t key, int64_t now_ms), void *arg);

/* How many wait in that class, the parked ones not counted. */
uint32_t ch_sched_count(const struct ch_sched *sched, enum ch_class class);

#endif
