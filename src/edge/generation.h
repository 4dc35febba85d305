/* Internal to src/edge: what reader and writer agree on about one generation.
 *
 * db "meta":  "format"  u32, CH_GENERATION_FORMAT
 *             "cursor"  u8 epoch[16] u64 seq u64 base; absent in an empty generation
 *             "names"   u64, names that are not tombstones
 *             "certs"   u64, names with a certificate, u64 number of the transaction that
 *                       wrote this: an older writer leaves it as it is, or absent
 *             "next"    the name of the generation that took its place; absent as long as it
 *                       is the live one, and where the writer could not say so
 *             "place"   u8 done, u8 epoch[16], u64 head, key: how far a snapshot by name has
 *                       come; absent in one that was filled by the feed alone
 *             "tickets" the newest TICKETS record (wire/record.h), absent once its keys are of
 *                       no use any more; "tickets-version" u64, that of the newest one ever
 *                       taken: an older one never comes back.  Copied into each new generation
 * Integers are big-endian. */
#ifndef CH_EDGE_GENERATION_H
#define CH_EDGE_GENERATION_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "edge/replica.h"

#define CH_GENERATION_FORMAT 1u
#define CH_GENERATION_PREFIX "f1-"
#define CH_GENERATION_NAME_B 20 /* prefix, 16 hex digits, NUL */
#define CH_REPLICA_READERS_MAX 4096u
#define CH_REPLICA_DIR_B 960   /* of the path of DIR */
#define CH_REPLICA_PATH_B 1280 /* of every path below it */
#define CH_REPLICA_CURRENT "current"
#define CH_REPLICA_LOCK "writer.lock"
#define CH_META_NEXT "next"
#define CH_META_TICKETS "tickets"
#define CH_META_TICKETS_VERSION "tickets-version"

_Static_assert(sizeof(CH_GENERATION_PREFIX) + 16 == CH_GENERATION_NAME_B,
	"prefix, 16 digits and the NUL");
_Static_assert(CH_RECORD_KEY_B - 1 <= 511, "LMDB's longest key, as it is built by default");

/* LMDB's error numbers become ours here and nowhere else. */
int ch_lmdb_rc(int mdb_rc);
/* Sets *err for a failed LMDB call and returns the mapped rc. */
int ch_lmdb_fail(struct ch_err *err, int mdb_rc, const char *what, const char *generation);

/* True for a name of this format, whatever file it came from. */
bool ch_generation_name_ok(const char *name, size_t len);

/* dir/a, or dir/a/b unless b is NULL.  CH_ETOOBIG. */
CH_MUST int ch_generation_path(
	char ret_path[CH_REPLICA_PATH_B], const char *dir, const char *a, const char *b);

/* Reads DIR/file (`current` or `building`) and picks the line of our format.  CH_ENOTFOUND: no
 * such file; CH_EUNSUPPORTED: only other formats are named; CH_ECORRUPT. */
CH_MUST int ch_generation_read_pointer(const char *dir, const char *file,
	char ret_name[CH_GENERATION_NAME_B], struct ch_err *err);

/* Everything that can be known before LMDB maps the file: owners and modes, that data.mdb has
 * all the pages that its newest meta page speaks of, that lock.mdb is there and may be
 * written.  CH_ENOTFOUND, CH_EAUTH, CH_ECORRUPT, CH_EIO. */
CH_MUST int ch_generation_check(const char *dir, const char *name, struct ch_err *err);

/* An open environment of one generation.  All zero: closed. */
struct ch_generation {
	char name[CH_GENERATION_NAME_B];
	MDB_env *env; /* NULL: closed */
	MDB_dbi names;
	MDB_dbi extras;
	MDB_dbi chains;
	MDB_dbi meta;
	int fd;		 /* of data.mdb; borrowed from env */
	uint64_t need_b; /* the file must be at least so long */
	/* As it was when it was last looked at and found good; all zero: not yet.  Its bytes
	 * are as they were as long as both are: ch_generation_check_size. */
	off_t good_b;
	struct timespec good_since;
	dev_t dev; /* of the folder: what the process-wide list of open ones goes by */
	ino_t ino;
	ino_t lock_ino; /* of lock.mdb */
};

struct ch_generation_open {
	bool writer; /* else read-only */
	bool create; /* the folder is new and empty */
	size_t map_b;
	unsigned max_readers;
};

/* Opens and checks the format key; with `create` also makes the databases.  The caller has
 * called ch_generation_check unless it creates.  CH_EEXIST: this process has it open. */
CH_MUST int ch_generation_open(const char *dir, const char *name,
	const struct ch_generation_open *how, struct ch_generation *ret_gen,
	struct ch_err *err);
void ch_generation_close(struct ch_generation *gen);

/* CH_ECORRUPT when the file is shorter than what the newest committed meta page speaks of, or
 * its meta pages were overwritten: to be called before pages are touched, since a read past the
 * end of a file kills, and so does what LMDB makes of zeroes. */
CH_MUST int ch_generation_check_size(struct ch_generation *gen);

/* CH_ECORRUPT (problem replica-lost) when the files that are open are not those that DIR/name
 * leads to: removed, or others in their place. */
CH_MUST int ch_generation_check_same(
	const char *dir, const struct ch_generation *gen, struct ch_err *err);

/* Of a stored record: the second byte in every format; a tombstone where there is none. */
static inline int ch_generation_kind(const MDB_val *val)
{
	const uint8_t *bytes = val->mv_data;

	return val->mv_size > CH_RECORD_AT_KIND ? bytes[CH_RECORD_AT_KIND]
						: CH_RECORD_TOMBSTONE;
}

/* Within a transaction. */
CH_MUST int ch_generation_cursor(
	const struct ch_generation *gen, MDB_txn *txn, struct ch_cursor *ret_cursor);
CH_MUST int ch_generation_place(
	const struct ch_generation *gen, MDB_txn *txn, struct ch_place *ret_place);
CH_MUST int ch_generation_certs(
	const struct ch_generation *gen, MDB_txn *txn, uint64_t *ret_certs);
CH_MUST int ch_generation_count(
	const struct ch_generation *gen, MDB_txn *txn, uint64_t *ret_names);

#endif
