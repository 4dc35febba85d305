#include "issuerd/adopt_conf.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "issuerd/adopt_pem.h"

#define SITE_FILES_MAX 8 /* certificates of one block */
#define DEFINES_MAX 1000

enum word { CERT, KEY, CHAIN, NAME, ALIAS, INCLUDE, ROOT, DEFINE, N_WORDS };

static const char *const words[2][N_WORDS] = {
	[CH_WORDS_NGINX] = {"ssl_certificate", "ssl_certificate_key", NULL, "server_name", NULL,
		"include", NULL, NULL},
	[CH_WORDS_APACHE] = {"SSLCertificateFile", "SSLCertificateKeyFile",
		"SSLCertificateChainFile", "ServerName", "ServerAlias", "Include", "ServerRoot",
		"Define"},
};
static const char *const blocks[2] = {"server", "VirtualHost"};

/* What a block says, or what lies around it. */
struct scope {
	json_t *certs;
	json_t *keys;
	json_t *names;
	json_t *chain; /* NULL: none */
};

/* A block that lacks something that may stand around it, even behind it. */
struct later {
	struct scope scope;
	char *path;
	unsigned line;
};

struct reading {
	struct later *later;
	size_t n_later;
	size_t later_cap;
	enum ch_words_lang lang;
	const struct ch_adopt_conf_calls *calls;
	char root[PATH_MAX];
	json_t *defines;
	struct scope around;
	struct scope block;
	bool in_block;
	size_t block_depth; /* open braces inside of it */
	size_t depth;	    /* of files */
	size_t files;
};

static int scope_init(struct scope *s)
{
	*s = (struct scope){json_array(), json_array(), json_array(), NULL};
	return s->certs && s->keys && s->names ? CH_OK : CH_ENOMEM;
}

static void scope_done(struct scope *s)
{
	json_decref(s->certs);
	json_decref(s->keys);
	json_decref(s->names);
	json_decref(s->chain);
	*s = (struct scope){NULL, NULL, NULL, NULL};
}

static bool is_word(const struct reading *r, const char *text, const char *word)
{
	return word && (r->lang == CH_WORDS_NGINX ? strcmp : strcasecmp)(text, word) == 0;
}

static enum word find_word(const struct reading *r, const char *text)
{
	if (r->lang == CH_WORDS_APACHE && strcasecmp(text, "IncludeOptional") == 0)
		return INCLUDE;
	for (int i = 0; i < N_WORDS; i++)
		if (is_word(r, text, words[r->lang][i]))
			return (enum word)i;
	return N_WORDS;
}

/* Puts in what Apache's Define has set.  False: too long, or something that is not known here,
 * as a variable of nginx. */
static bool expand(const struct reading *r, const char *text, char *ret_text, size_t text_b)
{
	size_t used = 0;

	while (*text) {
		const char *close = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
		const char *value;
		char name[64];
		int len;

		if (*text != '$' || (r->lang == CH_WORDS_APACHE && !close)) {
			if (used + 1 >= text_b)
				return false;
			ret_text[used++] = *text++;
			continue;
		}
		if (r->lang == CH_WORDS_NGINX || close - text - 2 >= (ptrdiff_t)sizeof(name))
			return false;
		snprintf(name, sizeof(name), "%.*s", (int)(close - text - 2), text + 2);
		value = json_string_value(json_object_get(r->defines, name));
		if (!value)
			return false;
		len = snprintf(ret_text + used, text_b - used, "%s", value);
		if (len < 0 || (size_t)len >= text_b - used)
			return false;
		used += (size_t)len;
		text = close + 1;
	}
	ret_text[used] = '\0';
	return true;
}

static bool to_path(const struct reading *r, const char *text, char ret_path[PATH_MAX])
{
	char plain[PATH_MAX];
	int len;

	if (!expand(r, text, plain, sizeof(plain)) || !plain[0])
		return false;
	/* nginx: data:, engine:, store: and what comes after is no file. */
	if (r->lang == CH_WORDS_NGINX && strchr(plain, ':') && plain[0] != '/')
		return false;
	len = snprintf(ret_path, PATH_MAX, "%s%s%s", plain[0] == '/' ? "" : r->root,
		plain[0] == '/' ? "" : "/", plain);
	return len > 0 && len < PATH_MAX;
}

static void complain(const struct reading *r, const char *path, unsigned line, const char *code,
	const char *word, const char *what)
{
	struct ch_err err;

	(void)ch_err_set(&err, CH_EUNSUPPORTED, code, "line %u: %s %s", line, word, what);
	r->calls->problem(r->calls->arg, path, &err);
}

static int add_path(struct reading *r, json_t *list, const char *path, const struct ch_words *w)
{
	char full[PATH_MAX];

	if (w->n != 2 || !to_path(r, w->word[1], full)) {
		complain(r, path, w->line, "conf-path", w->word[0],
			"does not name one file (variables, data: and engine: are not "
			"followed)");
		return CH_OK;
	}
	if (json_array_size(list) == SITE_FILES_MAX) {
		complain(r, path, w->line, "conf-path", w->word[0], "is there too often");
		return CH_OK;
	}
	return json_array_append_new(list, json_string_nocheck(full)) ? CH_ENOMEM : CH_OK;
}

