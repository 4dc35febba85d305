#include "year.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"

#define DAY_S 86400
#define OUTAGE_S (6 * 3600)
#define FILL_PART 3000 /* records of one answer of a snapshot */
#define ANSWER_B (4u << 20)
#define LEAF_B 946 /* without its name's second half; see shape.c */
#define LEAF_SPREAD 13
#define KEY_B 49 /* a sealed key */

struct site {
	uint32_t number;
	bool removed;
	int64_t due_s;
};

struct year {
	const struct year_plan *plan;
	struct ch_replica_writer *writer;
	const char *dir;
	struct site *sites;
	uint32_t *heap; /* of sites, the first due on top */
	uint32_t n_heap;
	uint32_t n_sites;
	uint64_t random;
	uint64_t seq;
	uint8_t noise[4096];
	struct year_found found;
};

/* splitmix64 */
static uint64_t next_random(struct year *y)
{
	uint64_t z = y->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static double uniform(struct year *y)
{
	return (double)(next_random(y) >> 11) / (double)(UINT64_C(1) << 53);
}

/* Numbers are spread so that new names come between the old ones. */
static size_t name_of(uint32_t number, char name[64])
{
	return (size_t)snprintf(
		name, 64, "%08x.shops.customers.example.net", number * 2654435761u);
}

/* As the issuer does: with 33 to 38 % left, of short lives with 50 to 55. */
static int64_t next_due(struct year *y, int64_t now_s)
{
	double least = y->plan->lifetime_days < 10 ? 0.45 : 0.62;

	return now_s + (int64_t)((least + 0.05 * uniform(y)) * y->plan->lifetime_days * DAY_S);
}

static bool is_before(const struct year *y, uint32_t a, uint32_t b)
{
	return y->sites[y->heap[a]].due_s < y->sites[y->heap[b]].due_s;
}

static void swap(struct year *y, uint32_t a, uint32_t b)
{
	uint32_t site = y->heap[a];

	y->heap[a] = y->heap[b];
	y->heap[b] = site;
}

static void push(struct year *y, uint32_t site)
{
	uint32_t at = y->n_heap++;

	y->heap[at] = site;
	for (; at && is_before(y, at, (at - 1) / 2); at = (at - 1) / 2)
		swap(y, at, (at - 1) / 2);
}

static uint32_t pop(struct year *y)
{
	uint32_t site = y->heap[0];
	uint32_t at = 0;

	y->heap[0] = y->heap[--y->n_heap];
	for (;;) {
		uint32_t least = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < y->n_heap && is_before(y, child, least))
				least = child;
		if (least == at)
			return site;
		swap(y, at, least);
		at = least;
	}
}

/* *ret_len: of the record. */
static int put(struct year *y, uint32_t number, enum ch_record_kind kind, size_t *ret_len)
{
	CH_AUTO_BUF struct ch_buf bytes;
	char name[64];
	size_t noise = next_random(y) % 1024;
	enum ch_apply_effect effect;
	struct ch_record record = {.kind = kind, .version = ++y->seq, .name = name};
	int rc;

	record.name_len = name_of(number, name);
	record.key_version = record.version;
	record.not_after_s = INT64_MAX;
	record.chain_id = y->noise;
	record.leaf = y->noise + noise;
	record.leaf_len = LEAF_B + next_random(y) % LEAF_SPREAD;
	record.n_sealed = 1;
	record.sealed[0] = (struct ch_sealed_view){.recipient_id = y->noise,
		.enc = y->noise + noise,
		.enc_len = 32,
		.ct = y->noise + noise,
		.ct_len = KEY_B};
	record.signer_id = y->noise;
	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	rc = ch_record_encode(&record, &bytes);
	if (rc == CH_OK && kind == CH_RECORD_CERT)
		rc = ch_buf_add(&bytes, y->noise + noise, CH_SIGNATURE_B);
	if (rc == CH_OK)
		rc = ch_replica_put(y->writer, &record, bytes.data, bytes.len, &effect);
	*ret_len = bytes.len;
	return rc;
}

static void add_site(struct year *y, int64_t due_s)
{
	uint32_t site = y->n_sites++;

	y->sites[site] = (struct site){.number = site, .due_s = due_s};
	push(y, site);
	y->found.names++;
}

static int by_name(const void *a, const void *b)
{
	char left[64];
	char right[64];

	name_of(*(const uint32_t *)a, left);
	name_of(*(const uint32_t *)b, right);
	return strcmp(left, right);
}

static int fill_part(struct year *y, const uint32_t *numbers, uint32_t from, uint32_t until)
{
	struct ch_place place = {.valid = true, .done = until == y->plan->names};
	struct ch_cursor cursor = {.valid = true};
	size_t len;
	int rc = ch_replica_apply_begin(y->writer);

	for (uint32_t i = from; rc == CH_OK && i < until; i++)
		rc = put(y, numbers[i], CH_RECORD_CERT, &len);
	if (rc)
		return rc;
	cursor.seq = cursor.base = place.head = y->seq;
	(void)name_of(numbers[until - 1], place.key);
	return ch_replica_apply_commit_place(y->writer, &place, &cursor, NULL);
}

