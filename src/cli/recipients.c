#include "cli/recipients.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opts.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"

#define ID_B sizeof(((struct ch_recipient *)NULL)->id)
#define FILE_MAX_B 65536u

/* The line of this number, counted from 1; its length is in *ret_len. */
static const char *line_at(const char *text, unsigned number, size_t *ret_len)
{
	for (unsigned i = 1; i < number; i++) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	*ret_len = strcspn(text, "\n");
	return text;
}

/* What does not fit is cut, but not inside of a character. */
static void copy_note(const char *note, size_t len, char ret_note[CH_RECIPIENT_NOTE_B])
{
	bool cut = len >= CH_RECIPIENT_NOTE_B;

	if (cut)
		len = CH_RECIPIENT_NOTE_B - 1;
	while (cut && len && (note[len] & 0xc0) == 0x80)
		len--;
	memcpy(ret_note, note, len);
	ret_note[len] = 0;
}

static void take_note(const char *text, unsigned number, char ret_note[CH_RECIPIENT_NOTE_B])
{
	size_t len;
	const char *line = line_at(text, number - 1, &len);
	size_t mark;

	ret_note[0] = 0;
	if (number < 2)
		return;
	mark = strspn(line, " \t");
	if (line[mark] != '#')
		return;
	mark += strspn(line + mark, "# \t");
	if (mark < len)
		copy_note(line + mark, len - mark, ret_note);
}

const char *ch_known_recipients_path(struct ch_conf *conf)
{
	return ch_conf_path(conf, "issuer", "recipients", "issuer/recipients");
}

int ch_known_recipients_load(
	const char *path, struct ch_known_recipients *ret_known, struct ch_err *err)
{
	CH_AUTO_FREE char *text = NULL;
	size_t len;
	int rc = ch_recipients_load(path, &ret_known->all, err);

	if (!rc)
		rc = ch_file_read(path, FILE_MAX_B, &text, &len, err);
	if (rc)
		return rc;
	ret_known->path = path;
	for (size_t i = 0; i < ret_known->all.n; i++)
		take_note(text, ret_known->all.line[i], ret_known->notes[i]);
	return CH_OK;
}

void ch_known_recipients_find(
	const struct ch_known_recipients *known, const char *id, struct ch_buf *out)
{
	for (size_t i = 0; i < known->all.n; i++) {
		char hex[2 * ID_B + 1];

		ch_hex_encode(known->all.list[i].id, ID_B, hex);
		if (strcmp(hex, id) != 0)
			continue;
		ch_buf_addf(out, "%s:%u", known->path, known->all.line[i]);
		if (known->notes[i][0])
			ch_buf_addf(out, " (%s)", known->notes[i]);
		return;
	}
	ch_buf_addf(out, "not in %s (any more)", known->path);
}

static void print_all(const struct ch_known_recipients *known)
{
	static const char *const heads[] = {"ID", "LINE", "PUBLIC KEY", "NOTE"};
	CH_CLEANUP(ch_table_done) struct ch_table table = {.n_cols = 0};

	ch_table_init(&table, heads, CH_ARRAY_LEN(heads));
	for (size_t i = 0; i < known->all.n; i++) {
		char hex[2 * ID_B + 1];
		char text[CH_RECIPIENT_TEXT_B];

		ch_hex_encode(known->all.list[i].id, ID_B, hex);
		ch_recipient_print(&known->all.list[i], text);
		ch_table_add(&table, hex);
		ch_table_addf(&table, "%u", known->all.line[i]);
		ch_table_add(&table, text);
		ch_table_add(&table, known->notes[i]);
	}
	ch_table_print(&table, stdout);
}

/* A note that is no UTF-8 cannot be a JSON string. */
static json_t *note_json(const char *note)
{
	json_t *text = *note ? json_string(note) : NULL;

	return text ? text : json_null();
}

static int print_json(const struct ch_known_recipients *known)
{
	CH_AUTO_JSON json_t *list = json_array();

	for (size_t i = 0; i < known->all.n; i++) {
		char hex[2 * ID_B + 1];
		char text[CH_RECIPIENT_TEXT_B];

		ch_hex_encode(known->all.list[i].id, ID_B, hex);
		ch_recipient_print(&known->all.list[i], text);
		if (json_array_append_new(
			    list, json_pack("{s:s, s:I, s:s, s:o}", "id", hex, "line",
					  (json_int_t)known->all.line[i], "public_key", text,
					  "note", note_json(known->notes[i]))))
			return CH_EXIT_FAILED;
	}
	ch_json_print(list);
	return CH_EXIT_OK;
}

/* What is not there is bad input, as what cannot be understood. */
static int fail(const struct ch_err *err)
{
	fprintf(stderr, "certherd key recipients: %s\n", err->detail);
	return err->rc == CH_EINVAL || err->rc == CH_ENOTFOUND ? CH_EXIT_USAGE : CH_EXIT_FAILED;
}

int ch_key_recipients_main(int argc, char **argv)
{
	CH_CLEANUP(ch_conf_free_p) struct ch_conf *conf = NULL;
	const char *config = NULL;
	bool json = false;
	const struct ch_opt list[] = {{"json", NULL, "prints JSON for programs", &json, NULL},
		CH_OPT_CONFIG(&config)};
	const struct ch_opts opts = {.command = "key recipients",
		.usage = "[FILE] [--json] [--config FILE]",
		.help = "Lists the recipients in FILE (default: `recipients` of [issuer]) with "
			"the ids that\n`certherd cert show` has in \"sealed to\". NOTE: the "
			"comment in the line above. On an\nedge `certherd key pub --id FILE` "
			"says which one is its own.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_max = 1};
	struct ch_known_recipients known;
	const char *path = NULL;
	struct ch_err err;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? CH_EXIT_OK : CH_EXIT_USAGE;
	path = n ? argv[1] : NULL;
	if (!path) {
		rc = ch_conf_load(ch_opts_config(config), &conf, &err);
		if (rc)
			return fail(&err);
		path = ch_known_recipients_path(conf);
	}
	if (ch_known_recipients_load(path, &known, &err))
		return fail(&err);
	if (json)
		return print_json(&known);
	print_all(&known);
	return CH_EXIT_OK;
}
