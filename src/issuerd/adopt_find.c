/* Where certbot, Caddy and people keep certificates. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "issuerd/adopt.h"

static void refuse(struct ch_adopt *a, const char *path, const char *code, const char *detail)
{
	ch_adopt_report_note(&a->report, CH_FATE_REFUSED, path, code, detail);
}

static bool join(char ret_path[PATH_MAX], const char *dir, const char *name)
{
	int len = snprintf(ret_path, PATH_MAX, "%s/%s", dir, name);

	return len > 0 && len < PATH_MAX;
}

static bool is_dir(const char *path, bool follow)
{
	struct stat st;

	return (follow ? stat : lstat)(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Calls each for all that is in the folder, in the order of names: so that a run is like the
 * one before. */
static int list_dir(struct ch_adopt *a, const char *dir, size_t depth,
	int (*each)(struct ch_adopt *a, const char *path, const char *name, size_t depth))
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, NULL, alphasort);
	int rc = CH_OK;

	if (n < 0) {
		char why[256];

		snprintf(why, sizeof(why), "cannot read the folder: %s", strerror(errno));
		refuse(a, dir, errno == EACCES ? "file-permission" : "file-read", why);
		return CH_OK;
	}
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		char path[PATH_MAX];

		if (!rc && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			if (++a->n_paths > CH_ADOPT_PATHS_MAX)
				rc = CH_ETOOBIG;
			else if (!join(path, dir, name))
				refuse(a, dir, "file-missing", "a path in it is too long");
			else
				rc = each(a, path, name, depth);
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

static int finish(int rc, const char *dir, struct ch_err *err)
{
	if (rc == CH_ETOOBIG)
		return ch_err_set(err, rc, "too-many-files",
			"%s has more than %d files: adopt it in parts", dir,
			CH_ADOPT_PATHS_MAX);
	return rc ? ch_err_set(err, rc, "out-of-memory", "%s", ch_rc_str(rc)) : CH_OK;
}

/* ---- certbot: live/NAME/fullchain.pem and privkey.pem, links into archive/ ---- */

static int lineage(struct ch_adopt *a, const char *path, const char *name, size_t depth)
{
	char cert[PATH_MAX];
	char key[PATH_MAX];
	char chain[PATH_MAX];
	struct ch_adopt_site site = {.cert = cert, .key = key};

	(void)name;
	(void)depth;
	/* live/README lies beside them. */
	if (!is_dir(path, true))
		return CH_OK;
	if (!join(cert, path, "fullchain.pem") || !join(key, path, "privkey.pem") ||
		!join(chain, path, "chain.pem"))
		return CH_OK;
	if (!is_there(cert)) {
		if (!join(cert, path, "cert.pem") || !is_there(cert)) {
			refuse(a, path, "file-missing",
				"it has neither fullchain.pem nor cert.pem");
			return CH_OK;
		}
		site.chain = is_there(chain) ? chain : NULL;
	}
	return ch_adopt_add(a, &site, false);
}

int ch_adopt_find_certbot(struct ch_adopt *a, const char *dir, struct ch_err *err)
{
	char live[PATH_MAX];

	if (!join(live, dir, "live") || !is_dir(live, true))
		return ch_err_set(err, CH_EINVAL, "usage",
			"%s has no folder live/: certbot's folder is meant, as "
			"/etc/letsencrypt",
			dir);
	return finish(list_dir(a, live, 0, lineage), dir, err);
}

/* ---- Caddy: certificates/CA/NAME/NAME.crt and NAME.key ---- */

static int caddy_name(struct ch_adopt *a, const char *path, const char *name, size_t depth)
{
	char cert[PATH_MAX];
	char key[PATH_MAX];
	int len = snprintf(cert, sizeof(cert), "%s/%s.crt", path, name);
	const struct ch_adopt_site site = {.cert = cert, .key = key};

	(void)depth;
	if (!is_dir(path, false))
		return CH_OK;
	if (len < 0 || len >= PATH_MAX)
		return CH_OK;
	memcpy(key, cert, sizeof(key));
	memcpy(key + len - 3, "key", 3);
	if (!is_there(cert)) {
		refuse(a, path, "file-missing", "it has no certificate NAME.crt");
		return CH_OK;
	}
	return ch_adopt_add(a, &site, false);
}

static int caddy_ca(struct ch_adopt *a, const char *path, const char *name, size_t depth)
{
	(void)name;
	return is_dir(path, false) ? list_dir(a, path, depth + 1, caddy_name) : CH_OK;
}

int ch_adopt_find_caddy(struct ch_adopt *a, const char *dir, struct ch_err *err)
{
	char certs[PATH_MAX];

	if (!join(certs, dir, "certificates") || !is_dir(certs, true))
		return ch_err_set(err, CH_EINVAL, "usage",
			"%s has no folder certificates/: Caddy's storage is meant, as "
			"/var/lib/caddy/.local/share/caddy",
			dir);
	return finish(list_dir(a, certs, 0, caddy_ca), dir, err);
}

/* ---- a folder of PEM files ---- */

static bool has_ending(const char *name)
{
	static const char *const endings[] = {
		".pem", ".crt", ".cer", ".cert", ".key", ".chain", ".fullchain", ".bundle"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < CH_ARRAY_LEN(endings); i++)
		if (strcasecmp(dot, endings[i]) == 0)
			return true;
	return false;
}

/* Those of CAs, to complete chains: no more than there is room for. */
static int add_to_pool(struct ch_adopt *a, struct ch_adopt_pem *pem, size_t at)
{
	struct ch_adopt_pem *pool = &a->pool;

	if (!ch_adopt_is_ca(pem->der[at], pem->der_len[at]))
		return CH_OK;
	for (size_t i = 0; i < pool->n_certs; i++)
		if (pool->der_len[i] == pem->der_len[at] &&
			memcmp(pool->der[i], pem->der[at], pem->der_len[at]) == 0)
			return CH_OK;
	if (pool->n_certs == CH_ADOPT_CERTS_MAX)
		return CH_OK;
	pool->der_len[pool->n_certs] = pem->der_len[at];
	pool->der[pool->n_certs++] = TAKE_PTR(pem->der[at]);
	return CH_OK;
}

static int take_file(struct ch_adopt *a, const char *path, struct ch_adopt_pem *pem)
{
	const struct ch_adopt_site site = {.cert = path};
	bool leaf = false;
	int rc = CH_OK;

	for (size_t i = 0; i < pem->n_certs; i++)
		leaf |= !ch_adopt_is_ca(pem->der[i], pem->der_len[i]);
	if (pem->key)
		rc = ch_adopt_add_key(a, pem->key, path);
	for (size_t i = 0; !rc && !leaf && i < pem->n_certs; i++)
		rc = add_to_pool(a, pem, i);
	if (!rc && leaf)
		rc = ch_adopt_add(a, &site, true);
	return rc;
}

/* Whether what a link leads to is below this folder. */
static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 &&
	       (path[len] == '/' || strcmp(folder, "/") == 0);
}

