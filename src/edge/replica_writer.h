/* Internal to src/edge: the writer, shared by replica_write.c (generations),
 * replica_apply.c (transactions) and replica_watch.c (what becomes of them). */
#ifndef CH_EDGE_REPLICA_WRITER_H
#define CH_EDGE_REPLICA_WRITER_H

#include "edge/generation.h"

#define CH_REPLICA_BUILDING "building"

struct ch_replica_writer {
	char dir[CH_REPLICA_DIR_B];
	int64_t reader_gid;
	struct ch_generation_open how;
	int lock_fd;		    /* owned: DIR/writer.lock */
	struct ch_generation live;  /* env NULL: none could be opened */
	struct ch_generation build; /* env NULL: not rebuilding */

	/* the open transaction on the target */
	MDB_txn *txn; /* NULL: none */
	int txn_rc;   /* the first error, latched */
	uint64_t names;
	uint64_t certs;

	/* looks through the live generation */
	pid_t walker;	       /* 0: none is at work */
	int64_t walk_ms;       /* when the last one was begun */
	bool died;	       /* a reader has, since the last one was begun */
	int64_t death_walk_ms; /* when the last one was begun because of that; 0: never */

	/* the oldest outdated snapshot that check_readers saw */
	size_t stuck_txn; /* 0: none */
	int64_t stuck_since_ms;
};

/* Makes `current` or `building` name a generation. */
CH_MUST int ch_replica_write_pointer(struct ch_replica_writer *writer, const char *file,
	const char *generation, struct ch_err *err);
/* Takes `current` away if pages of the generation that it names were found damaged
 * (CH_PROBLEM_PAGES): see replica.h. */
void ch_replica_withdraw(struct ch_replica_writer *writer, const struct ch_err *why);
/* The live generation is another one, or none: what was known of its readers, and of looks
 * through it, is no longer true.  Stops one that is at work. */
void ch_replica_forget_live(struct ch_replica_writer *writer);
/* Removes the generations of our format that are neither live nor under construction and that
 * nobody reads. */
void ch_replica_sweep(struct ch_replica_writer *writer);

/* ---- replica_tickets.c, within the open transaction ---- */
CH_MUST int ch_replica_put_tickets(struct ch_replica_writer *writer,
	const struct ch_record *record, const uint8_t *bytes, size_t len,
	enum ch_apply_effect *ret_effect);
/* What the live generation knows of ticket keys, into a new one. */
CH_MUST int ch_replica_copy_tickets(struct ch_generation *from, struct ch_generation *to);

/* Where puts go. */
static inline struct ch_generation *ch_replica_target(struct ch_replica_writer *writer)
{
	return writer->build.env ? &writer->build : &writer->live;
}

#endif
