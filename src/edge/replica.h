/* The replica on an edge's disk: one LMDB environment per generation.
 *
 *   DIR/current            text: names of the live generation, one line per format, newest
 *                          format first; replaced by rename; only ever names a complete one
 *   DIR/building           text: the generation under construction, if there is one
 *   DIR/writer.lock        held by the one writer; its time: when that last heard of the store
 *   DIR/f1-<16 hex>/       a generation of format 1: data.mdb, lock.mdb
 *     db "names"   key: the name (bytes)       value: its record (wire/record.h), as fed
 *     db "extras"  key: as ch_record_key makes it: a POLICY or SECOND record; apart, so that
 *                  what few names have, or is small, does not cost the others a page
 *     db "chains"  key: chain id (32 bytes)    value: chain block
 *     db "meta"    key: text                   value: see generation.h; ticket keys too
 *
 * A generation is never truncated nor rebuilt in place: a broken one is abandoned and a new one
 * made beside it.  nginx links generation.c and replica_read.c; only the agent links the rest.
 *
 * Readers check owners, format, first pages and size, and refuse what fails; the other pages
 * they must trust, since to read all of them takes as long as reading the file, and LMDB has no
 * checksums.  So when the writer, which reads all of it, finds pages that lead LMDB astray, it
 * withdraws `current`: a worker of nginx, which holds private keys, would read beside them or
 * crash, and so would the one that is started in its place.  A worker that starts now says that
 * there is no replica; one that has the generation open reads on.  That holds without a store
 * too, although most names may still be whole in it.  Records that cannot be used harm nobody
 * but their own names, and what readers refuse by themselves harms nobody: for these `current`
 * stays until the next generation is there.
 *
 * Who may read: with a reader group, DIR and the generations have mode 0750, data.mdb 0640 and
 * lock.mdb 0660 (LMDB's readers enter themselves there), all with that group.  A reader
 * refuses files that belong to anybody but the owner of DIR or root, or that others than their
 * owner may write (the lock file's group apart).
 *
 * LMDB's file locks belong to processes: one process must not have a generation open twice
 * (two readers, or a reader and the writer, of one folder at a time); this is refused with
 * CH_EEXIST.  Nothing here is thread-safe, and nothing is used across a fork. */
#ifndef CH_EDGE_REPLICA_H
#define CH_EDGE_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/feed.h"
#include "wire/record.h"

struct ch_cursor {
	uint8_t epoch[CH_EPOCH_B];
	uint64_t seq;  /* the last applied */
	uint64_t base; /* see doc/api.md; equals seq once the snapshot is complete */
	bool valid;    /* false in an empty generation */
};

/* How far a snapshot by name has come. */
struct ch_place {
	bool valid; /* false: none was begun */
	bool done;  /* everything is there up to head; the feed goes on from it */
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;		   /* of the feed, when it was begun */
	char key[CH_RECORD_KEY_B]; /* NUL-terminated; what to go on after */
};

/* ---- reader (one per process or worker; never used across a fork) ---- */
struct ch_replica_reader;

/* A reader of DIR with no generation open yet: ch_replica_reader_poll opens one as soon as
 * there is one.  Touches no file.  CH_ENOMEM, CH_ETOOBIG (path). */
CH_MUST int ch_replica_reader_new(const char *dir, struct ch_replica_reader **ret_reader);
/* The same, and opens the live generation: checks the file's size against its last page before
 * the memory map is touched, the format and the owner.  CH_ENOTFOUND: there is none yet (the
 * agent has not started).  CH_ECORRUPT, CH_EUNSUPPORTED (newer format), CH_EAUTH (another
 * user's files, or no right to read). */
CH_MUST int ch_replica_reader_open(
	const char *dir, struct ch_replica_reader **ret_reader, struct ch_err *err);
void ch_replica_reader_free(struct ch_replica_reader *reader);
/* Follows `current`: call about once a second; switches when it names another generation and
 * keeps the old one when the new one cannot be opened (*err says why).
 * Returns 1 switched (also: opened the first one), 0 nothing new, negative rc. */
