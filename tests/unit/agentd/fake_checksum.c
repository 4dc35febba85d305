#include "fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "wire/checksum.h"

static void parameter(const char *path, const char *key, char *ret_text, size_t text_b)
{
	const char *at = strstr(path, key);

	ret_text[0] = 0;
	if (at)
		snprintf(ret_text, text_b, "%.*s", (int)strcspn(at + strlen(key), "&"),
			at + strlen(key));
}

static int by_name(const void *a, const void *b)
{
	const struct fake_row *const *left = a;
	const struct fake_row *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static void add_record(struct ch_buf *list, const struct fake_row *row, const uint8_t *digest)
{
	char hex[2 * CH_CHECKSUM_B + 1];
	struct ch_record r;

	assert_int_equal(ch_record_decode(row->record.data, row->record.len, &r), CH_OK);
	ch_hex_encode(digest, CH_CHECKSUM_B, hex);
	ch_buf_addf(list, "%s{\"name\":\"%s\",\"version\":%" PRIu64 ",\"sha256\":\"%s\"}",
		list->len ? "," : "", row->name, r.version, hex);
}

static size_t in_order(
	struct fake_store *s, const char *after, const char *until, struct fake_row **ret_rows)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_rows; i++) {
		struct fake_row *row = &s->rows[i];
		struct ch_record r;

		if (row->seq == 0 || strcmp(row->name, after) <= 0 ||
			(*until && strcmp(row->name, until) > 0) ||
			ch_record_decode(row->record.data, row->record.len, &r) ||
			r.kind == CH_RECORD_TOMBSTONE)
			continue;
		ret_rows[n++] = row;
	}
	qsort(ret_rows, n, sizeof(ret_rows[0]), by_name);
	return n;
}

void fake_store_answer_checksum(struct fake_store *s, const char *path, struct ch_buf *out)
{
	struct fake_row *rows[FAKE_MAX];
	struct ch_checksum sum = {.count = 0};
	char after[300];
	char until[300];
	char epoch[2 * CH_EPOCH_B + 1];
	char hex[2 * CH_CHECKSUM_B + 1];
	struct ch_buf list;
	size_t n;
	size_t i;

	ch_buf_init(&list, 1 << 20);
	parameter(path, "&after=", after, sizeof(after));
	parameter(path, "&until=", until, sizeof(until));
	n = in_order(s, after, until, rows);
	for (i = 0; i < n && (s->range_max == 0 || i < s->range_max); i++) {
		uint8_t digest[CH_CHECKSUM_B];

		assert_int_equal(ch_checksum_add(&sum, rows[i]->record.data,
					 rows[i]->record.len, digest),
			CH_OK);
		add_record(&list, rows[i], digest);
	}
	ch_hex_encode(s->epoch, CH_EPOCH_B, epoch);
	ch_hex_encode(sum.digest, CH_CHECKSUM_B, hex);
	ch_buf_addf(out,
		"{\"pool\":\"default\",\"epoch\":\"%s\",\"head\":%" PRIu64 ",\"count\":%" PRIu64
		",\"sha256\":\"%s\",\"last\":",
		epoch, s->head, sum.count, hex);
	if (i < n)
		ch_buf_addf(out, "\"%s\"", rows[i - 1]->name);
	else
		ch_buf_add_str(out, "null");
	if (strstr(path, "&list=1"))
		ch_buf_addf(out, ",\"records\":[%s]", ch_buf_str(&list));
	ch_buf_add_str(out, "}");
	ch_buf_done(&list);
	if (s->asked)
		s->asked(s);
}
