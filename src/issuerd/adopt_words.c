#include "issuerd/adopt_words.h"

#include <stdlib.h>
#include <string.h>

int ch_words_begin(
	struct ch_words_reader *reader, enum ch_words_lang lang, const char *text, size_t len)
{
	char *words;

	if (len > CH_WORDS_FILE_MAX_B)
		return CH_ETOOBIG;
	/* Each word takes its letters and a NUL: what came after it, or the end. */
	words = malloc(len + 2);
	if (!words)
		return CH_ENOMEM;
	*reader = (struct ch_words_reader){
		.lang = lang, .at = text, .end = text + len, .text = words, .line = 1};
	return CH_OK;
}

void ch_words_done(struct ch_words_reader *reader)
{
	free(reader->text);
	reader->text = NULL;
}

static bool more(const struct ch_words_reader *r)
{
	return r->at < r->end;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char take(struct ch_words_reader *r)
{
	char c = *r->at++;

	r->line += c == '\n';
	return c;
}

static void put(struct ch_words_reader *r, char c)
{
	/* A NUL would end the word where the server's own reader goes on. */
	r->text[r->used++] = c ? c : '?';
}

static void skip_line(struct ch_words_reader *r)
{
	while (more(r) && *r->at != '\n')
		r->at++;
}

static int syntax(const struct ch_words_reader *r, struct ch_err *err, const char *what)
{
	return ch_err_set(err, CH_EPROTO, "conf-syntax", "line %u: %s", r->line, what);
}

static int begin_word(struct ch_words_reader *r, struct ch_words *w, struct ch_err *err)
{
	if (w->n == CH_WORDS_MAX)
		return ch_err_set(err, CH_ETOOBIG, "conf-words",
			"line %u: a statement of more than %d words", r->line, CH_WORDS_MAX);
	if (!w->n)
		w->line = r->line;
	w->word[w->n++] = r->text + r->used;
	return CH_OK;
}

/* Up to the quote that ends it, which is taken. */
static int quoted(struct ch_words_reader *r, struct ch_err *err)
{
	char quote = take(r);

	while (more(r)) {
		char c = take(r);

		if (c == quote) {
			r->text[r->used++] = '\0';
			return CH_OK;
		}
		if (c == '\\' && more(r) && (*r->at == quote || *r->at == '\\'))
			c = take(r);
		put(r, c);
	}
	return syntax(r, err, "a quote is not closed");
}

static void bare_nginx(struct ch_words_reader *r)
{
	while (more(r) && !is_space(*r->at) && *r->at != ';' && *r->at != '{' &&
		*r->at != '}') {
		char c = take(r);

		if (c == '\\' && more(r)) {
			c = take(r);
		} else if (c == '$' && more(r) && *r->at == '{') {
			put(r, c);
			while (more(r) && *r->at != '}' && !is_space(*r->at))
				put(r, take(r));
			if (!more(r) || *r->at != '}')
				break;
			c = take(r);
		}
		put(r, c);
	}
}

/* What is inside is another language, in which braces come in pairs, mostly. */
static int skip_lua(struct ch_words_reader *r, struct ch_err *err)
{
	size_t depth = 1;

	while (more(r)) {
		char c = take(r);

		depth += c == '{';
		depth -= c == '}';
		if (!depth)
			return CH_OK;
	}
	return syntax(r, err, "a block of Lua is not closed");
}

static bool is_lua(const struct ch_words *w)
{
	size_t len = w->n ? strlen(w->word[0]) : 0;

	return len > 13 && strcmp(w->word[0] + len - 13, "_by_lua_block") == 0;
}

static int end_nginx(struct ch_words_reader *r, struct ch_words *w, struct ch_err *err)
{
	char c = take(r);

	if (c == '}' ? w->n > 0 : w->n == 0)
		return syntax(r, err,
			c == '}' ? "a ; is missing before }" : "a ; or { without a statement");
	if (c == '}')
		w->line = r->line;
	w->end = c == '}' ? CH_WORDS_CLOSE : c == '{' ? CH_WORDS_OPEN : CH_WORDS_SIMPLE;
	if (c != '{' || !is_lua(w))
		return CH_OK;
	w->end = CH_WORDS_SIMPLE;
	return skip_lua(r, err);
}

static int next_nginx(struct ch_words_reader *r, struct ch_words *w, struct ch_err *err)
{
	while (more(r)) {
		int rc;

		if (is_space(*r->at)) {
			(void)take(r);
			continue;
		}
		if (*r->at == '#') {
			skip_line(r);
			continue;
		}
		if (*r->at == ';' || *r->at == '{' || *r->at == '}')
			return end_nginx(r, w, err);
		rc = begin_word(r, w, err);
		if (rc)
			return rc;
		if (*r->at == '"' || *r->at == '\'') {
			rc = quoted(r, err);
			if (rc)
				return rc;
			continue;
		}
		bare_nginx(r);
		r->text[r->used++] = '\0';
	}
	return w->n ? syntax(r, err, "the last statement has no end") : CH_ENOTFOUND;
}

/* ---- Apache: a line is a statement, unless a backslash ends it ---- */

static bool continues(const struct ch_words_reader *r)
{
	const char *next = r->at + 1;

	if (*r->at != '\\' || next == r->end)
		return false;
	return *next == '\n' || (*next == '\r' && next + 1 < r->end && next[1] == '\n');
}

/* At a space, or a line that goes on.  False: the line ends here. */
static bool skip_space(struct ch_words_reader *r)
{
	while (more(r)) {
		if (continues(r)) {
			r->at++;
			while (more(r) && *r->at != '\n')
				r->at++;
			if (more(r))
				(void)take(r);
		} else if (*r->at == '\n') {
			return false;
		} else if (is_space(*r->at)) {
			(void)take(r);
		} else {
			return true;
		}
	}
	return false;
}

static void bare_apache(struct ch_words_reader *r, bool section)
{
	while (more(r) && !is_space(*r->at) && !continues(r) && !(section && *r->at == '>'))
		put(r, take(r));
}

static int words_apache(
	struct ch_words_reader *r, struct ch_words *w, bool section, struct ch_err *err)
{
	while (skip_space(r)) {
		int rc;

		if (section && *r->at == '>') {
			skip_line(r);
			return CH_OK;
		}
		rc = begin_word(r, w, err);
		if (rc)
			return rc;
		if (*r->at == '"' || *r->at == '\'') {
			rc = quoted(r, err);
			if (rc)
				return rc;
			continue;
		}
		bare_apache(r, section);
		r->text[r->used++] = '\0';
	}
	return section ? syntax(r, err, "a section without its >") : CH_OK;
}

static int next_apache(struct ch_words_reader *r, struct ch_words *w, struct ch_err *err)
{
	while (more(r)) {
		bool section = false;
		int rc;

		if (!skip_space(r)) {
			if (more(r))
				(void)take(r);
			continue;
		}
		if (*r->at == '#') {
			skip_line(r);
			continue;
		}
		w->line = r->line;
		w->end = CH_WORDS_SIMPLE;
		if (*r->at == '<') {
			section = true;
			(void)take(r);
			w->end = CH_WORDS_OPEN;
			if (more(r) && *r->at == '/') {
				(void)take(r);
				w->end = CH_WORDS_CLOSE;
			}
		}
		rc = words_apache(r, w, section, err);
		if (rc)
			return rc;
		return w->n ? CH_OK : syntax(r, err, "a section without a name");
	}
	return CH_ENOTFOUND;
}

int ch_words_next(
	struct ch_words_reader *reader, struct ch_words *ret_words, struct ch_err *err)
{
	ret_words->n = 0;
	ret_words->line = reader->line;
	reader->used = 0;
	return (reader->lang == CH_WORDS_NGINX ? next_nginx : next_apache)(
		reader, ret_words, err);
}