/* Apache: [scheme://]name[:port] */
static const char *only_name(struct reading *r, char *name)
{
	char *scheme = r->lang == CH_WORDS_APACHE ? strstr(name, "://") : NULL;

	if (scheme)
		name = scheme + 3;
	if (r->lang == CH_WORDS_APACHE)
		name[strcspn(name, ":")] = 0;
	return name;
}

static int add_names(struct reading *r, struct scope *s, const struct ch_words *w, size_t most)
{
	char name[512];

	for (size_t i = 1; i < w->n && i <= most; i++)
		if (expand(r, w->word[i], name, sizeof(name)) &&
			json_array_append_new(
				s->names, json_string_nocheck(only_name(r, name))))
			return CH_ENOMEM;
	return CH_OK;
}

static void define(struct reading *r, const struct ch_words *w)
{
	char value[PATH_MAX];

	if (w->n >= 2 && json_object_size(r->defines) < DEFINES_MAX &&
		expand(r, w->n > 2 ? w->word[2] : "", value, sizeof(value)))
		(void)json_object_set_new_nocheck(
			r->defines, w->word[1], json_string_nocheck(value));
}

/* ---- a block ends ---- */

static int tell(struct reading *r, const struct scope *block, const char *path, unsigned line,
	struct ch_err *err)
{
	const struct scope *certs = json_array_size(block->certs) ? block : &r->around;
	const struct scope *keys = json_array_size(block->keys) ? block : &r->around;
	const json_t *chain = block->chain ? block->chain : r->around.chain;

	if (r->lang == CH_WORDS_NGINX &&
		json_array_size(certs->certs) != json_array_size(keys->keys)) {
		complain(r, path, line, "conf-pair", "this server",
			"has not as many ssl_certificate_key as ssl_certificate");
		return CH_OK;
	}
	for (size_t i = 0; i < json_array_size(certs->certs); i++) {
		const char *cert = json_string_value(json_array_get(certs->certs, i));
		const char *key = json_string_value(json_array_get(keys->keys, i));
		const struct ch_adopt_site site = {.cert = cert,
			.key = key ? key : cert,
			.chain = json_string_value(chain),
			.names = block->names};
		int rc = r->calls->site(r->calls->arg, &site, err);

		if (rc)
			return rc;
	}
	return CH_OK;
}

/* Takes the block over. */
static int put_off(struct reading *r, const char *path, unsigned line)
{
	struct later later = {.path = strdup(path), .line = line};
	size_t more = r->later_cap ? 2 * r->later_cap : 64;
	struct later *grown;

	if (!later.path)
		return CH_ENOMEM;
	if (r->n_later == r->later_cap) {
		grown = reallocarray(r->later, more, sizeof(*grown));
		if (!grown) {
			free(later.path);
			return CH_ENOMEM;
		}
		r->later = grown;
		r->later_cap = more;
	}
	later.scope = r->block;
	r->block = (struct scope){NULL, NULL, NULL, NULL};
	r->later[r->n_later++] = later;
	return CH_OK;
}

/* All has been read: what stands around the blocks is known. */
static int tell_later(struct reading *r, struct ch_err *err)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < r->n_later; i++)
		rc = tell(r, &r->later[i].scope, r->later[i].path, r->later[i].line, err);
	return rc;
}

static void later_done(struct reading *r)
{
	for (size_t i = 0; i < r->n_later; i++) {
		scope_done(&r->later[i].scope);
		free(r->later[i].path);
	}
	free(r->later);
}

static int open_block(struct reading *r, const struct ch_words *w)
{
	if (r->in_block) {
		r->block_depth++;
		return CH_OK;
	}
	/* nginx has `server` also as a statement of an upstream, which opens nothing. */
	if (!is_word(r, w->word[0], blocks[r->lang]))
		return CH_OK;
	r->in_block = true;
	r->block_depth = 0;
	return scope_init(&r->block);
}

static int close_block(struct reading *r, const char *path, unsigned line, struct ch_err *err)
{
	int rc;

	if (!r->in_block)
		return CH_OK;
	if (r->block_depth) {
		r->block_depth--;
		return CH_OK;
	}
	if (json_array_size(r->block.certs) && json_array_size(r->block.keys))
		rc = tell(r, &r->block, path, line, err);
	else
		rc = put_off(r, path, line);
	r->in_block = false;
	scope_done(&r->block);
	return rc;
}

/* ---- files ---- */

static int read_file(struct reading *r, const char *path, struct ch_err *err);

/* A file that breaks off within a block has not begun one for those that come after it. */
static void leave_block(struct reading *r, bool in_block, size_t depth)
{
	if (r->in_block && !in_block)
		scope_done(&r->block);
	r->in_block = in_block;
	r->block_depth = depth;
}

