/* What an issuer counts for Prometheus: sums, never a name.  Written by its threads without a
 * lock, read at any time. */
#ifndef CH_ISSUERD_FIGURES_H
#define CH_ISSUERD_FIGURES_H

#include <stdatomic.h>

#include "acme/call.h"
#include "base/buf.h"
#include "issuerd/config.h"

struct ch_write;

/* How an order ended: by a certificate; at the CA; before the CA was asked; without anybody's
 * fault. */
enum ch_figure_end {
	CH_END_DONE,
	CH_END_FAILED,
	CH_END_PREFLIGHT,
	CH_END_LET_GO,
	CH_END_COUNT
};

struct ch_ca_figures {
	atomic_uint_fast64_t answers[CH_ACME_FATE_COUNT];
	atomic_uint_fast64_t spent_ms;
	atomic_uint_fast64_t asked;	 /* renewal information */
	atomic_int_fast64_t answered_ms; /* when it answered last; 0: not yet */
};

struct ch_figures {
	struct ch_ca_figures cas[CH_CAS_MAX];
	atomic_uint_fast64_t leased;
	atomic_uint_fast64_t published;
	atomic_uint_fast64_t ends[CH_END_COUNT];
	atomic_int_fast64_t published_ms;
	atomic_int_fast64_t leased_ms; /* when the store answered a request for orders last */
};

/* A request to the CA has ended so. */
void ch_figures_answer(struct ch_ca_figures *figures, enum ch_acme_fate fate, int64_t spent_ms);
/* The store has taken this write, of an order of so many names. */
void ch_figures_written(struct ch_figures *figures, const struct ch_write *w, size_t n_names);
/* Names that were dead before there was an order: as orders that ended so. */
void ch_figures_dead(struct ch_figures *figures, size_t n);
void ch_figures_leased(struct ch_figures *figures, size_t n);
/* The text of /metrics; arg is a struct ch_issuer. */
void ch_figures_write(void *arg, struct ch_buf *out);

#endif
