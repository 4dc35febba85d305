/* Records that were not taken over, so that the store's operators hear of it: the names are
 * remembered (a few of them) until a good record for the same name, or its policy, comes. */
#ifndef CH_AGENTD_REFUSED_H
#define CH_AGENTD_REFUSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/record.h"

#define CH_REFUSED_MAX 16
/* Fewer can be bad luck: damaged, or of a second issuer. */
#define CH_REFUSED_ALL 3

struct ch_refused {
	struct {
		char key[CH_RECORD_KEY_B];
		const char *why; /* static */
	} list[CH_REFUSED_MAX];
	size_t n;
	uint64_t more;	      /* refused when the list was full */
	uint64_t unsupported; /* records and frames of a newer sender that were skipped */
	uint64_t in_row;      /* certificates, since the last one that was taken */
	uint64_t in_row_seq;  /* of the last of these in the feed */
};

/* A certificate that was refused; seq: of its frame, 0 in a snapshot.  What the feed brings
 * again, because its answer could not be applied, counts once. */
void ch_refused_count(struct ch_refused *refused, uint64_t seq);
/* A certificate that was taken. */
void ch_refused_taken(struct ch_refused *refused);
/* Whether nothing is taken that is sent: CH_REFUSED_ALL in a row, or as many as there are.
 * certs: how many certificates the edge has that are served. */
bool ch_refused_is_all(const struct ch_refused *refused, uint64_t certs);

/* key: as of ch_record_key, and not NUL-terminated. */
void ch_refused_add(
	struct ch_refused *refused, const char *key, size_t key_len, const char *why);
void ch_refused_drop(struct ch_refused *refused, const char *key, size_t key_len);
/* Appends sentences for the acknowledgement; nothing when all is well. */
void ch_refused_describe(const struct ch_refused *refused, struct ch_buf *out);

#endif