static int fill(struct year *y)
{
	CH_AUTO_FREE uint32_t *numbers = calloc(y->plan->names, sizeof(*numbers));
	int rc = numbers ? CH_OK : CH_ENOMEM;

	for (uint32_t i = 0; rc == CH_OK && i < y->plan->names; i++) {
		numbers[i] = i;
		/* A platform that has been at it for long: any of them falls due next. */
		add_site(y, (int64_t)(uniform(y) * (double)next_due(y, 0)));
	}
	if (rc == CH_OK)
		qsort(numbers, y->plan->names, sizeof(*numbers), by_name);
	for (uint32_t at = 0; rc == CH_OK && at < y->plan->names; at += FILL_PART) {
		uint32_t left = y->plan->names - at;

		rc = fill_part(y, numbers, at, at + (left < FILL_PART ? left : FILL_PART));
	}
	return rc ? rc : ch_replica_writer_publish(y->writer, NULL);
}

/* One that falls due; with it may come a new name, and another may be gone. */
static int renew(struct year *y, int64_t now_s, size_t *bytes)
{
	uint32_t at = pop(y);
	struct site *site = &y->sites[at];
	uint64_t churn = next_random(y) % 1000000;
	size_t len;
	int rc;

	if (churn < y->plan->churn_ppm && y->n_sites < 2 * y->plan->names) {
		add_site(y, now_s);
		site->removed = true;
		y->found.names--;
	}
	rc = put(y, site->number, site->removed ? CH_RECORD_TOMBSTONE : CH_RECORD_CERT, &len);
	*bytes += len;
	y->found.renewed++;
	if (!site->removed) {
		site->due_s = next_due(y, now_s);
		push(y, at);
	}
	return rc;
}

/* What the live generation takes of the disk. */
static uint64_t disk_b(const struct year *y)
{
	CH_AUTO_FREE char *path = NULL;
	char generation[64] = "";
	struct stat st;
	FILE *in;

	if (asprintf(&path, "%s/current", y->dir) < 0)
		return 0;
	in = fopen(path, "r");
	if (in && fscanf(in, "%63s", generation) != 1)
		generation[0] = 0;
	if (in)
		fclose(in);
	free(TAKE_PTR(path));
	if (asprintf(&path, "%s/%s/data.mdb", y->dir, generation) < 0 || stat(path, &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

/* All that fell due until then, in answers of the store. */
static int apply_until(struct year *y, int64_t until_s)
{
	while (y->n_heap && y->sites[y->heap[0]].due_s <= until_s) {
		struct ch_cursor cursor = {.valid = true};
		uint64_t before = y->found.renewed;
		size_t bytes = 0;
		int rc = ch_replica_apply_begin(y->writer);

		while (rc == CH_OK && bytes < ANSWER_B && y->n_heap &&
			y->sites[y->heap[0]].due_s <= until_s)
			rc = renew(y, until_s, &bytes);
		if (rc)
			return rc;
		cursor.seq = cursor.base = y->seq;
		rc = ch_replica_apply_commit(y->writer, &cursor, NULL);
		if (rc)
			return rc;
		before = y->found.renewed - before;
		y->found.largest = before > y->found.largest ? before : y->found.largest;
		y->found.batches++;
	}
	return CH_OK;
}

static int live(struct year *y)
{
	double round_s = 0.6 * y->plan->lifetime_days * DAY_S;
	double pause_s = y->plan->batch * round_s / y->plan->names;
	int64_t end_s = (int64_t)y->plan->days * DAY_S;
	int64_t now_s = 0;
	int64_t seen_day = 0;
	int rc = CH_OK;

	while (rc == CH_OK && now_s < end_s) {
		bool outage = next_random(y) % 1000000 < y->plan->outage_ppm;

		now_s += 1 + (int64_t)(outage ? OUTAGE_S : 2 * pause_s * uniform(y));
		rc = apply_until(y, now_s);
		if (now_s / DAY_S != seen_day) {
			uint64_t size_b = disk_b(y);

			seen_day = now_s / DAY_S;
			y->found.peak_b = size_b > y->found.peak_b ? size_b : y->found.peak_b;
		}
	}
	return rc;
}

static uint64_t live_b(const struct year *y)
{
	uint64_t sum = 0;
	char name[64];

	for (uint32_t i = 0; i < y->n_sites; i++)
		if (!y->sites[i].removed)
			sum += name_of(y->sites[i].number, name) * 2 + LEAF_B +
			       LEAF_SPREAD / 2 + 32 + KEY_B + 163;
	return sum;
}

int year_run(const struct year_plan *plan, struct ch_replica_writer *writer, const char *dir,
	struct year_found *ret_found)
{
	struct year y = {.plan = plan, .writer = writer, .dir = dir, .random = plan->seed};
	CH_AUTO_FREE struct site *sites = calloc(2 * (size_t)plan->names, sizeof(*sites));
	CH_AUTO_FREE uint32_t *heap = calloc(2 * (size_t)plan->names, sizeof(*heap));
	int rc = sites && heap ? CH_OK : CH_ENOMEM;

	y.sites = sites;
	y.heap = heap;
	for (size_t i = 0; i < sizeof(y.noise); i++)
		y.noise[i] = (uint8_t)next_random(&y);
	if (rc == CH_OK)
		rc = fill(&y);
	if (rc)
		return rc;
	y.found.fill_b = disk_b(&y);
	rc = live(&y);
	if (rc)
		return rc;
	y.found.end_b = disk_b(&y);
	y.found.live_b = live_b(&y);
	*ret_found = y.found;
	return CH_OK;
}
