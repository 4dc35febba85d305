#include "base/conf.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#define CONF_MAX_B (256u * 1024u)
#define CONF_MAX_KEYS 1000u

struct entry {
	char *section;
	char *key;
	char *value;
	char *path; /* value as an absolute path, made on demand */
	int line;
	bool asked;
};

struct ch_conf {
	char *file;
	char *dir;
	struct entry *entries;
	size_t n;
	char **fallback_paths;
	size_t n_fallback_paths;
	struct ch_err err; /* first latched error */
};

void ch_conf_free(struct ch_conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->n; i++) {
		free(conf->entries[i].section);
		free(conf->entries[i].key);
		free(conf->entries[i].value);
		free(conf->entries[i].path);
	}
	for (size_t i = 0; i < conf->n_fallback_paths; i++)
		free(conf->fallback_paths[i]);
	free(conf->fallback_paths);
	free(conf->entries);
	free(conf->file);
	free(conf->dir);
	free(conf);
}

static struct entry *find(struct ch_conf *conf, const char *section, const char *key)
{
	for (size_t i = 0; i < conf->n; i++) {
		struct entry *e = &conf->entries[i];

		if (strcmp(e->section, section) == 0 && strcmp(e->key, key) == 0)
			return e;
	}
	return NULL;
}

/* inih as Debian builds it does not tell its handler the line: count the lines it reads. */
struct source {
	const char *at;
	int line;
	int error_line; /* of the error in conf, 0 if none */
	struct ch_conf *conf;
};

static char *read_line(char *text, int text_b, void *arg)
{
	struct source *src = arg;
	size_t len = strcspn(src->at, "\n");

	if (!*src->at)
		return NULL;
	len += src->at[len] == '\n';
	if (len >= (size_t)text_b)
		len = (size_t)text_b - 1;
	memcpy(text, src->at, len);
	text[len] = 0;
	src->at += len;
	src->line++;
	return text;
}

/* inih's handler: 0 stops with an error at this line. */
static int on_entry(void *arg, const char *section, const char *key, const char *value)
{
	struct source *src = arg;
	struct ch_conf *conf = src->conf;
	int line = src->line;
	struct entry e = {.line = line};

	if (conf->err.rc)
		return 0;
	src->error_line = line;
	if (!*section || !value || find(conf, section, key)) {
		(void)ch_err_set(&conf->err, CH_EINVAL, "config-syntax", "%s:%d: %s%s",
			conf->file, line,
			!*section ? "a key before any [section]: "
			: !value  ? "expected key = value: "
				  : "this key was given before: ",
			key);
		return 0;
	}
	if (conf->n == CONF_MAX_KEYS) {
		(void)ch_err_set(&conf->err, CH_ETOOBIG, "config-size",
			"%s:%d: more than %u keys", conf->file, line, CONF_MAX_KEYS);
		return 0;
	}
	e.section = strdup(section);
	e.key = strdup(key);
	e.value = strdup(value);
	if (!e.section || !e.key || !e.value) {
		free(e.section);
		free(e.key);
		free(e.value);
		(void)ch_err_set(&conf->err, CH_ENOMEM, "out-of-memory", "out of memory");
		return 0;
	}
	conf->entries[conf->n++] = e;
	src->error_line = 0;
	return 1;
}

static int parse(const char *file, const char *text, size_t len, const char *dir,
	struct ch_conf **ret_conf, struct ch_err *err)
{
	CH_AUTO_CONF struct ch_conf *conf = calloc(1, sizeof(*conf));
	struct source src = {.at = text, .conf = conf};
	int bad_line;

	if (!conf)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	conf->file = strdup(file);
	conf->dir = strdup(dir);
	conf->entries = calloc(CONF_MAX_KEYS, sizeof(*conf->entries));
	if (!conf->file || !conf->dir || !conf->entries)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (len > CONF_MAX_B)
		return ch_err_set(
			err, CH_ETOOBIG, "config-size", "%s: over %u bytes", file, CONF_MAX_B);
	if (memchr(text, 0, len))
		return ch_err_set(err, CH_EINVAL, "config-syntax", "%s: has a NUL byte", file);
	bad_line = ini_parse_stream(read_line, &src, on_entry, &src);
	/* inih goes on after a bad line: the first trouble is the one to tell. */
	if (conf->err.rc && (!bad_line || bad_line == src.error_line)) {
		if (err)
			*err = conf->err;
		return conf->err.rc;
	}
	if (bad_line)
		return ch_err_set(err, CH_EINVAL, "config-syntax",
			"%s:%d: not understood: expected [section] or key = value", file,
			bad_line);
	*ret_conf = TAKE_PTR(conf);
	return CH_OK;
}

