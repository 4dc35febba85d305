/* Inside src/cli: the parts of `certherd init`. */
#ifndef CH_CLI_INIT_H
#define CH_CLI_INIT_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define CH_INIT_SANS_MAX 16
#define CH_INIT_TEXT_B 160

struct ch_init {
	/* As given on the command line; NULL where it was not. */
	const char *directory;
	const char *directory_ca;
	const char *roots;
	const char *contact;
	const char *eab_kid;
	const char *eab_hmac_file;
	const char *store_listen;
	const char *store_san; /* comma-separated */
	const char *probe;
	const char *edge;
	const char *pool;
	const char *nginx_group;
	const char *store_user, *issuer_user, *agent_user;
	bool agree_terms;

	/* Worked out. */
	char dir[PATH_MAX];  /* where it will be, absolute */
	char work[PATH_MAX]; /* where it is built */
	char directory_ca_path[PATH_MAX];
	char roots_path[PATH_MAX];
	char store_url[300];
	char store_port[8];
	char sans[CH_INIT_SANS_MAX][264]; /* "DNS:…", "IP:…" */
	size_t n_sans;

	/* Made. */
	char recipient[CH_INIT_TEXT_B];
	char signer[CH_INIT_TEXT_B];
	char thumbprint[64];
};

/* Checks what was given and fills in what is worked out, but dir and work.  CH_EINVAL. */
CH_MUST int ch_init_prepare(struct ch_init *init, struct ch_err *err);
/* Makes every file below init->work. */
CH_MUST int ch_init_build(struct ch_init *init, struct ch_err *err);
/* Appends the commented certherd.conf: every key, with what was chosen. */
CH_MUST int ch_init_conf(const struct ch_init *init, struct ch_buf *out);

/* As root: gives each role's files below dir to the user that [up] of dir/certherd.conf says,
 * so that a role can read its own secrets only.  CH_ENOTFOUND: a user does not exist, and
 * nothing was changed. */
CH_MUST int ch_init_own(const char *dir, struct ch_err *err);
/* Removes a folder and all below it, without following links. */
void ch_init_remove(const char *dir);
/* "DIR/name" into a buffer of PATH_MAX; CH_ETOOBIG. */
CH_MUST int ch_init_path(const char *dir, const char *name, char ret_path[PATH_MAX]);

#endif
