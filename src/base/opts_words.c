/* The values that options take, where they can be told: for the parser, and for completion. */
#include <string.h>

#include "base/conf.h"
#include "base/mem.h"
#include "base/opts_words.h"

static const struct ch_opt_kind *kinds;
static size_t n_kinds;

void ch_opts_set_kinds(const struct ch_opt_kind *list, size_t n)
{
	kinds = list;
	n_kinds = n;
}

static const struct ch_opt_kind *find(const char *name, size_t len)
{
	for (size_t i = 0; i < n_kinds; i++)
		if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, name, len) == 0)
			return &kinds[i];
	return NULL;
}

/* "system|any|FILE": what is written small is a value itself, the rest the name of a kind. */
static bool is_word(const char *part, size_t len)
{
	return strspn(part, "abcdefghijklmnopqrstuvwxyz0123456789+-") >= len;
}

static const char *next_part(const char *part, size_t len)
{
	return part[len] == '|' ? part + len + 1 : NULL;
}

struct walk {
	void (*word)(struct walk *walk, const char *word, size_t len);
	const char *value; /* allow: which is looked for */
	bool found;
	FILE *out; /* print */
	struct ch_buf *list;
	size_t n; /* list: words seen, of those that there are */
	size_t all;
};

static void walk(struct walk *walk, const char *arg)
{
	for (const char *part = arg; part;) {
		size_t len = strcspn(part, "|");
		const struct ch_opt_kind *kind = find(part, len);

		if (is_word(part, len))
			walk->word(walk, part, len);
		for (size_t i = 0; kind && kind->words[i]; i++)
			walk->word(walk, kind->words[i], strlen(kind->words[i]));
		part = next_part(part, len);
	}
}

static bool is_open(const char *arg)
{
	for (const char *part = arg; part;) {
		size_t len = strcspn(part, "|");
		const struct ch_opt_kind *kind = find(part, len);

		if (!is_word(part, len) && (!kind || kind->open))
			return true;
		part = next_part(part, len);
	}
	return false;
}

static void compare(struct walk *walk, const char *word, size_t len)
{
	walk->found |= strlen(walk->value) == len && memcmp(walk->value, word, len) == 0;
}

bool ch_opts_allow(const char *arg, const char *value)
{
	struct walk w = {.word = compare, .value = value};

	if (is_open(arg))
		return true;
	walk(&w, arg);
	return w.found;
}

static void print(struct walk *walk, const char *word, size_t len)
{
	fprintf(walk->out, "%.*s\n", (int)len, word);
}

/* Nothing that a shell would take for more than a word: the list was not checked. */
static int print_item(const char *item, void *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-";

	if (item[strspn(item, plain)] == '\0')
		fprintf(out, "%s\n", item);
	return CH_OK;
}

/* A configuration that cannot be read has none. */
static void print_configured(const struct ch_opt_kind *kind, const char *config, FILE *out)
{
	CH_CLEANUP(ch_conf_free_p) struct ch_conf *conf = NULL;
	struct ch_err err;

	if (kind->section && ch_conf_load(config, &conf, &err) == CH_OK)
		ch_conf_list(conf, kind->section, kind->key, "", "words", print_item, out);
}

void ch_opts_print_words(const char *arg, const char *config, FILE *out)
{
	struct walk w = {.word = print, .out = out};

	walk(&w, arg);
	for (const char *part = arg; part;) {
		size_t len = strcspn(part, "|");
		const struct ch_opt_kind *kind = find(part, len);

		if (kind)
			print_configured(kind, config, out);
		part = next_part(part, len);
	}
}

static void add(struct walk *walk, const char *word, size_t len)
{
	walk->n++;
	if (walk->list)
		ch_buf_addf(walk->list, "%s%.*s",
			walk->n == 1	       ? ""
			: walk->n == walk->all ? " or "
					       : ", ",
			(int)len, word);
}

void ch_opts_list_words(const char *arg, struct ch_buf *out)
{
	struct walk count = {.word = add};
	struct walk list = {.word = add, .list = out};

	walk(&count, arg);
	list.all = count.n;
	walk(&list, arg);
}