int ch_conf_parse(const char *text, size_t len, const char *dir, struct ch_conf **ret_conf,
	struct ch_err *err)
{
	CH_AUTO_FREE char *copy = malloc(len + 1);

	if (!copy)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	memcpy(copy, text, len);
	copy[len] = 0;
	return parse("configuration", copy, len, dir, ret_conf, err);
}

int ch_conf_load(const char *path, struct ch_conf **ret_conf, struct ch_err *err)
{
	CH_AUTO_FREE char *full = realpath(path, NULL);
	CH_AUTO_FREE char *text = NULL;
	CH_AUTO_FREE char *dir = NULL;
	size_t len;
	int rc;

	if (!full)
		return ch_err_set(err, errno == ENOENT ? CH_ENOTFOUND : CH_EIO, "config-open",
			"cannot open the configuration %s: %s%s", path, strerror(errno),
			errno == ENOENT ? " (`--config FILE` names another, `certherd init` "
					  "makes one)"
					: "");
	rc = ch_file_read(full, CONF_MAX_B, &text, &len, err);
	if (rc)
		return rc;
	dir = strdup(full);
	if (!dir)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	*strrchr(dir, '/') = 0;
	return parse(full, text, len, dir, ret_conf, err);
}

const char *ch_conf_dir(const struct ch_conf *conf)
{
	return conf->dir;
}

bool ch_conf_has_section(const struct ch_conf *conf, const char *section)
{
	for (size_t i = 0; i < conf->n; i++)
		if (strcmp(conf->entries[i].section, section) == 0)
			return true;
	return false;
}

static bool is_first_of_section(const struct ch_conf *conf, size_t entry)
{
	for (size_t i = 0; i < entry; i++)
		if (strcmp(conf->entries[i].section, conf->entries[entry].section) == 0)
			return false;
	return true;
}

const char *ch_conf_section(const struct ch_conf *conf, size_t i)
{
	for (size_t entry = 0; entry < conf->n; entry++)
		if (is_first_of_section(conf, entry) && i-- == 0)
			return conf->entries[entry].section;
	return NULL;
}

void ch_conf_fail(
	struct ch_conf *conf, const char *section, const char *key, const char *detail_fmt, ...)
{
	const struct entry *e = find(conf, section, key);
	char detail[320];
	va_list args;

	if (conf->err.rc)
		return;
	va_start(args, detail_fmt);
	vsnprintf(detail, sizeof(detail), detail_fmt, args);
	va_end(args);
	if (e)
		(void)ch_err_set(&conf->err, CH_EINVAL, "config-value", "%s:%d: [%s] %s: %s",
			conf->file, e->line, section, key, detail);
	else
		(void)ch_err_set(&conf->err, CH_EINVAL, "config-value", "%s: [%s] %s: %s",
			conf->file, section, key, detail);
}

static struct entry *ask(
	struct ch_conf *conf, const char *section, const char *key, bool required)
{
	struct entry *e = find(conf, section, key);

	if (e)
		e->asked = true;
	else if (required)
		ch_conf_fail(conf, section, key, "is missing and has no default");
	return e;
}

const char *ch_conf_str(
	struct ch_conf *conf, const char *section, const char *key, const char *fallback)
{
	const struct entry *e = ask(conf, section, key, !fallback);

	if (e)
		return e->value;
	return fallback ? fallback : "";
}

static char *make_path(struct ch_conf *conf, const char *value)
{
	char *path;

	if (!*value || *value == '/')
		path = strdup(value);
	else if (asprintf(&path, "%s/%s", conf->dir, value) < 0)
		path = NULL;
	if (!path && !conf->err.rc)
		(void)ch_err_set(&conf->err, CH_ENOMEM, "out-of-memory", "out of memory");
	return path;
}

const char *ch_conf_path(
	struct ch_conf *conf, const char *section, const char *key, const char *fallback)
{
	struct entry *e = ask(conf, section, key, !fallback);
	char **grown;
	char *path;

	if (e) {
		if (!e->path)
			e->path = make_path(conf, e->value);
		return e->path ? e->path : "";
	}
	path = make_path(conf, fallback ? fallback : "");
	grown = reallocarray(conf->fallback_paths, conf->n_fallback_paths + 1, sizeof(*grown));
	if (!path || !grown) {
		free(path);
		if (grown)
			conf->fallback_paths = grown;
		return "";
	}
	conf->fallback_paths = grown;
	conf->fallback_paths[conf->n_fallback_paths++] = path;
	return path;
}

