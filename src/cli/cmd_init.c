#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"
#include "cli/init.h"
#include "cli/setup.h"

static const char init_help[] =
	"Makes the folder DIR with everything that store, issuer, agent and nginx need: a\n"
	"commented certherd.conf, an internal CA with an identity per role, the recipient "
	"key,\n"
	"the signing key, the ACME account key, and a snippet for nginx.  Never overwrites\n"
	"anything: DIR must be new or empty.\n\n"
	"As root, each role's files are given to its user (--store-user and so on), so that a\n"
	"role can read its own secrets only; --own does that for a folder that exists.";

static int complain(const struct ch_err *err)
{
	fprintf(stderr, "certherd init: %s\n", err->detail);
	return err->rc == CH_EINVAL || err->rc == CH_EEXIST ? 2 : 1;
}

/* Absent, or an empty folder. */
static int check_free(const char *dir, struct ch_err *err)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	int entries = 0;

	if (!d && errno == ENOENT)
		return CH_OK;
	if (!d)
		return ch_err_set(err, errno == ENOTDIR ? CH_EEXIST : CH_EIO, "init-dir",
			"cannot use %s: %s", dir, strerror(errno));
	while ((entry = readdir(d)) != NULL)
		entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(d);
	if (entries)
		return ch_err_set(err, CH_EEXIST, "init-dir",
			"%s is not empty, and init overwrites nothing: choose another folder",
			dir);
	return CH_OK;
}

/* The absolute path of what is going to be made, in init->dir. */
static int resolve(struct ch_init *init, const char *given, struct ch_err *err)
{
	CH_AUTO_FREE char *copy = strdup(given);
	CH_AUTO_FREE char *parent = NULL;
	const char *base;
	char *slash;
	size_t len;

	if (!copy)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	for (len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = 0;
	slash = strrchr(copy, '/');
	base = slash ? slash + 1 : copy;
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
		if (!realpath(copy, init->dir))
			return ch_err_set(
				err, CH_EINVAL, "init-dir", "cannot use \"%s\"", given);
		return CH_OK;
	}
	if (slash)
		*slash = 0;
	parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (!parent)
		return ch_err_set(err, CH_EINVAL, "init-dir",
			"the folder that %s is to be made in is not there: %s", given,
			strerror(errno));
	if (ch_init_path(strcmp(parent, "/") == 0 ? "" : parent, base, init->dir))
		return ch_err_set(err, CH_ETOOBIG, "path", "%s is too long", given);
	for (const char *c = init->dir; *c; c++)
		if ((unsigned char)*c < 0x20 || strchr("\"\\;$", *c))
			return ch_err_set(err, CH_EINVAL, "init-dir",
				"%s: such a path cannot be written into nginx.conf", given);
	return CH_OK;
}

