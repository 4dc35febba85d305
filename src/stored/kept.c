#include "stored/kept.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define FILE_MAX_B (1u << 20)
#define FILES_MAX 100000

static const struct source {
	const char *section;
	const char *key;
	const char *fallback;
	const char *what;
} sources[] = {
	{"store", "key", "pki/store.key", "The store's identity: can be made anew"},
	{"store", "identity_ca", "pki/ca.pem", "All roles know each other by it"},
	{"store", "revoked", "pki/revoked", "Without it, revoked identities are let in again"},
	{"issuer", "signing_key", "issuer/signing.key",
		"Edges take records only if they are signed with it"},
	{"issuer", "recipients", "issuer/recipients", "Who can open the sealed keys"},
	{"issuer", "account_key", "issuer/account.key",
		"The CA knows the account, its limits and its orders by it"},
	{"edge", "recipient", "edge/recipient.key",
		"Opens the sealed keys: all is lost with it"},
};

static const char *const fixed[][2] = {
	{"offline/ca.key", "Makes new identities of every role"},
	{"pki/edge-ca.key", "Makes new identities of edges"},
};

static const char *const state_words[] = {"not checked", "kept", "NOT KEPT", "cannot be read"};

static int add(struct ch_kept *kept, const char *path, const char *what)
{
	struct ch_kept_item *item = &kept->items[kept->n];

	if (access(path, F_OK) < 0)
		return CH_OK;
	if (kept->n == CH_KEPT_MAX || strlen(path) >= sizeof(item->path))
		return CH_ETOOBIG;
	strcpy(item->path, path);
	item->what = what;
	item->state = access(path, R_OK) < 0 ? CH_KEPT_UNREADABLE : CH_KEPT_UNCHECKED;
	kept->n++;
	return CH_OK;
}

static int add_accounts(struct ch_conf *conf, struct ch_kept *kept)
{
	const char *section;

	for (size_t i = 0; (section = ch_conf_section(conf, i)) != NULL; i++) {
		char fallback[128];
		int rc;

		if (strncmp(section, "ca ", 3) != 0)
			continue;
		snprintf(fallback, sizeof(fallback), "issuer/account-%.64s.key", section + 3);
		rc = add(kept, ch_conf_path(conf, section, "account_key", fallback),
			"An account at a CA");
		if (rc)
			return rc;
	}
	return CH_OK;
}

static int find_items(struct ch_conf *conf, struct ch_kept *kept)
{
	int rc = CH_OK;

	kept->n = 0;
	for (size_t i = 0; !rc && i < CH_ARRAY_LEN(sources); i++)
		rc = add(kept,
			ch_conf_path(
				conf, sources[i].section, sources[i].key, sources[i].fallback),
			sources[i].what);
	if (!rc)
		rc = add_accounts(conf, kept);
	for (size_t i = 0; !rc && i < CH_ARRAY_LEN(fixed); i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%.3900s/%s", ch_conf_dir(conf), fixed[i][0]);
		rc = add(kept, path, fixed[i][1]);
	}
	return rc;
}

/* Secrets are compared where they are and go nowhere else. */
static bool is_same(const char *a, const char *b)
{
	char *text_a = NULL;
	char *text_b = NULL;
	size_t len_a = 0;
	size_t len_b = 0;
	bool same = ch_file_read(a, FILE_MAX_B, &text_a, &len_a, NULL) == CH_OK &&
		    ch_file_read(b, FILE_MAX_B, &text_b, &len_b, NULL) == CH_OK &&
		    len_a == len_b && memcmp(text_a, text_b, len_a) == 0;

	if (text_a)
		explicit_bzero(text_a, len_a);
	if (text_b)
		explicit_bzero(text_b, len_b);
	free(text_a);
	free(text_b);
	return same;
}

static bool is_original(const struct ch_kept_item *item, const struct stat *copy)
{
	struct stat st;

	return stat(item->path, &st) == 0 && st.st_dev == copy->st_dev &&
	       st.st_ino == copy->st_ino;
}

static void match_file(struct ch_kept *kept, const FTSENT *entry)
{
	for (size_t i = 0; i < kept->n; i++) {
		struct ch_kept_item *item = &kept->items[i];
		struct stat st;

		if (item->state != CH_KEPT_MISSING || is_original(item, entry->fts_statp) ||
			stat(item->path, &st) < 0 || st.st_size != entry->fts_statp->st_size)
			continue;
		if (is_same(item->path, entry->fts_accpath))
			item->state = CH_KEPT_GOOD;
	}
}

static int search_folder(struct ch_kept *kept, const char *folder, struct ch_err *err)
{
	char *paths[] = {(char *)folder, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	size_t n = 0;

	if (!fts || access(folder, R_OK | X_OK) < 0) {
		int error = errno;

		if (fts)
			fts_close(fts);
		return ch_err_set(err, CH_EINVAL, "kept-folder", "cannot look into %.300s: %s",
			folder, strerror(error));
	}
	while ((entry = fts_read(fts)) && n++ < FILES_MAX)
		if (entry->fts_info == FTS_F)
			match_file(kept, entry);
	fts_close(fts);
	return CH_OK;
}

int ch_kept_check(
	struct ch_conf *conf, const char *folder, struct ch_kept *ret_kept, struct ch_err *err)
{
	if (find_items(conf, ret_kept))
		return ch_err_set(
			err, CH_ETOOBIG, "kept", "too many files, or too long a path");
	if (!folder)
		return CH_OK;
	for (size_t i = 0; i < ret_kept->n; i++)
		if (ret_kept->items[i].state == CH_KEPT_UNCHECKED)
			ret_kept->items[i].state = CH_KEPT_MISSING;
	return search_folder(ret_kept, folder, err);
}

size_t ch_kept_count(const struct ch_kept *kept, enum ch_kept_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < kept->n; i++)
		n += kept->items[i].state == state;
	return n;
}

void ch_kept_print(const struct ch_kept *kept, FILE *out)
{
	int width = 0;

	for (size_t i = 0; i < kept->n; i++)
		if ((int)strlen(kept->items[i].path) > width)
			width = (int)strlen(kept->items[i].path);
	for (size_t i = 0; i < kept->n; i++)
		fprintf(out, "  %-*s  %-14s  %s\n", width, kept->items[i].path,
			state_words[kept->items[i].state], kept->items[i].what);
	fprintf(out, "  %-*s  %-14s  %s\n", width, "(each edge) the recipient key", "elsewhere",
		"Opens the sealed keys: all is lost with it");
}

json_t *ch_kept_json(const struct ch_kept *kept)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < kept->n; i++)
		if (json_array_append_new(
			    list, json_pack("{s:s, s:s}", "path", kept->items[i].path, "state",
					  state_words[kept->items[i].state]))) {
			json_decref(list);
			list = NULL;
		}
	return list;
}
