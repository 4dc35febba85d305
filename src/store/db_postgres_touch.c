#include "store/db_postgres_touch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define WORD_B 40
#define DEPTH_MAX 16

/* What operations read again and again, each with the column by which its rows are told apart
 * where they are read by that.  Keys "x" and "x/6" are one here: ch_record_key. */
static const struct {
	const char *name;
	const char *key;
} tables[] = {
	{"name", "name"},
	{"orders", "id"},
	{"order_name", "order_id"},
	{"pool", "pool"},
	{"bucket", "key"},
	{"holder", "name"},
	{"held", "name"},
	{"edge_record", "name"},
	{"edge", NULL},
	{"standby_default", NULL},
};

const char *ch_touch_table(unsigned i)
{
	return i < CH_ARRAY_LEN(tables) ? tables[i].name : NULL;
}

unsigned ch_touch_bit(const char *table)
{
	for (unsigned i = 0; i < CH_ARRAY_LEN(tables); i++)
		if (strcmp(tables[i].name, table) == 0)
			return 1u << i;
	return CH_TOUCH_OTHER;
}

static const char *key_of(unsigned bit)
{
	for (unsigned i = 0; i < CH_ARRAY_LEN(tables); i++)
		if (bit == 1u << i)
			return tables[i].key;
	return NULL;
}

/* ---- words ---- */

struct scan {
	const char *at;
	char word[WORD_B]; /* or one other character, or "$N"; "": the end */
	int depth;	   /* of parentheses */
};

static bool is_of_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.';
}

static const char *skip_quoted(const char *at)
{
	const char *end = strchr(at + 1, '\'');

	return end ? end + 1 : at + strlen(at);
}

/* Quoted text is "'". */
static void next(struct scan *scan)
{
	size_t n = 0;

	while (isspace((unsigned char)*scan->at))
		scan->at++;
	if (is_of_word(*scan->at)) {
		for (; is_of_word(*scan->at); scan->at++)
			if (n < WORD_B - 1)
				scan->word[n++] = *scan->at;
	} else if (*scan->at) {
		scan->word[n++] = *scan->at;
		scan->depth += *scan->at == '(' ? 1 : *scan->at == ')' ? -1 : 0;
		scan->at = *scan->at == '\'' ? skip_quoted(scan->at) : scan->at + 1;
	}
	scan->word[n] = '\0';
}

static bool is(const struct scan *scan, const char *word)
{
	return strcasecmp(scan->word, word) == 0;
}

static bool is_any(const struct scan *scan, const char *const *words)
{
	for (; *words; words++)
		if (is(scan, *words))
			return true;
	return false;
}

/* Of "$N", counted from 0; -1: it is something else. */
static int arg_of(const struct scan *scan)
{
	return scan->word[0] == '$' ? atoi(scan->word + 1) - 1 : -1;
}

/* ---- rows by their key ---- */

/* At "$N" of a list: the whole of an item, or with '/…' behind it, which is the same key.  Then
 * at what follows the item. */
static bool is_item_of(struct scan *scan, int arg)
{
	const char *text;

	if (arg < 0 || arg_of(scan) != arg)
		return false;
	next(scan);
	if (!is(scan, "|"))
		return true;
	next(scan);
	text = scan->at + strspn(scan->at, " ");
	next(scan);
	if (!is(scan, "'") || strncmp(text, "'/", 2) != 0)
		return false;
	next(scan);
	return true;
}

/* At the word after WHERE: "KEY = $N", or "KEY IN ($N, $N || '/…', …)".  -1: something else.
 * Then at the word after that. */
static int key_arg_at(struct scan *scan, const char *key)
{
	bool is_list;
	int arg;

	if (!key || strcmp(scan->word, key) != 0)
		return -1;
	next(scan);
	is_list = is(scan, "IN");
	if (is_list)
		next(scan);
	if (!is(scan, is_list ? "(" : "="))
		return -1;
	next(scan);
	arg = arg_of(scan);
	if (!is_list) {
		next(scan);
		return arg;
	}
	while (is_item_of(scan, arg)) {
		if (is(scan, ")")) {
			next(scan);
			return arg;
		}
		if (!is(scan, ","))
			return -1;
		next(scan);
	}
	return -1;
}

static bool ends_condition(const struct scan *scan)
{
	static const char *const words[] = {"AND", "ORDER", "LIMIT", "UNION", ")", "", NULL};

	return is_any(scan, words);
}

/* ---- reads ---- */

static bool ends_from(const struct scan *scan)
{
	static const char *const words[] = {"SELECT", "WHERE", "GROUP", "HAVING", "ORDER",
		"LIMIT", "OFFSET", "UNION", "EXCEPT", "INTERSECT", "WINDOW", "VALUES", "FOR",
		NULL};

	return is_any(scan, words);
}

struct reads {
	char with[WORD_B];	 /* the name of a WITH */
	bool in_from[DEPTH_MAX]; /* by depth: a comma is followed by a table */
	bool wants_table;
	unsigned tables;
	bool bad;
};

static void note_word(struct reads *reads, struct scan *scan)
{
	bool wants = reads->wants_table;

	if (scan->depth < 0 || scan->depth >= DEPTH_MAX) {
		reads->bad = true;
		return;
	}
	reads->wants_table = false;
	if (is(scan, "FROM") || is(scan, "JOIN")) {
		reads->in_from[scan->depth] = true;
		reads->wants_table = true;
	} else if (ends_from(scan)) {
		reads->in_from[scan->depth] = false;
	} else if (is(scan, "(")) {
		reads->in_from[scan->depth] = false;
		/* "FROM (a JOIN b)": a is not known to be a table. */
		reads->bad |= wants && strncasecmp(scan->at, "SELECT", 6) != 0 &&
			      strncasecmp(scan->at, "VALUES", 6) != 0;
	} else if (is(scan, ",")) {
		reads->wants_table = reads->in_from[scan->depth];
	} else if (wants && strcmp(scan->word, reads->with) != 0) {
		reads->tables |= ch_touch_bit(scan->word);
	}
}