/* A folder may be of somebody who may not read what he links to.  certbot's live/ is all links,
 * into the archive/ beside it. */
static bool leads_outside(const struct ch_adopt *a, const char *path)
{
	char target[PATH_MAX];
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode) || !realpath(path, target))
		return false; /* what cannot be followed is told when it is read */
	return !is_below(target, a->folder) && !(a->archive[0] && is_below(target, a->archive));
}

/* The folder, as links are compared with it, and what belongs to it of the archive/: of
 * live/NAME the archive/NAME. */
static int set_folder(struct ch_adopt *a, const char *dir)
{
	char *live = NULL;
	char *at;

	a->archive[0] = 0;
	if (!realpath(dir, a->folder))
		return CH_EINVAL;
	for (at = a->folder; (at = strstr(at, "/live")); at++)
		if (at[5] == '/' || !at[5])
			live = at;
	if (live && (size_t)snprintf(a->archive, sizeof(a->archive), "%.*s/archive%s",
			    (int)(live - a->folder), a->folder, live + 5) >= sizeof(a->archive))
		a->archive[0] = 0;
	return CH_OK;
}

static int folder_file(struct ch_adopt *a, const char *path, const char *name, size_t depth)
{
	struct ch_adopt_pem pem = {.n_certs = 0};
	struct ch_err err = {0};
	int rc;

	if (is_dir(path, false)) {
		if (depth < CH_ADOPT_DEPTH_MAX)
			return list_dir(a, path, depth + 1, folder_file);
		refuse(a, path, "too-deep", "folders in folders: adopt this one by itself");
		return CH_OK;
	}
	if (!has_ending(name))
		return CH_OK;
	if (leads_outside(a, path)) {
		refuse(a, path, "link-outside",
			"a link that leads out of the folder is not followed: adopt what it "
			"leads to by itself");
		return CH_OK;
	}
	/* Links to folders are not followed: they may lead back. */
	rc = ch_adopt_pem_read(path, a->scratch[0], &pem, &err);
	if (rc == CH_ENOMEM)
		return rc;
	if (rc) {
		refuse(a, path, err.problem, err.detail);
		return CH_OK;
	}
	rc = take_file(a, path, &pem);
	ch_adopt_pem_done(&pem);
	ch_adopt_report_step(&a->report, 1);
	return rc;
}

int ch_adopt_find_folder(struct ch_adopt *a, const char *dir, struct ch_err *err)
{
	int rc;

	if (!is_dir(dir, true) || set_folder(a, dir))
		return ch_err_set(err, CH_EINVAL, "usage", "%s is not a folder", dir);
	ch_adopt_report_begin(&a->report, "files read", 0);
	rc = list_dir(a, dir, 0, folder_file);
	ch_adopt_report_clear(&a->report);
	return finish(rc, dir, err);
}

/* ---- configurations ---- */

static int on_site(void *arg, const struct ch_adopt_site *site, struct ch_err *err)
{
	int rc = ch_adopt_add(arg, site, false);

	return rc ? ch_err_set(err, rc, "out-of-memory", "%s", ch_rc_str(rc)) : CH_OK;
}

static void on_problem(void *arg, const char *path, const struct ch_err *err)
{
	refuse(arg, path, err->problem, err->detail);
}

int ch_adopt_find_conf(
	struct ch_adopt *a, enum ch_words_lang lang, const char *path, struct ch_err *err)
{
	const struct ch_adopt_conf_calls calls = {a, on_site, on_problem};
	int rc = ch_adopt_conf_read(lang, path, &calls, err);

	/* The file itself is what was given on the command line. */
	if (rc && rc != CH_ENOMEM)
		err->rc = rc = CH_EINVAL;
	return rc;
}
