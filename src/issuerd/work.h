/* A leased order (LEASED in doc/api.md) in the hands of a worker. */
#ifndef CH_ISSUERD_WORK_H
#define CH_ISSUERD_WORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme/ari.h"
#include "acme/json.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "issuerd/config.h"
#include "issuerd/dns_journal.h"
#include "wire/name.h"
#include "wire/state.h"

#define CH_WORK_NAMES_MAX 2   /* a name and its www name */
#define CH_WORK_ACCOUNT_B 256 /* with NUL */
#define CH_HELD_CODE_B 64     /* with NUL */

struct ch_notes_dns {
	unsigned name; /* index of the order's name that it is for */
	struct ch_dns_txt txt;
};

/* What the issuer notes in the order's "acme" field: what it needs to go on after a crash. */
struct ch_notes {
	char order[CH_ACME_URL_B];
	char finalize[CH_ACME_URL_B];
	char authz[CH_WORK_NAMES_MAX][CH_ACME_URL_B];
	size_t n_authz;
	int64_t expires_ms; /* of the order at the CA; 0: not known */
	int64_t since_ms;   /* when the order's present state began */
	unsigned polls;	    /* of the CA, in the present state */
	unsigned waits;	    /* for edges, in the present state */
	unsigned probes;
	uint64_t errors_before; /* passing errors of the order before its present state */
	int64_t edges_since_ms; /* when the wait for edges began, in the present state; 0: none
				 */
	/* The reason of the wait for edges, or for a record that is held back, as it was
	 * logged;
	 * "": it was not. */
	char waits_for[CH_HELD_CODE_B];
	/* That the names are validated: the CA has not said so. */
	bool presumed;
	bool told; /* the edges were told under which account to answer for this order */
	/* TXT records that are, or may be, in the DNS for the order. */
	struct ch_notes_dns dns[CH_WORK_NAMES_MAX];
	size_t n_dns;
	/* Tokens that the edges were given, by the order's names; "": none. */
	char tokens[CH_WORK_NAMES_MAX][CH_ACME_TOKEN_B];
	int64_t tokens_until_ms; /* from then on edges do not answer for them */
};

/* A fresh JSON object; NULL when out of memory. */
json_t *ch_notes_json(const struct ch_notes *notes);
/* doc NULL or null: empty notes.  CH_ECORRUPT. */
CH_MUST int ch_notes_read(const json_t *doc, struct ch_notes *ret_notes);

struct ch_edges {
	bool ready;
	size_t known;
	size_t caught_up; /* of these: they have the newest record of each name */
	char behind[400]; /* "edge/default/e1, edge/default/e2": for people, cut */
	/* Why the store holds a record back from them; code "": it does not. */
	char held_code[CH_HELD_CODE_B];
	char held_detail[1000];
	enum ch_actor held_actor;
};

struct ch_old_record {
	uint8_t *bytes; /* owned; NULL: none */
	size_t len;
};

/* What is put back: the records that were live under the version, as the order's names, and
 * their chain block. */
struct ch_old {
	uint64_t version; /* 0: nothing is put back */
	struct ch_old_record records[CH_WORK_NAMES_MAX];
	uint8_t *chain; /* owned; NULL: no intermediates */
	size_t chain_len;
};

struct ch_work {
	uint64_t id;
	uint64_t fence;
	enum ch_order_state state;
	char names[CH_WORK_NAMES_MAX][CH_NAME_TEXT_B];
	const char *name_list[CH_WORK_NAMES_MAX];  /* into names */
	uint64_t failures[CH_WORK_NAMES_MAX];	   /* in a row, before this order */
	uint64_t checks_failed[CH_WORK_NAMES_MAX]; /* of these: before the CA was asked */
	int64_t away_since_ms[CH_WORK_NAMES_MAX];  /* 0: its DNS does not lead elsewhere */
	/* Certificates of renewals: when the live one ends, or has to go; 0: no hurry. */
	int64_t needed_by_ms[CH_WORK_NAMES_MAX];
	size_t n_names;
	char cas[CH_CAS_MAX][CH_CA_NAME_B]; /* that the names may use, in order */
	size_t n_cas;			    /* 0: any */
	char account[CH_WORK_ACCOUNT_B];    /* as the store paces it; "": it does not say */
	/* Under which account the edges answer; 0: the first that is pinned there.  As read for
	 * orders that are new, and as written since. */
	uint64_t answer_under[CH_WORK_NAMES_MAX];
	uint64_t attempts;
	enum ch_key_type key;
	bool second;			  /* brings the names' second certificate */
	bool standby;			  /* … or their standby, which goes to no edge */
	bool renewal;			  /* each name has such a certificate live */
	char replaces[CH_ACME_CERT_ID_B]; /* the certID that an order names; "": none */
	struct ch_edges edges;
	struct ch_notes notes;
	uint8_t *csr; /* owned; DER; NULL before `sealed` */
	size_t csr_len;
	uint8_t *sealed; /* owned; issuerd/sealed.h */
	size_t sealed_len;
	bool made_here; /* csr and sealed: they do not come back from the store */
	bool has_leaf;	/* published */
	uint8_t leaf_sha256[CH_SHA256_B];
	bool has_second_leaf; /* … with a second one */
	uint8_t second_leaf_sha256[CH_SHA256_B];
	/* A roll-back: what is put back, and as the second certificate together with it. */
	struct ch_old old;
	struct ch_old old_second;
	int64_t lease_until_mono_ms;
	/* The step before this one was made under the same lease: nothing can have happened in
	 * between.  Otherwise the step asks the CA first how things stand. */
	bool fresh;
	/* state and notes are further than what the store has: after a wait that was not
	 * written.  Whoever leased the order after us would find out from the CA. */
	bool ahead;
};

/* until_mono_ms: when the lease runs out.  The caller frees *ret_work.  CH_EPROTO. */
CH_MUST int ch_work_read(const json_t *doc, int64_t until_mono_ms, struct ch_work **ret_work,
	struct ch_err *err);
void ch_work_free(struct ch_work *work);
CH_DEFINE_CLEANUP(struct ch_work *, ch_work_free)
#define CH_AUTO_WORK CH_CLEANUP(ch_work_free_p)

/* The "edges" object of LEASED and of the answer to PATCH; absent members count as not ready.
 */
void ch_edges_read(const json_t *doc, struct ch_edges *ret_edges);

#endif