CH_MUST int ch_replica_reader_poll(struct ch_replica_reader *reader, struct ch_err *err);
/* False until the first generation could be opened. */
bool ch_replica_reader_is_open(const struct ch_replica_reader *reader);

/* A lookup sees one consistent state from begin to end; pointers that it hands out are valid
 * until end.  Keep it as short as a handshake callback.  CH_ENOTFOUND: nothing is open yet;
 * CH_ECORRUPT: the file was cut since. */
CH_MUST int ch_replica_begin(struct ch_replica_reader *reader);
void ch_replica_end(struct ch_replica_reader *reader);
/* CH_ENOTFOUND; tombstones count as not found.  *ret_bytes is the raw record. */
CH_MUST int ch_replica_get(struct ch_replica_reader *reader, const char *name, size_t name_len,
	struct ch_record *ret_record, const uint8_t **ret_bytes, size_t *ret_len);
/* The newest keys of session tickets: a record of kind TICKETS.  CH_ENOTFOUND: there are none.
 */
CH_MUST int ch_replica_get_tickets(
	struct ch_replica_reader *reader, struct ch_record *ret_record);
/* The policy of a name.  CH_ENOTFOUND: everything is as by default. */
CH_MUST int ch_replica_get_policy(struct ch_replica_reader *reader, const char *name,
	size_t name_len, struct ch_record *ret_record);
/* How the name's challenges are answered, when that is not as its other records say.
 * CH_ENOTFOUND. */
CH_MUST int ch_replica_get_challenge(struct ch_replica_reader *reader, const char *name,
	size_t name_len, struct ch_record *ret_record);
/* The second certificate of a name that has one; no matter whether the name has a first one.
 * CH_ENOTFOUND: it has none. */
CH_MUST int ch_replica_get_second(struct ch_replica_reader *reader, const char *name,
	size_t name_len, struct ch_record *ret_record);
/* The first entry above a key (len 0: the first of all), in the order of the keys' bytes, as
 * it lies there: tombstones too, and nothing is checked.  CH_ENOTFOUND: no more. */
struct ch_replica_entry {
	const char *key; /* not NUL-terminated; see ch_record_key */
	size_t key_len;
	const uint8_t *bytes;
	size_t len;
};
CH_MUST int ch_replica_next(struct ch_replica_reader *reader, const char *after, size_t len,
	struct ch_replica_entry *ret_entry);
CH_MUST int ch_replica_get_chain(struct ch_replica_reader *reader,
	const uint8_t id[CH_CHAIN_ID_B], const uint8_t **ret_block, size_t *ret_len);
CH_MUST int ch_replica_cursor(struct ch_replica_reader *reader, struct ch_cursor *ret_cursor);
/* Within a lookup, without touching a file: whether the writer has said that another generation
 * has taken this one's place, so that ch_replica_reader_poll is worth it now.  False proves
 * nothing: the writer may have died before it could. */
bool ch_replica_is_superseded(struct ch_replica_reader *reader);
/* When the open generation was last changed, and when the writer last heard from where the
 * changes come from (ch_replica_writer_heard); both in Unix seconds.  Outside of lookups too.
 * CH_ENOTFOUND: nothing is open yet, or the writer never was; CH_EIO. */
CH_MUST int ch_replica_changed_at(const struct ch_replica_reader *reader, int64_t *ret_s);
CH_MUST int ch_replica_heard_at(const struct ch_replica_reader *reader, int64_t *ret_s);

/* ---- writer (the agent; one per directory, enforced by a lock file) ---- */
struct ch_replica_writer;

struct ch_replica_options {
	const char *dir;      /* made when missing; its parent must be there */
	int64_t reader_gid;   /* group that may read, see above; -1: leave as created */
	size_t map_b;	      /* 0: 64 GiB */
	unsigned max_readers; /* 0: 4,096 */
};
/* Opens the live generation, after reading all of it once.  Where there is none yet, or it is
 * damaged, newer or somebody else's, a fresh generation is begun beside it (is_rebuilding is
 * then true: fill it, then publish), and what was wrong is left alone, but withdrawn if its
 * pages are damaged (see above); *err tells why while the rc is CH_OK (err->rc is not), unless
 * there was none.
 * CH_ECONFLICT: another writer has the folder.  CH_EAUTH, CH_EINVAL: the folder cannot be used,
 * and somebody must change that.  CH_EFULL, …: try again later.  Any function below may return
 * CH_ECORRUPT when the file was cut since: free the writer and open it again. */
