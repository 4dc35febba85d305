/* Taking over certificates and keys that others have issued (`certherd adopt`).
 *
 * First everything is looked at once (survey): each certificate is judged, and of each name the
 * best one is noted.  What is kept of that is small: paths, ends, names.  Then the certificates
 * are read again one after the other, with their keys, which are sealed, wiped and published
 * in batches. */
#ifndef CH_ISSUERD_ADOPT_H
#define CH_ISSUERD_ADOPT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/x509.h"
#include "issuerd/adopt_conf.h"
#include "issuerd/adopt_pem.h"
#include "issuerd/adopt_report.h"
#include "issuerd/crew.h"
#include "issuerd/issuer.h"
#include "net/api.h"

#define CH_ADOPT_DEPTH_MAX 16
#define CH_ADOPT_CHUNK 128 /* certificates that are looked at, or made ready, at a time */
#define CH_ADOPT_PATHS_MAX 4000000 /* files of one source */

struct ch_adopt_cert {
	char *cert;	/* path */
	char *key;	/* path; NULL: not found */
	char *chain;	/* path; NULL: none of its own */
	json_t *wanted; /* names of a configuration, as keys; NULL: all that it covers */
	uint8_t spki[CH_SHA256_B];
	int64_t not_after_s;
	bool rsa;
	bool good;   /* judged, and fit to be adopted */
	bool folder; /* found by itself: its key is looked for */
};

struct ch_adopt_key { /* of a folder */
	uint8_t spki[CH_SHA256_B];
	char *path;
};

/* What of a certificate is read from its files. */
struct ch_adopt_leaf {
	struct ch_cert_chain *chain; /* in order, from the leaf; owned */
	struct ch_cert_info info;
	EVP_PKEY *key; /* owned; NULL: none in the files read */
	bool rsa;
};

struct ch_adopt {
	struct ch_issuer *issuer;
	struct ch_api *api;
	struct ch_trust *roots; /* borrowed or own_roots */
	struct ch_trust *own_roots;
	int ca; /* index of the CA that they are from, as the operator says; -1: not known */
	unsigned threads;
	struct ch_secret *scratch[CH_CREW_MAX]; /* of each; the first is also the caller's */
	struct ch_adopt_report report;
	json_t *settings; /* of new names, as the API takes them */
	json_t *only;	  /* names as keys; NULL: all */
	bool both;	  /* new names are to have two certificates */
	bool dry_run;
	int64_t least_left_s;
	struct ch_adopt_cert *certs;
	size_t n_certs;
	size_t certs_cap;
	json_t *by_path; /* certificate's path: its index */
	struct ch_adopt_key *keys;
	size_t n_keys;
	size_t keys_cap;
	struct ch_adopt_pem pool; /* intermediates that were found by themselves */
	json_t *names;		  /* name: its best certificates, packed */
	char folder[PATH_MAX];	  /* that is being looked through, without links, */
	char archive[PATH_MAX];	  /* and where links of it may lead, too; "": nowhere */
	size_t n_paths;
};

/* ---- adopt_find.c: each adds what it finds.  An error is of the source itself. ---- */
CH_MUST int ch_adopt_find_certbot(struct ch_adopt *a, const char *dir, struct ch_err *err);
CH_MUST int ch_adopt_find_caddy(struct ch_adopt *a, const char *dir, struct ch_err *err);
CH_MUST int ch_adopt_find_folder(struct ch_adopt *a, const char *dir, struct ch_err *err);
CH_MUST int ch_adopt_find_conf(
	struct ch_adopt *a, enum ch_words_lang lang, const char *path, struct ch_err *err);

/* ---- adopt_list.c ---- */
/* site->names NULL: all names that the certificate covers. */
CH_MUST int ch_adopt_add(struct ch_adopt *a, const struct ch_adopt_site *site, bool folder);
CH_MUST int ch_adopt_add_key(struct ch_adopt *a, EVP_PKEY *key, const char *path);
/* Once everything is found: keys of a folder to their certificates. */
void ch_adopt_match_keys(struct ch_adopt *a);
/* Judges all certificates and notes the best of each name. */
CH_MUST int ch_adopt_survey(struct ch_adopt *a);
/* The names of a certificate that are wanted: calls each(name), which is normalized. */
CH_MUST int ch_adopt_names(struct ch_adopt *a, const struct ch_adopt_cert *cert,
	const struct ch_adopt_leaf *leaf, int (*each)(void *arg, const char *name), void *arg);
enum ch_adopt_role { CH_ADOPT_NO, CH_ADOPT_FIRST, CH_ADOPT_SECOND };
/* What the certificate with this index is for the name. */
enum ch_adopt_role ch_adopt_role_of(const struct ch_adopt *a, const char *name, size_t index);
void ch_adopt_list_done(struct ch_adopt *a);

/* ---- adopt_judge.c: from several threads, each under a number of its own (crew.h) ---- */
/* Reads the certificate and its chain; with the key when that is in the same file. */
CH_MUST int ch_adopt_load(struct ch_adopt *a, unsigned who, const struct ch_adopt_cert *cert,
	struct ch_adopt_leaf *ret_leaf, struct ch_err *err);
/* Reads its key, unless it is there, and sees that it is the certificate's. */
CH_MUST int ch_adopt_load_key(struct ch_adopt *a, unsigned who,
	const struct ch_adopt_cert *cert, struct ch_adopt_leaf *leaf, struct ch_err *err);
CH_MUST int ch_adopt_judge(
	struct ch_adopt *a, const struct ch_adopt_leaf *leaf, struct ch_err *err);
/* Whether its public key is one of RSA. */
bool ch_adopt_is_rsa(const struct ch_adopt_leaf *leaf);
void ch_adopt_leaf_done(struct ch_adopt_leaf *leaf);
/* Whether it is the certificate of a CA. */
bool ch_adopt_is_ca(const uint8_t *der, size_t len);

/* ---- adopt_send.c ---- */
/* Has the store make everything live that was found fit: the first certificates, then the
 * second ones.  An error: the store cannot be reached or refuses us; what was done, is. */
CH_MUST int ch_adopt_send(struct ch_adopt *a, struct ch_err *err);

#endif