static int sync_parent(const char *dir)
{
	char parent[PATH_MAX];
	CH_AUTO_CLOSE int fd = -1;

	snprintf(parent, sizeof(parent), "%s", dir);
	*strrchr(parent, '/') = 0;
	fd = open(*parent ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

/* Built beside its place and renamed: whatever happens, there is no half-made folder. */
static int make(struct ch_init *init, int *ret_own, struct ch_err *err)
{
	int len = snprintf(init->work, sizeof(init->work), "%s.init-XXXXXX", init->dir);
	int rc;

	if (len >= (int)sizeof(init->work))
		return ch_err_set(err, CH_ETOOBIG, "path", "%s is too long", init->dir);
	if (!mkdtemp(init->work))
		return ch_err_set(err, CH_EIO, "init-dir", "cannot make %s: %s", init->work,
			strerror(errno));
	rc = ch_init_build(init, err);
	*ret_own = CH_OK;
	if (rc == CH_OK && geteuid() == 0)
		*ret_own = ch_init_own(init->work, err);
	if (rc == CH_OK && *ret_own && *ret_own != CH_ENOTFOUND)
		rc = *ret_own;
	if (rc == CH_OK && (chmod(init->work, 0755) < 0 || rename(init->work, init->dir) < 0 ||
				   sync_parent(init->dir) < 0))
		rc = ch_err_set(err, errno == ENOTEMPTY || errno == EEXIST ? CH_EEXIST : CH_EIO,
			"init-dir", "cannot put %s in place: %s", init->dir, strerror(errno));
	if (rc)
		ch_init_remove(init->work);
	return rc;
}

static void print_made(const struct ch_init *init)
{
	printf("Made %s:\n"
	       "  certherd.conf            configuration, every key explained\n"
	       "  pki/                     CAs; identities of store, issuer, edge, operator, "
	       "platform\n"
	       "  offline/ca.key           key of the identity CA: to be moved away, see "
	       "below\n"
	       "  issuer/                  account and signing key, recipients\n"
	       "  edge/recipient.key       opens the sealed leaf keys: for nginx's master "
	       "only\n"
	       "  edge/signers             whose records the edge believes\n"
	       "  edge/nginx-certherd.conf to be included in nginx.conf\n\n"
	       "Recipient key   %s\n"
	       "Signing key     %s\n"
	       "ACME account    thumbprint %s\n"
	       "CA              %s\n\n",
		init->dir, init->recipient, init->signer, init->thumbprint, init->directory);
}

static void print_next(const struct ch_init *init, int own)
{
	int step = 1;

	printf("Next:\n"
	       "  %d. Move offline/ca.key to a safe place off this machine.  Whoever has it "
	       "can "
	       "make\n"
	       "     operators; it is needed for `certherd identity new` only, not for "
	       "edges.\n",
		step++);
	if (own == CH_ENOTFOUND)
		printf("  %d. As root, each role runs as its own user.  Make these, then give "
		       "them "
		       "their files:\n"
		       "       for u in certherd-store certherd-issuer certherd-agent; do\n"
		       "         useradd --system --no-create-home --shell /usr/sbin/nologin "
		       "$u; "
		       "done\n"
		       "       certherd init --own %s\n"
		       "     Or set store_user, issuer_user, agent_user in [up] to - to go "
		       "without.\n",
			step++, init->dir);
	if (!init->agree_terms)
		printf("  %d. Read the CA's terms of service, then set terms_agreed = yes in "
		       "[issuer].\n",
			step++);
	printf("  %d. nginx: load the module, include %s/edge/nginx-certherd.conf; in http { "
	       "},\n"
	       "     and say `certherd on` in its servers: doc/nginx.md, "
	       "doc/examples/nginx.conf.\n"
	       "  %d. Start: certherd up --config %s/certherd.conf\n",
		step, init->dir, step + 1, init->dir);
}

static int own_existing(const char *dir)
{
	struct ch_err err;
	int rc;

	if (geteuid() != 0) {
		fprintf(stderr, "certherd init: --own needs root\n");
		return 1;
	}
	rc = ch_init_own(dir, &err);
	if (rc)
		return complain(&err);
	printf("Each role owns its files below %s.\n", dir);
	return 0;
}

/* Ctrl-C waits for the moment it takes, so that no folder with keys in it is left beside DIR.
 */
static int make_undisturbed(struct ch_init *init, int *ret_own, struct ch_err *err)
{
	sigset_t set;
	sigset_t old;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	rc = make(init, ret_own, err);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static int run(struct ch_init *init, const char *dir)
{
	struct ch_err err;
	int own = CH_OK;

	if (ch_init_prepare(init, &err) || resolve(init, dir, &err) ||
		check_free(init->dir, &err) || make_undisturbed(init, &own, &err))
		return complain(&err);
	print_made(init);
	print_next(init, own);
	return fflush(stdout) ? 1 : 0;
}

int ch_init_main(int argc, char **argv)
{
	CH_AUTO_FREE struct ch_init *i = calloc(1, sizeof(*i));
	bool own = false;
	size_t n;
	int rc;

	if (!i)
		return 1;
	const struct ch_opt list[] = {
		{"directory", "URL", "the CA's ACME directory (default: Let's Encrypt)", NULL,
			&i->directory},
		{"directory-ca", "FILE", "trust anchor for the directory's HTTPS, or system",
			NULL, &i->directory_ca},
		{"roots", "system|any|FILE", "what new chains are judged against", NULL,
			&i->roots},
		{"contact", "mailto:ADDRESS", "whom the CA may write to", NULL, &i->contact},
		{"agree-terms", NULL, "you have read the CA's terms and agree", &i->agree_terms,
			NULL},
		{"eab-kid", "ID", "external account binding: key id", NULL, &i->eab_kid},
		{"eab-hmac-file", "FILE", "external account binding: file with the key, 0600",
			NULL, &i->eab_hmac_file},
		{"store-listen", "ADDR:PORT",
			"where the store listens (default: 127.0.0.1:8443)", NULL,
			&i->store_listen},
		{"store-san", "NAMES", "more names and addresses of the store, comma-separated",
			NULL, &i->store_san},
		{"probe", "dns|off|ADDR:PORT", "how a publication is confirmed (default: dns)",
			NULL, &i->probe},
		{"edge", "ID", "name of this edge (default: e1)", NULL, &i->edge},
		{"pool", "NAME", "pool of this edge (default: default)", NULL, &i->pool},
		{"nginx-group", "GROUP",
			"may read the replica (as root: www-data if it exists)", NULL,
			&i->nginx_group},
		{"store-user", "USER", "as root: the store runs as (default: certherd-store)",
			NULL, &i->store_user},
		{"issuer-user", "USER",
			"as root: the issuer runs as (default: certherd-issuer)", NULL,
			&i->issuer_user},
		{"agent-user", "USER", "as root: the agent runs as (default: certherd-agent)",
			NULL, &i->agent_user},
		{"own", NULL, "only give the files of an existing DIR to their users", &own,
			NULL},
	};
	const struct ch_opts opts = {
		"init", "DIR [options]", init_help, list, CH_ARRAY_LEN(list), 1, 1};

	ch_secret_harden_process();
	rc = ch_opts_parse(&opts, argc, argv, &n);
	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	return own ? own_existing(argv[1]) : run(i, argv[1]);
}