CH_MUST int ch_replica_writer_open(const struct ch_replica_options *options,
	struct ch_replica_writer **ret_writer, struct ch_err *err);
void ch_replica_writer_free(struct ch_replica_writer *writer);
/* Of the generation that puts go to, as all that follows unless said. */
CH_MUST int ch_replica_writer_cursor(
	struct ch_replica_writer *writer, struct ch_cursor *ret_cursor);
CH_MUST int ch_replica_writer_place(
	struct ch_replica_writer *writer, struct ch_place *ret_place);
/* Names that are not tombstones. */
CH_MUST int ch_replica_writer_count(struct ch_replica_writer *writer, uint64_t *ret_names);
/* The same in the live generation, 0 where none could be opened. */
CH_MUST int ch_replica_writer_live_count(struct ch_replica_writer *writer, uint64_t *ret_names);
/* Where the live generation is, also while another is under construction; CH_EINVAL: none. */
CH_MUST int ch_replica_writer_live_cursor(
	struct ch_replica_writer *writer, struct ch_cursor *ret_cursor);
/* Names with a certificate there: what removals are measured against, since nobody but the
 * issuer can make more of them. */
CH_MUST int ch_replica_writer_live_certs(struct ch_replica_writer *writer, uint64_t *ret_certs);
/* Appends the record that is stored under a key (ch_record_key), tombstones too.  CH_ENOTFOUND.
 */
CH_MUST int ch_replica_writer_get(
	struct ch_replica_writer *writer, const char *key, size_t key_len, struct ch_buf *out);

/* Begins a new empty generation beside the live one; puts go there from now on, readers keep
 * the old one until ch_replica_writer_publish.  An unfinished one survives a restart
 * (resumable): its cursor is what ch_replica_writer_cursor then returns.  Called while one is
 * under construction: that one is thrown away. */
CH_MUST int ch_replica_writer_new_generation(
	struct ch_replica_writer *writer, struct ch_err *err);
/* True also until the first generation of a folder is published. */
bool ch_replica_writer_is_rebuilding(const struct ch_replica_writer *writer);
/* Makes the generation under construction the live one; older ones that nobody reads are
 * removed.  CH_EINVAL when none is under construction. */
CH_MUST int ch_replica_writer_publish(struct ch_replica_writer *writer, struct ch_err *err);

/* One transaction: records, chains and the cursor together.  The first error latches: the
 * puts that follow and the commit return it, and nothing is changed. */
CH_MUST int ch_replica_apply_begin(struct ch_replica_writer *writer);
/* Applies only a version higher than what is there; *ret_effect tells.  The tombstone of a name
 * that is not there is kept, so that older versions stay out, and counts as STALE.  A policy or
 * second certificate counts as CHANGED; both go with the tombstone of their name.  Ticket keys
 * count as CHANGED, and take the place of the ones before, whatever their pool. */
enum ch_apply_effect { CH_APPLY_STALE, CH_APPLY_ADDED, CH_APPLY_CHANGED, CH_APPLY_REMOVED };
CH_MUST int ch_replica_put(struct ch_replica_writer *writer, const struct ch_record *record,
	const uint8_t *bytes, size_t len, enum ch_apply_effect *ret_effect);
CH_MUST int ch_replica_put_chain(struct ch_replica_writer *writer,
	const uint8_t id[CH_CHAIN_ID_B], const uint8_t *block, size_t len);
CH_MUST int ch_replica_has_chain(
	struct ch_replica_writer *writer, const uint8_t id[CH_CHAIN_ID_B], bool *ret_there);