int64_t ch_conf_int(struct ch_conf *conf, const char *section, const char *key,
	int64_t fallback, int64_t least, int64_t most)
{
	const struct entry *e = ask(conf, section, key, false);
	char *end;
	long long v;

	if (!e)
		return fallback;
	errno = 0;
	v = strtoll(e->value, &end, 10);
	if (errno || end == e->value || *end || v < least || v > most) {
		ch_conf_fail(conf, section, key, "\"%s\" is not a number from %jd to %jd",
			e->value, (intmax_t)least, (intmax_t)most);
		return fallback;
	}
	return v;
}

int64_t ch_conf_duration(struct ch_conf *conf, const char *section, const char *key,
	const char *fallback, int64_t least_ms, int64_t most_ms)
{
	const char *text = ch_conf_str(conf, section, key, fallback);
	char least[CH_TIME_STR_B];
	char most[CH_TIME_STR_B];
	int64_t v;

	if (ch_duration_parse(text, &v) || v < least_ms || v > most_ms) {
		ch_conf_fail(conf, section, key,
			"\"%s\" is not a time span from %s to %s, such as 500ms, 30s, 10m, 3h, "
			"90d",
			text, ch_duration_str(least_ms, least), ch_duration_str(most_ms, most));
		return least_ms;
	}
	return v;
}

bool ch_conf_bool(struct ch_conf *conf, const char *section, const char *key, bool fallback)
{
	static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}};
	const struct entry *e = ask(conf, section, key, false);

	if (!e)
		return fallback;
	for (size_t i = 0; i < CH_ARRAY_LEN(words); i++)
		for (int v = 0; v < 2; v++)
			if (strcmp(e->value, words[i][v]) == 0)
				return v;
	ch_conf_fail(conf, section, key, "\"%s\" is neither yes nor no", e->value);
	return fallback;
}

void ch_conf_list(struct ch_conf *conf, const char *section, const char *key,
	const char *fallback, const char *wants, int (*each)(const char *item, void *arg),
	void *arg)
{
	CH_AUTO_FREE char *copy = strdup(ch_conf_str(conf, section, key, fallback));
	char *rest = copy;
	char *item;

	if (!copy) {
		ch_conf_fail(conf, section, key, "out of memory");
		return;
	}
	while ((item = strsep(&rest, ",")) != NULL) {
		char *end;
		int rc;

		item += strspn(item, " \t");
		for (end = item + strlen(item); end > item && strchr(" \t", end[-1]); end--)
			end[-1] = 0;
		rc = *item ? each(item, arg) : CH_OK;
		if (rc)
			ch_conf_fail(conf, section, key, "\"%s\" %s: it takes %s", item,
				rc == CH_ETOOBIG ? "is too long, or one too many"
						 : "cannot be used here",
				wants);
	}
}

static bool is_section(const char *name)
{
	static const char ca[] = "ca "; /* and a name: who uses them knows which */
	static const char *const sections[] = {
		"store", "issuer", "dns", "alerts", "agent", "cli", "up"};

	for (size_t i = 0; i < CH_ARRAY_LEN(sections); i++)
		if (strcmp(sections[i], name) == 0)
			return true;
	return strncmp(name, ca, strlen(ca)) == 0;
}

int ch_conf_finish(struct ch_conf *conf, const char *section, struct ch_err *err)
{
	const struct entry *stray = NULL;

	for (size_t i = 0; i < conf->n && !stray; i++)
		if (!is_section(conf->entries[i].section))
			stray = &conf->entries[i];
	if (stray && conf->err.rc != CH_ENOMEM)
		(void)ch_err_set(&conf->err, CH_EINVAL, "config-section",
			"%s:%d: there is no section [%s]: only store, issuer, ca NAME, "
			"dns, alerts, agent, cli and up",
			conf->file, stray->line, stray->section);
	for (size_t i = 0; i < conf->n && !conf->err.rc; i++) {
		const struct entry *e = &conf->entries[i];

		if (strcmp(e->section, section) == 0 && !e->asked)
			ch_conf_fail(conf, section, e->key,
				"no such key: see certherd.conf(5) or doc/configuration.md");
	}
	if (conf->err.rc && err)
		*err = conf->err;
	return conf->err.rc;
}

int ch_conf_finish_all(struct ch_conf *conf, struct ch_err *err)
{
	for (size_t i = 0; i < conf->n && !conf->err.rc; i++)
		if (!conf->entries[i].asked)
			ch_conf_fail(conf, conf->entries[i].section, conf->entries[i].key,
				"no such section or key");
	if (conf->err.rc && err)
		*err = conf->err;
	return conf->err.rc;
}
