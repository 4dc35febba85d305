#include "stored/revoked.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/pki.h"

#define LIST_MAX_B (8u * 1024u * 1024u)
#define DIGEST_B 32

struct list {
	uint8_t (*digests)[DIGEST_B]; /* sorted */
	size_t n_digests;
	char **uris; /* sorted; point into text */
	size_t n_uris;
	char *text;
};

struct ch_revoked {
	char *path;
	pthread_rwlock_t lock;
	struct stat seen; /* of the file that list was read from */
	struct list list;
	int rc; /* of the last reading */
};

static void list_done(struct list *list)
{
	free(list->digests);
	free(list->uris);
	free(list->text);
	memset(list, 0, sizeof(*list));
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_B);
}

static int by_uri(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One line without its end; false when it is not understood. */
static bool add_line(struct list *list, char *line)
{
	struct ch_identity_uri uri;

	if (strncmp(line, "sha256:", 7) == 0) {
		if (strlen(line + 7) != 2 * DIGEST_B ||
			ch_hex_decode(line + 7, list->digests[list->n_digests], DIGEST_B))
			return false;
		list->n_digests++;
		return true;
	}
	if (strncmp(line, "uri:", 4) != 0)
		return false;
	if (ch_identity_uri_parse(line + 4, strlen(line + 4), &uri))
		return false;
	list->uris[list->n_uris++] = line + 4;
	return true;
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int list_read(const char *path, struct list *ret_list, struct ch_err *err)
{
	CH_CLEANUP(list_done) struct list list = {0};
	size_t len;
	size_t n;
	char *rest;
	char *line;
	int rc = ch_file_read(path, LIST_MAX_B, &list.text, &len, err);

	if (rc)
		return rc;
	n = count_lines(list.text);
	list.digests = calloc(n, sizeof(*list.digests));
	list.uris = calloc(n, sizeof(*list.uris));
	if (!list.digests || !list.uris)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (strlen(list.text) != len)
		return ch_err_set(err, CH_EINVAL, "revoked-list", "%s has a NUL byte", path);
	rest = list.text;
	for (size_t at = 1; (line = strsep(&rest, "\n")) != NULL; at++) {
		line += strspn(line, " \t");
		line[strcspn(line, " \t\r#")] = 0;
		if (*line && !add_line(&list, line))
			return ch_err_set(err, CH_EINVAL, "revoked-list",
				"%s:%zu: expected sha256:<64 hex digits> or uri:certherd://…",
				path, at);
	}
	qsort(list.digests, list.n_digests, sizeof(*list.digests), by_digest);
	qsort(list.uris, list.n_uris, sizeof(*list.uris), by_uri);
	*ret_list = list;
	memset(&list, 0, sizeof(list));
	return CH_OK;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* With the write lock held.  now: what the file looked like before it is read, so that a change
 * while it is read is seen at the next check. */
static void reload(struct ch_revoked *revoked, const struct stat *now)
{
	struct list list;
	struct ch_err err = {0};
	int before = revoked->rc;

	revoked->rc = list_read(revoked->path, &list, &err);
	if (revoked->rc) {
		/* Forgetting what was seen makes the next check try again. */
		memset(&revoked->seen, 0, sizeof(revoked->seen));
		if (!before)
			ch_log_error("the revocation list cannot be used, everybody is "
				     "refused: %s",
				err.detail);
		return;
	}
	revoked->seen = *now;
	list_done(&revoked->list);
	revoked->list = list;
	if (before)
		ch_log_info("the revocation list can be used again");
}

static void look(struct ch_revoked *revoked)
{
	struct stat now;
	bool fresh;

	if (stat(revoked->path, &now) != 0)
		memset(&now, 0, sizeof(now));
	pthread_rwlock_rdlock(&revoked->lock);
	fresh = same_file(&now, &revoked->seen);
	pthread_rwlock_unlock(&revoked->lock);
	if (fresh)
		return;
	pthread_rwlock_wrlock(&revoked->lock);
	if (!same_file(&now, &revoked->seen))
		reload(revoked, &now);
	pthread_rwlock_unlock(&revoked->lock);
}

int ch_revoked_check(struct ch_revoked *revoked, const uint8_t digest[32], const char *uri,
	struct ch_err *err)
{
	const struct list *list = &revoked->list;
	int rc = CH_OK;

	look(revoked);
	pthread_rwlock_rdlock(&revoked->lock);
	if (revoked->rc)
		rc = ch_err_set(err, CH_EAUTH, "not-authenticated",
			"The store cannot read its revocation list.");
	else if (bsearch(digest, list->digests, list->n_digests, DIGEST_B, by_digest) ||
		 bsearch(&uri, list->uris, list->n_uris, sizeof(*list->uris), by_uri))
		rc = ch_err_set(err, CH_EAUTH, "not-authenticated",
			"The client certificate is revoked.");
	pthread_rwlock_unlock(&revoked->lock);
	return rc;
}

int ch_revoked_new(const char *path, struct ch_revoked **ret_revoked, struct ch_err *err)
{
	struct ch_revoked *revoked = calloc(1, sizeof(*revoked));
	struct stat now;
	int rc;

	if (!revoked || pthread_rwlock_init(&revoked->lock, NULL)) {
		free(revoked);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	revoked->path = strdup(path);
	if (!revoked->path)
		rc = ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	else if (stat(path, &now) != 0)
		rc = ch_err_set(err, CH_EIO, "revoked-list",
			"cannot read the revocation list %s: %s", path, strerror(errno));
	else
		rc = list_read(path, &revoked->list, err);
	if (rc) {
		ch_revoked_free(revoked);
		return rc;
	}
	revoked->seen = now;
	*ret_revoked = revoked;
	return CH_OK;
}

void ch_revoked_free(struct ch_revoked *revoked)
{
	if (!revoked)
		return;
	list_done(&revoked->list);
	pthread_rwlock_destroy(&revoked->lock);
	free(revoked->path);
	free(revoked);
}