/* Removes ticket keys that are of no use at now_s any more, outside of a transaction. */
CH_MUST int ch_replica_expire_tickets(struct ch_replica_writer *writer, int64_t now_s);
/* CH_EFULL when the disk or the map is full: nothing is changed.  The transaction is over
 * whatever is returned. */
CH_MUST int ch_replica_apply_commit(
	struct ch_replica_writer *writer, const struct ch_cursor *cursor, struct ch_err *err);
/* The same for a part of a snapshot by name: the cursor stays as it is until place->done, and
 * then is set too.  Keys that come in the order of their bytes fill the pages. */
CH_MUST int ch_replica_apply_commit_place(struct ch_replica_writer *writer,
	const struct ch_place *place, const struct ch_cursor *cursor, struct ch_err *err);
void ch_replica_apply_abort(struct ch_replica_writer *writer);
/* For a generation under construction: how many certificates that names have now it lacks, or
 * has expired ones in place of. */
CH_MUST int ch_replica_writer_missing(struct ch_replica_writer *writer, uint64_t *ret_missing);
/* Within a transaction on it: copies the live generation's CERT or SECOND record of a name, and
 * its chain.  CH_ENOTFOUND when there is none. */
CH_MUST int ch_replica_carry_over(struct ch_replica_writer *writer, enum ch_record_kind kind,
	const char *name, size_t name_len);
/* Certificates of a name in the live generation that one under construction, from a store that
 * has gone back in time, lacks or has an older one of.  All is borrowed until fn returns. */
struct ch_replica_ahead_record {
	const uint8_t *record; /* NULL: not ahead, or there is none */
	size_t record_len;
	uint64_t version;
	const uint8_t *chain; /* NULL: none */
	size_t chain_len;
};
struct ch_replica_ahead {
	char name[CH_RECORD_KEY_B];
	struct ch_replica_ahead_record first;  /* CERT */
	struct ch_replica_ahead_record second; /* SECOND; one of the two is there */
	struct ch_text_view tenant;	       /* as its policy says */
};
/* Those that have not expired, in the order of names behind `after` ("": all).  Another value
 * of fn than 0 ends it and is returned. */
CH_MUST int ch_replica_writer_ahead(struct ch_replica_writer *writer, const char *after,
	int (*fn)(const struct ch_replica_ahead *item, void *arg), void *arg);
/* The ticket keys that the edge has, live or in what is under construction, as a record.
 * CH_ENOTFOUND: none. */
CH_MUST int ch_replica_writer_tickets(struct ch_replica_writer *writer, struct ch_buf *out);
/* Tells readers that the replica is as new as the store's last answer, which was now.  A
 * courtesy: that it fails is not told. */
void ch_replica_writer_heard(struct ch_replica_writer *writer);
/* Whether readers that come now find what this writer has open: a few system calls, for every
 * second.  A lost or wrong `current` is put right; *err then says what was wrong while the rc
 * is CH_OK (err->rc is not).  CH_ECORRUPT, CH_EAUTH: files were removed, replaced, damaged, or
 * given to others; readers that have them open read on.  Free the writer and open it again. */
CH_MUST int ch_replica_writer_look(struct ch_replica_writer *writer, struct ch_err *err);
/* Looks through all of the live generation in a process of its own: when every_ms have passed
 * since the last time (also that of opening it; 0: never), and soon after a reader has died
 * without a word, as a worker of nginx does that damaged pages crash; more than one in ten
 * minutes of these is put off.  Call it about once a second: it only begins, and asks for the
 * outcome.  CH_ECORRUPT: damaged, see above; free the writer and open it again.  CH_EAGAIN, …:
 * not this time.  While a look lasts the file may grow. */
CH_MUST int ch_replica_writer_walk(
	struct ch_replica_writer *writer, int64_t every_ms, struct ch_err *err);
/* Of the live generation: removes readers of dead processes; *ret_stuck_ms: for how long, as
 * far as these calls saw, one and the same outdated snapshot has been read (0: none).  Also
 * removes old generations that nobody reads any more.  Call it every few seconds. */
CH_MUST int ch_replica_check_readers(struct ch_replica_writer *writer, int64_t *ret_stuck_ms);

#endif
