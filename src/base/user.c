#include "base/user.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ID_MAX 4294967294ul /* the last one, 2^32 - 1, means "no change" in chown */
#define ENTRY_B 16384

/* Digits up to the end or to stop. */
static int parse_id(const char *text, char stop, unsigned long *ret_id, const char **ret_end)
{
	char *end;
	unsigned long id;

	if (!isdigit((unsigned char)*text))
		return CH_EINVAL;
	errno = 0;
	id = strtoul(text, &end, 10);
	if (errno || id > ID_MAX || (*end && *end != stop))
		return CH_EINVAL;
	*ret_id = id;
	*ret_end = end;
	return CH_OK;
}

int ch_user_add_group(struct ch_user *user, gid_t gid)
{
	for (size_t i = 0; i < user->n_groups; i++)
		if (user->groups[i] == gid)
			return CH_OK;
	if (user->n_groups == CH_USER_GROUPS_MAX)
		return CH_EFULL;
	user->groups[user->n_groups++] = gid;
	return CH_OK;
}

static int from_numbers(const char *text, struct ch_user *user)
{
	CH_AUTO_FREE char *entry_text = malloc(ENTRY_B);
	struct passwd entry;
	struct passwd *found = NULL;
	unsigned long uid;
	unsigned long gid;
	const char *end;
	int rc = parse_id(text, ':', &uid, &end);

	if (rc)
		return rc;
	if (!entry_text)
		return CH_ENOMEM;
	if (*end) {
		rc = parse_id(end + 1, 0, &gid, &end);
		if (rc)
			return rc;
	} else {
		(void)getpwuid_r((uid_t)uid, &entry, entry_text, ENTRY_B, &found);
		gid = found ? found->pw_gid : uid;
	}
	user->uid = (uid_t)uid;
	user->gid = (gid_t)gid;
	return ch_user_add_group(user, user->gid);
}

static int from_name(const char *text, struct ch_user *user)
{
	CH_AUTO_FREE char *entry_text = malloc(ENTRY_B);
	struct passwd entry;
	struct passwd *found = NULL;
	int n = CH_USER_GROUPS_MAX;

	if (!entry_text)
		return CH_ENOMEM;
	(void)getpwnam_r(text, &entry, entry_text, ENTRY_B, &found);
	if (!found)
		return CH_ENOTFOUND;
	user->uid = found->pw_uid;
	user->gid = found->pw_gid;
	if (getgrouplist(text, user->gid, user->groups, &n) < 0)
		return CH_EFULL;
	user->n_groups = (size_t)n;
	return CH_OK;
}

int ch_user_parse(const char *text, struct ch_user *ret_user, struct ch_err *err)
{
	struct ch_user user = {.separate = true};
	int rc;

	if (strcmp(text, "-") == 0) {
		*ret_user = (struct ch_user){.separate = false};
		return CH_OK;
	}
	if (!*text)
		return ch_err_set(err, CH_EINVAL, "user", "the name of a user is empty");
	rc = isdigit((unsigned char)*text) ? from_numbers(text, &user) : from_name(text, &user);
	if (rc == CH_ENOTFOUND)
		return ch_err_set(err, rc, "user-unknown", "there is no user %s", text);
	if (rc)
		return ch_err_set(err, rc, "user",
			"\"%s\" is not a user: a name, uid or uid:gid, or - for none", text);
	if (user.uid == 0)
		return ch_err_set(err, CH_EINVAL, "user-root",
			"%s is root, who may read everything: write - to go without separation",
			text);
	*ret_user = user;
	return CH_OK;
}

int ch_group_parse(const char *text, gid_t *ret_gid, struct ch_err *err)
{
	CH_AUTO_FREE char *entry_text = malloc(ENTRY_B);
	struct group entry;
	struct group *found = NULL;
	unsigned long gid;
	const char *end;

	if (parse_id(text, 0, &gid, &end) == CH_OK) {
		*ret_gid = (gid_t)gid;
		return CH_OK;
	}
	if (!entry_text)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	(void)getgrnam_r(text, &entry, entry_text, ENTRY_B, &found);
	if (!found)
		return ch_err_set(
			err, CH_ENOTFOUND, "group-unknown", "there is no group %s", text);
	*ret_gid = found->gr_gid;
	return CH_OK;
}
