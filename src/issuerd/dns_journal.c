#include "issuerd/dns_journal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/keys.h"

#define STEM_B (2 * CH_SHA256_B + 1)
#define IN_USE ".txt"
#define MARKED ".gone"
#define PATH_B 4096
#define FILE_MAX_B 512
#define CONTENT_B (CH_DNS_NAME_B + CH_DNS_CHALLENGE_B + 2)

static int path_of(const char *folder, const struct ch_dns_txt *txt, const char *suffix,
	char ret_path[PATH_B])
{
	char text[CONTENT_B];
	uint8_t hash[CH_SHA256_B];
	char stem[STEM_B];
	int len = snprintf(text, sizeof(text), "%s %s", txt->target, txt->value);

	if (ch_sha256(text, (size_t)len, hash))
		return CH_ECRYPTO;
	ch_hex_encode(hash, sizeof(hash), stem);
	len = snprintf(ret_path, PATH_B, "%s/%s%s", folder, stem, suffix);
	return len < PATH_B ? CH_OK : CH_ETOOBIG;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);

	return len == STEM_B - 1 + strlen(end) && strcmp(text + STEM_B - 1, end) == 0;
}

static bool is_ours(const char *name)
{
	return ends_with(name, IN_USE) || ends_with(name, MARKED);
}

int ch_dns_journal_open(const char *folder, struct ch_err *err)
{
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return ch_err_set(err, CH_EIO, "dns-state",
			"the folder %s ([dns] state) cannot be made: %s", folder,
			strerror(errno));
	if (access(folder, R_OK | W_OK | X_OK) < 0)
		return ch_err_set(err, CH_EIO, "dns-state",
			"the folder %s ([dns] state) cannot be written in: %s", folder,
			strerror(errno));
	ch_file_sweep_folder(folder, is_ours);
	return CH_OK;
}

static int write_one(const char *folder, const struct ch_dns_txt *txt, const char *suffix,
	struct ch_err *err)
{
	char path[PATH_B];
	char text[CONTENT_B];
	int len = snprintf(text, sizeof(text), "%s %s\n", txt->target, txt->value);
	int rc = path_of(folder, txt, suffix, path);

	if (rc == CH_OK)
		rc = ch_file_write_atomic(path, text, (size_t)len, 0600, err);
	return rc ? ch_err_set(err, rc, "dns-state",
			    "What is to be written into the DNS cannot be noted in %s: %s.",
			    folder, ch_rc_str(rc))
		  : CH_OK;
}

static void drop(const char *folder, const struct ch_dns_txt *txt, const char *suffix)
{
	char path[PATH_B];

	if (path_of(folder, txt, suffix, path) == CH_OK && unlink(path) < 0 && errno != ENOENT)
		ch_log_warn("%s not removed: %s", path, strerror(errno));
}

int ch_dns_journal_add(const char *folder, const struct ch_dns_txt *txt, struct ch_err *err)
{
	int rc = write_one(folder, txt, IN_USE, err);

	if (rc == CH_OK)
		drop(folder, txt, MARKED);
	return rc;
}

int ch_dns_journal_mark(const char *folder, const struct ch_dns_txt *txt, struct ch_err *err)
{
	int rc = write_one(folder, txt, MARKED, err);

	if (rc == CH_OK)
		drop(folder, txt, IN_USE);
	return rc;
}

void ch_dns_journal_forget(const char *folder, const struct ch_dns_txt *txt)
{
	drop(folder, txt, MARKED);
	drop(folder, txt, IN_USE);
}

static bool is_old(const char *path, int64_t leftover_ms)
{
	struct stat status;

	return stat(path, &status) == 0 &&
	       ch_now_ms() - (int64_t)status.st_mtime * CH_SECOND_MS > leftover_ms;
}

/* CH_ECORRUPT: it is not what we write. */
static int read_one(const char *path, struct ch_dns_txt *ret_txt)
{
	CH_AUTO_FREE char *text = NULL;
	struct ch_err err;
	size_t len;
	char *blank;
	int rc = ch_file_read(path, FILE_MAX_B, &text, &len, &err);

	if (rc)
		return rc;
	blank = strchr(text, ' ');
	text[strcspn(text, "\n")] = 0;
	if (!blank || blank == text || (size_t)(blank - text) >= CH_DNS_NAME_B ||
		strlen(blank + 1) != CH_DNS_CHALLENGE_B - 1)
		return CH_ECORRUPT;
	*blank = 0;
	strcpy(ret_txt->target, text);
	strcpy(ret_txt->value, blank + 1);
	return CH_OK;
}

void ch_dns_journal_walk(const char *folder, int64_t leftover_ms,
	bool (*each)(const struct ch_dns_txt *txt, void *arg), void *arg)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool go_on = dir != NULL;

	while (go_on && (entry = readdir(dir))) {
		struct ch_dns_txt txt;
		char path[PATH_B];
		int len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		int rc;
		bool marked = ends_with(entry->d_name, MARKED);

		if ((!marked && !ends_with(entry->d_name, IN_USE)) || len >= PATH_B ||
			(!marked && !is_old(path, leftover_ms)))
			continue;
		rc = read_one(path, &txt);
		if (rc == CH_ECORRUPT) {
			ch_log_warn("%s is damaged: what it named stays in the DNS", path);
			(void)!unlink(path);
		}
		go_on = rc != CH_OK || each(&txt, arg);
	}
	if (dir)
		closedir(dir);
}
