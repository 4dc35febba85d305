/* Which system user a role runs as: "name", "uid", "uid:gid" or "-" (no user of its own). */
#ifndef CH_BASE_USER_H
#define CH_BASE_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define CH_USER_GROUPS_MAX 32

struct ch_user {
	bool separate; /* false: "-", and the rest means nothing */
	uid_t uid;
	gid_t gid;
	gid_t groups[CH_USER_GROUPS_MAX]; /* supplementary ones, gid among them */
	size_t n_groups;
};

/* A uid alone gets the group of that user, or the group of the same number.  CH_ENOTFOUND:
 * there is no such user; CH_EINVAL: not understood, or root, who is no separate user. */
CH_MUST int ch_user_parse(const char *text, struct ch_user *ret_user, struct ch_err *err);
/* A name or a number.  CH_ENOTFOUND, CH_EINVAL. */
CH_MUST int ch_group_parse(const char *text, gid_t *ret_gid, struct ch_err *err);
/* CH_EFULL at CH_USER_GROUPS_MAX. */
CH_MUST int ch_user_add_group(struct ch_user *user, gid_t gid);

#endif
