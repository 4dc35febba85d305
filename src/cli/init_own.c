/* Ownership of the folder that `certherd init` makes, and its removal. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/mem.h"
#include "base/user.h"
#include "cli/init.h"

#define DEPTH_MAX 8
/* Who can read keys is the operator's to say: an issuer that was broken into adds nobody. */
#define RECIPIENTS "recipients"

enum role { STORE, ISSUER, AGENT, ROLES };

static const struct {
	const char *key;
	const char *fallback;
} users[ROLES] = {
	{"store_user", "certherd-store"},
	{"issuer_user", "certherd-issuer"},
	{"agent_user", "certherd-agent"},
};

/* What is not here stays root's: above all the CA keys and the edge's recipient key. */
static const struct {
	const char *path;
	enum role role;
	bool readers; /* group: replica_group */
	bool inside;  /* what is in the folder, save RECIPIENTS; the folder is root's */
} owned[] = {
	{"pki/store.key", STORE, false, false},
	{"store", STORE, false, false},
	{"pki/issuer.key", ISSUER, false, false},
	{"issuer", ISSUER, false, true},
	{"pki/edge.key", AGENT, false, false},
	{"edge/replica", AGENT, true, false},
};

int ch_init_path(const char *dir, const char *name, char ret_path[PATH_MAX])
{
	int len = snprintf(ret_path, PATH_MAX, "%s/%s", dir, name);

	return len < 0 || len >= PATH_MAX ? CH_ETOOBIG : CH_OK;
}

CH_DEFINE_CLEANUP(DIR *, closedir)

/* Calls each(dir_fd, name, arg) for what is in the folder; the folder is never a link. */
static int each_entry(int at, const char *name,
	int (*each)(int dir_fd, const char *name, int depth, void *arg), int depth, void *arg)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CH_CLEANUP(closedir_p) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int rc = CH_OK;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return CH_EIO;
	}
	if (depth > DEPTH_MAX)
		return CH_ETOOBIG;
	while (rc == CH_OK && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = each(dirfd(dir), entry->d_name, depth, arg);
	return rc;
}

struct owner {
	uid_t uid;
	gid_t gid;
};

/* The role may have put anything into its folders, and root follows no link there: neither a
 * symbolic one nor a hard one to a file that is not the role's. */
static int own(int dir_fd, const char *name, int depth, void *arg)
{
	const struct owner *owner = arg;
	CH_AUTO_CLOSE int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return CH_EIO;
	if (!S_ISDIR(st.st_mode) && (!S_ISREG(st.st_mode) || st.st_nlink != 1))
		return CH_OK;
	if (fchownat(fd, "", owner->uid, owner->gid, AT_EMPTY_PATH) < 0)
		return CH_EIO;
	return S_ISDIR(st.st_mode) ? each_entry(dir_fd, name, own, depth + 1, arg) : CH_OK;
}

static int own_inside(int dir_fd, const char *name, int depth, void *arg)
{
	struct owner root = {0, 0};

	return own(dir_fd, name, depth, strcmp(name, RECIPIENTS) == 0 ? &root : arg);
}

static int own_folder_of_root(const char *path, struct owner *inside)
{
	if (lchown(path, 0, 0) < 0 || chmod(path, 0755) < 0)
		return CH_EIO;
	return each_entry(AT_FDCWD, path, own_inside, 1, inside);
}

static int load_users(const char *dir, struct ch_user ret_users[ROLES], gid_t *ret_readers,
	struct ch_err *err)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	char path[PATH_MAX];
	const char *group;
	int rc = ch_init_path(dir, "certherd.conf", path);

	if (rc)
		return ch_err_set(err, rc, "path", "%s is too long", dir);
	rc = ch_conf_load(path, &conf, err);
	if (rc)
		return rc;
	for (int i = 0; i < ROLES; i++) {
		const char *text = ch_conf_str(conf, "up", users[i].key, users[i].fallback);

		rc = ch_user_parse(text, &ret_users[i], err);
		if (rc == CH_ENOTFOUND)
			return ch_err_set(err, rc, "user-unknown",
				"there is no user %s: make it, or set %s in [up]", text,
				users[i].key);
		if (rc)
			return rc;
	}
	group = ch_conf_str(conf, "agent", "replica_group", "");
	*ret_readers = ret_users[AGENT].gid;
	return *group ? ch_group_parse(group, ret_readers, err) : CH_OK;
}

int ch_init_own(const char *dir, struct ch_err *err)
{
	struct ch_user user[ROLES];
	gid_t readers;
	int rc = load_users(dir, user, &readers, err);

	for (size_t i = 0; i < CH_ARRAY_LEN(owned) && rc == CH_OK; i++) {
		const struct ch_user *u = &user[owned[i].role];
		struct owner owner = {u->separate ? u->uid : 0, u->separate ? u->gid : 0};
		char path[PATH_MAX];

		if (owned[i].readers)
			owner.gid = readers;
		if (ch_init_path(dir, owned[i].path, path))
			return ch_err_set(err, CH_ETOOBIG, "path", "%s is too long", dir);
		/* An identity whose key was moved to another machine is not missed here. */
		if (access(path, F_OK) != 0 && errno == ENOENT)
			continue;
		rc = owned[i].inside ? own_folder_of_root(path, &owner)
				     : own(AT_FDCWD, path, 0, &owner);
		if (rc)
			rc = ch_err_set(err, rc, "chown", "cannot give %s to its user: %s",
				path, strerror(errno));
	}
	return rc;
}

static int remove_entry(int dir_fd, const char *name, int depth, void *arg)
{
	if (unlinkat(dir_fd, name, 0) == 0)
		return CH_OK;
	if (each_entry(dir_fd, name, remove_entry, depth + 1, arg))
		return CH_EIO;
	return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 ? CH_OK : CH_EIO;
}

void ch_init_remove(const char *dir)
{
	(void)remove_entry(AT_FDCWD, dir, 0, NULL);
}