/* One argument for all tables, each of which is read "FROM TABLE WHERE KEY = $N …". */
static int key_of_read(const char *text)
{
	struct scan scan = {.at = text};
	int found = -1;

	for (next(&scan); scan.word[0]; next(&scan)) {
		const char *key;
		int arg;

		if (is(&scan, "OR") || is(&scan, "JOIN"))
			return -1;
		if (!is(&scan, "FROM"))
			continue;
		next(&scan);
		if (is(&scan, "("))
			continue;
		key = key_of(ch_touch_bit(scan.word));
		next(&scan);
		if (!is(&scan, "WHERE"))
			return -1;
		next(&scan);
		arg = key_arg_at(&scan, key);
		if (arg < 0 || !ends_condition(&scan) || (found >= 0 && found != arg))
			return -1;
		found = arg;
	}
	return found;
}

static struct ch_touch read_of(const char *text)
{
	struct ch_touch touch = {.is_read = true, .key_arg = -1};
	struct scan scan = {.at = text};
	struct reads reads = {.bad = false};

	next(&scan);
	if (is(&scan, "WITH")) {
		next(&scan);
		strcpy(reads.with, scan.word);
	}
	for (next(&scan); scan.word[0] && !reads.bad; next(&scan))
		note_word(&reads, &scan);
	touch.tables = reads.bad ? CH_TOUCH_ALL : reads.tables;
	if (!reads.bad)
		touch.key_arg = key_of_read(text);
	return touch;
}

/* ---- writes ---- */

static const struct ch_touch writes_all = {.tables = CH_TOUCH_ALL, .key_arg = -1};

/* At the table.  Rows that are changed so that they get another key would be two. */
static struct ch_touch update_of(struct scan *scan, bool is_delete)
{
	struct ch_touch touch = {.tables = ch_touch_bit(scan->word), .key_arg = -1};
	const char *key = key_of(touch.tables);
	bool at_column = false;

	for (next(scan); scan->word[0]; next(scan)) {
		if (scan->depth)
			continue;
		if (is(scan, "FROM") || is(scan, "USING") ||
			(at_column && key && strcmp(scan->word, key) == 0))
			return touch;
		at_column = !is_delete && (is(scan, "SET") || is(scan, ","));
		if (at_column && scan->at[strspn(scan->at, " ")] == '(')
			return touch; /* several columns */
		if (is(scan, "WHERE")) {
			next(scan);
			touch.key_arg = key_arg_at(scan, key);
			if (!ends_condition(scan))
				touch.key_arg = -1;
			for (; touch.key_arg >= 0 && scan->word[0]; next(scan))
				if (!scan->depth && is(scan, "OR"))
					touch.key_arg = -1;
			return touch;
		}
	}
	return touch;
}

/* Which of a list in parentheses, counted from 0, the word is; with which >= 0 the argument
 * that is alone at that place.  -1: none.  At "(" in the beginning, after ")" at the end. */
static int in_list(struct scan *scan, const char *word, int which)
{
	int depth = scan->depth;
	int found = -1;
	int n = 0;

	for (next(scan); scan->word[0] && scan->depth >= depth; next(scan)) {
		if (scan->depth == depth && is(scan, ","))
			n++;
		else if (word && strcmp(scan->word, word) == 0)
			found = n;
		else if (n == which)
			found = found == -1 ? arg_of(scan) : -2;
	}
	next(scan);
	return found < 0 ? -1 : found;
}

/* At the table: "INSERT INTO t (columns) VALUES (values)", and what is done on a conflict,
 * which is with a row of the same key where that is the whole of it. */
static struct ch_touch insert_of(struct scan *scan)
{
	struct ch_touch touch = {.tables = ch_touch_bit(scan->word), .key_arg = -1};
	const char *key = key_of(touch.tables);
	int which;
	int arg;

	next(scan);
	if (!key || !is(scan, "("))
		return touch;
	which = in_list(scan, key, -1);
	if (which < 0 || !is(scan, "VALUES"))
		return touch;
	next(scan);
	if (!is(scan, "("))
		return touch;
	arg = in_list(scan, NULL, which);
	if (!scan->word[0] || (is(scan, "ON") && strncmp(scan->at, " CONFLICT (", 11) == 0 &&
				      strncmp(scan->at + 11, key, strlen(key)) == 0 &&
				      scan->at[11 + strlen(key)] == ')'))
		touch.key_arg = arg;
	return touch;
}

struct ch_touch ch_touch_of(const char *text)
{
	struct scan scan = {.at = text};

	next(&scan);
	if (is(&scan, "SELECT") || is(&scan, "WITH")) {
		struct ch_touch touch = read_of(text);

		/* WITH … AS (DELETE …) */
		return strstr(text, "INSERT ") || strstr(text, "UPDATE ") ||
				       strstr(text, "DELETE ")
			       ? writes_all
			       : touch;
	}
	if (is(&scan, "SAVEPOINT") || is(&scan, "RELEASE"))
		return (struct ch_touch){.key_arg = -1};
	if (is(&scan, "UPDATE")) {
		next(&scan);
		return update_of(&scan, false);
	}
	if (!is(&scan, "INSERT") && !is(&scan, "DELETE"))
		return writes_all;
	next(&scan);
	if (is(&scan, "FROM")) {
		next(&scan);
		return update_of(&scan, true);
	}
	next(&scan);
	return insert_of(&scan);
}
