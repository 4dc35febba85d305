/* A store that exists only as a list of records, behind a ch_http: answers the feed as
 * doc/api.md says, and remembers acknowledgements. */
#ifndef CH_TEST_FAKE_STORE_H
#define CH_TEST_FAKE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "crypto/sign.h"
#include "net/http.h"
#include "wire/feed.h"
#include "wire/record.h"

#define FAKE_MAX 200

struct fake_row {
	char name[64];
	uint64_t seq;
	uint8_t type;	   /* of the frame */
	bool is_tombstone; /* not in snapshots */
	struct ch_buf record;
	uint8_t chain_id[CH_CHAIN_ID_B]; /* sent before it when chain is not empty */
	struct ch_buf chain;
};

struct fake_store {
	struct ch_http http; /* first: the client's view */
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;
	uint64_t floor;
	uint64_t claimed_head; /* instead of head when not 0 */
	int64_t not_after_s;   /* of CERT records to come; 0: long ago */
	size_t frames_max;     /* per answer */
	bool down;
	bool has_snapshots;	/* else 404 */
	unsigned snapshots;	/* answers of that kind */
	bool bad_place;		/* it does not say where a snapshot goes on */
	bool stuck;		/* … or says the same again and again */
	const char *bad_answer; /* raw bytes instead of a feed */
	int status;		/* instead of 200 when not 0 */
	struct fake_row rows[FAKE_MAX];
	size_t n_rows;
	size_t range_max;		     /* names of one checksum or list; 0: as asked */
	void (*asked)(struct fake_store *s); /* after each answer of that kind; may be NULL */
	unsigned polls;
	char last_path[512];
	const char *handback;	/* of each record that is handed back; NULL: not restored */
	unsigned bad_handbacks; /* so many requests with them are answered 400 first */
	unsigned handed_back;	/* records */
	char last_handback[16384];
	unsigned acks;
	char last_ack[4096];
	struct ch_sign_key *key;
};

void fake_store_init(struct fake_store *s);
void fake_store_done(struct fake_store *s);

/* fake_checksum.c: GET /v1/feed/checksum. */
void fake_store_answer_checksum(struct fake_store *s, const char *path, struct ch_buf *out);

/* fake_snapshot.c: GET /v1/feed/snapshot. */
void fake_store_answer_snapshot(struct fake_store *s, const char *path, struct ch_buf *out);

/* Each replaces the record of that name and gives it the next sequence number. */
struct fake_row *fake_store_row(struct fake_store *s, const char *name); /* NULL: none */
void fake_store_put_cert(struct fake_store *s, const char *name, uint64_t version);
/* The same with a key that nobody pinned. */
void fake_store_put_forged(struct fake_store *s, const char *name, uint64_t version);
void fake_store_put_name(struct fake_store *s, const char *name, uint64_t version);
void fake_store_put_tombstone(struct fake_store *s, const char *name, uint64_t version);
void fake_store_put_raw(
	struct fake_store *s, const char *name, uint8_t type, const void *bytes, size_t len);
/* The second certificate of a name: there, or no longer; forged: as above. */
void fake_store_put_second(
	struct fake_store *s, const char *name, uint64_t version, bool there, bool forged);
/* CERT records from now on have a chain; with send false it is not in the feed. */
void fake_store_put_cert_with_chain(
	struct fake_store *s, const char *name, uint64_t version, bool send, bool right);
/* Forgets a name as a restored or broken store does: no tombstone. */
void fake_store_forget(struct fake_store *s, const char *name);

#endif
