/* The configuration file: INI, one section per role.  Relative paths are relative to the
 * folder of the file.  Each key that a program asks for counts as known; ch_conf_finish then
 * refuses the keys of a section that nobody asked for, with their line, so that a misspelt
 * key is an error and not a default. */
#ifndef CH_BASE_CONF_H
#define CH_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ch_conf;

/* Limits: 256 KiB, 1,000 keys.  On failure *err says file, line and what to change. */
CH_MUST int ch_conf_load(const char *path, struct ch_conf **ret_conf, struct ch_err *err);
/* The same from memory (fuzzing, tests); dir is what relative paths are relative to. */
CH_MUST int ch_conf_parse(const char *text, size_t len, const char *dir,
	struct ch_conf **ret_conf, struct ch_err *err);
void ch_conf_free(struct ch_conf *conf); /* NULL allowed */

/* The folder of the file; borrowed from conf. */
const char *ch_conf_dir(const struct ch_conf *conf);
/* True when the section has at least one key. */
bool ch_conf_has_section(const struct ch_conf *conf, const char *section);

/* The sections in the order of the file, each once; NULL after the last. */
const char *ch_conf_section(const struct ch_conf *conf, size_t i);

/* The getters latch the first error in conf; ch_conf_finish reports it.  A NULL fallback means
 * that the key is required.  Returned strings are borrowed from conf. */
const char *ch_conf_str(
	struct ch_conf *conf, const char *section, const char *key, const char *fallback);
/* Made absolute against the file's folder.  An empty value stays empty. */
const char *ch_conf_path(
	struct ch_conf *conf, const char *section, const char *key, const char *fallback);
int64_t ch_conf_int(struct ch_conf *conf, const char *section, const char *key,
	int64_t fallback, int64_t least, int64_t most);
/* Milliseconds; the text form of base/clock.h. */
int64_t ch_conf_duration(struct ch_conf *conf, const char *section, const char *key,
	const char *fallback, int64_t least_ms, int64_t most_ms);
/* yes/no, true/false, on/off. */
bool ch_conf_bool(struct ch_conf *conf, const char *section, const char *key, bool fallback);
/* A comma-separated list: calls each(item, arg) for every trimmed, non-empty item; an error
 * from each is latched.  wants: what an item must be, for people ("spans of time, such as
 * 30s"); CH_ETOOBIG from each says that there are too many, or that it is too long. */
void ch_conf_list(struct ch_conf *conf, const char *section, const char *key,
	const char *fallback, const char *wants, int (*each)(const char *item, void *arg),
	void *arg);
/* Latches an error about this key ("file:line: [section] key: detail"). */
void ch_conf_fail(struct ch_conf *conf, const char *section, const char *key,
	const char *detail_fmt, ...) CH_PRINTF(4, 5);

/* A section that there is not (misspelt, it is why keys of another one are missing), the first
 * latched error, or unknown keys in the section. */
CH_MUST int ch_conf_finish(struct ch_conf *conf, const char *section, struct ch_err *err);
/* For files with sections of their own: the first latched error, or a key of any section that
 * nobody asked for. */
CH_MUST int ch_conf_finish_all(struct ch_conf *conf, struct ch_err *err);

static inline void ch_conf_free_p(struct ch_conf **conf)
{
	ch_conf_free(*conf);
}
#define CH_AUTO_CONF __attribute__((cleanup(ch_conf_free_p)))

#endif