static int read_included(struct reading *r, const char *path, struct ch_err *err)
{
	bool in_block = r->in_block;
	size_t depth = r->block_depth;
	struct ch_err why;
	int rc;

	if (r->depth >= CH_ADOPT_INCLUDE_DEPTH_MAX || r->files >= CH_ADOPT_INCLUDE_FILES_MAX) {
		(void)ch_err_set(&why, CH_ETOOBIG, "conf-include",
			"not read: files include each other too deeply, or too many");
		r->calls->problem(r->calls->arg, path, &why);
		return CH_OK;
	}
	rc = read_file(r, path, &why);
	if (rc == CH_ENOMEM || rc == CH_ECANCELED) {
		*err = why;
		return rc;
	}
	if (rc) {
		leave_block(r, in_block, depth);
		r->calls->problem(r->calls->arg, path, &why);
	}
	return CH_OK;
}

static int include(
	struct reading *r, const char *path, const struct ch_words *w, struct ch_err *err)
{
	char pattern[PATH_MAX + 2];
	struct stat st;
	glob_t found;
	int rc = CH_OK;

	if (w->n != 2 || !to_path(r, w->word[1], pattern)) {
		complain(r, path, w->line, "conf-path", w->word[0], "does not name files");
		return CH_OK;
	}
	/* Apache: a folder stands for all that is in it. */
	if (r->lang == CH_WORDS_APACHE && stat(pattern, &st) == 0 && S_ISDIR(st.st_mode) &&
		strlen(pattern) + 2 < PATH_MAX)
		strcat(pattern, "/*");
	if (glob(pattern, GLOB_NOCHECK, NULL, &found))
		return CH_OK;
	for (size_t i = 0; !rc && i < found.gl_pathc; i++)
		/* A pattern that fits nothing is fine for both. */
		if (strcmp(found.gl_pathv[i], pattern) != 0 || !strpbrk(pattern, "*?["))
			rc = read_included(r, found.gl_pathv[i], err);
	globfree(&found);
	return rc;
}

static int set_chain(
	struct reading *r, struct scope *s, const char *path, const struct ch_words *w)
{
	json_t *one = json_array();
	int rc = one ? add_path(r, one, path, w) : CH_ENOMEM;

	if (!rc && json_array_size(one)) {
		json_decref(s->chain);
		s->chain = json_incref(json_array_get(one, 0));
	}
	json_decref(one);
	return rc;
}

static int follow(
	struct reading *r, const char *path, const struct ch_words *w, struct ch_err *err)
{
	struct scope *s = r->in_block ? &r->block : &r->around;

	switch (find_word(r, w->word[0])) {
	case CERT:
		return add_path(r, s->certs, path, w);
	case KEY:
		return add_path(r, s->keys, path, w);
	case CHAIN:
		return set_chain(r, s, path, w);
	case NAME:
		return add_names(r, s, w, r->lang == CH_WORDS_NGINX ? SIZE_MAX : 1);
	case ALIAS:
		return add_names(r, s, w, SIZE_MAX);
	case INCLUDE:
		return include(r, path, w, err);
	case ROOT:
		if (w->n == 2 && w->word[1][0] == '/' && strlen(w->word[1]) < PATH_MAX)
			strcpy(r->root, w->word[1]);
		return CH_OK;
	case DEFINE:
		define(r, w);
		return CH_OK;
	default:
		return CH_OK;
	}
}

static int statement(
	struct reading *r, const char *path, const struct ch_words *w, struct ch_err *err)
{
	if (w->end == CH_WORDS_OPEN)
		return open_block(r, w);
	if (w->end == CH_WORDS_CLOSE)
		return close_block(r, path, w->line, err);
	return follow(r, path, w, err);
}

static int read_file(struct reading *r, const char *path, struct ch_err *err)
{
	CH_CLEANUP(ch_words_done) struct ch_words_reader reader = {.text = NULL};
	CH_AUTO_FREE struct ch_words *w = malloc(sizeof(*w));
	CH_AUTO_FREE char *text = NULL;
	size_t len = 0;
	int rc = ch_adopt_file_read(path, CH_WORDS_FILE_MAX_B, &text, &len, err);

	if (rc)
		return rc;
	if (!w || ch_words_begin(&reader, r->lang, text, len))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	r->depth++;
	r->files++;
	while (!rc) {
		rc = ch_words_next(&reader, w, err);
		if (!rc)
			rc = statement(r, path, w, err);
	}
	r->depth--;
	if (rc == CH_ENOMEM)
		(void)ch_err_set(err, rc, "out-of-memory", "out of memory");
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

int ch_adopt_conf_read(enum ch_words_lang lang, const char *path,
	const struct ch_adopt_conf_calls *calls, struct ch_err *err)
{
	struct reading r = {.lang = lang, .calls = calls, .defines = json_object()};
	char *slash;
	int rc = r.defines ? scope_init(&r.around) : CH_ENOMEM;

	if (!realpath(path, r.root))
		snprintf(r.root, sizeof(r.root), "%s", path);
	slash = strrchr(r.root, '/');
	if (slash)
		*slash = '\0';
	if (!rc)
		rc = read_file(&r, path, err);
	if (!rc)
		rc = tell_later(&r, err);
	later_done(&r);
	scope_done(&r.around);
	scope_done(&r.block);
	json_decref(r.defines);
	return rc;
}
