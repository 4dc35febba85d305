#include "store/db_postgres_memo.h"

#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 4096
/* More are for going through once. */
#define ROWS_MAX 100
#define BYTES_MAX 65536
/* Of all together: then it begins anew. */
#define ALL_BYTES_MAX (8 * 1024 * 1024)

struct ch_answer *ch_answer_new(void)
{
	struct ch_answer *answer = calloc(1, sizeof(*answer));

	if (answer)
		answer->holders = 1;
	return answer;
}

struct ch_answer *ch_answer_hold(struct ch_answer *answer)
{
	answer->holders++;
	return answer;
}

void ch_answer_let_go(struct ch_answer *answer)
{
	if (!answer || --answer->holders)
		return;
	PQclear(answer->result);
	free(answer->bytes);
	free(answer);
}

void ch_answer_bring(struct ch_answer *answer, PGresult *result)
{
	if (answer->holders > 1)
		answer->result = result;
	else
		PQclear(result);
}

static bool is_same_value(const PGresult *a, const PGresult *b, int row, int col)
{
	int len = PQgetlength(a, row, col);

	return PQgetisnull(a, row, col) == PQgetisnull(b, row, col) &&
	       len == PQgetlength(b, row, col) &&
	       memcmp(PQgetvalue(a, row, col), PQgetvalue(b, row, col), (size_t)len) == 0;
}

bool ch_answer_same(const struct ch_answer *a, const struct ch_answer *b)
{
	if (!a->result || !b->result)
		return a->result == b->result;
	if (PQntuples(a->result) != PQntuples(b->result))
		return false;
	for (int row = 0; row < PQntuples(a->result); row++)
		for (int col = 0; col < PQnfields(a->result); col++)
			if (!is_same_value(a->result, b->result, row, col))
				return false;
	return true;
}

/* ---- arguments as bytes ---- */

static size_t size_of(const struct ch_db_arg *arg)
{
	return arg->bytes ? arg->len : sizeof(arg->i);
}

static size_t size_of_all(const struct ch_db_arg *args, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += 1 + sizeof(size_t) + (args[i].is_null ? 0 : size_of(&args[i]));
	return size;
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static unsigned char *put_arg(unsigned char *at, const struct ch_db_arg *arg)
{
	size_t size = arg->is_null ? 0 : size_of(arg);

	*at++ = (unsigned char)(arg->is_null ? 'n' : arg->type);
	at = put(at, &size, sizeof(size));
	return size ? put(at, arg->bytes ? arg->bytes : &arg->i, size) : at;
}

/* FNV-1a */
static uint64_t hash(const unsigned char *bytes, size_t n)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
	return sum;
}

/* Of text what comes before a '/': a name's records of all kinds have one key. */
static uint64_t key_of(const struct ch_db_arg *arg)
{
	const unsigned char *end = arg->bytes ? memchr(arg->bytes, '/', arg->len) : NULL;

	if (!arg->bytes)
		return (uint64_t)arg->i;
	return hash(
		arg->bytes, end ? (size_t)(end - (const unsigned char *)arg->bytes) : arg->len);
}

static size_t bucket_of(const void *stmt, uint64_t args)
{
	return (size_t)((((uintptr_t)stmt >> 4) ^ args) % CH_MEMO_BUCKETS);
}

/* ---- the memo ---- */

struct ch_answer *ch_memo_find(
	const struct ch_memo *memo, const void *stmt, const struct ch_db_arg *args, size_t n)
{
	size_t size = size_of_all(args, n);
	unsigned char *bytes;
	struct ch_answer *answer = NULL;
	uint64_t sum;

	if (!memo->n || size > BYTES_MAX)
		return NULL;
	bytes = malloc(size + 1);
	if (!bytes)
		return NULL;
	for (size_t i = 0, at = 0; i < n; i++)
		at = (size_t)(put_arg(bytes + at, &args[i]) - bytes);
	sum = hash(bytes, size);
	for (answer = memo->buckets[bucket_of(stmt, sum)]; answer; answer = answer->next)
		if (answer->stmt == stmt && answer->args == sum && answer->n_bytes == size &&
			memcmp(answer->bytes, bytes, size) == 0)
			break;
	free(bytes);
	return answer ? ch_answer_hold(answer) : NULL;
}

void ch_memo_add(struct ch_memo *memo, struct ch_answer *answer, const void *stmt,
	const struct ch_touch *touch, const struct ch_db_arg *args, size_t n)
{
	struct ch_answer **bucket;
	size_t size = size_of_all(args, n);
	size_t at = 0;

	if (!memo->is_open || !touch->is_read || !touch->tables || memo->n >= ANSWERS_MAX ||
		size > BYTES_MAX || memo->bytes + size > ALL_BYTES_MAX)
		return;
	answer->bytes = malloc(size + 1);
	if (!answer->bytes)
		return;
	for (size_t i = 0; i < n; i++)
		at = (size_t)(put_arg(answer->bytes + at, &args[i]) - answer->bytes);
	answer->n_bytes = size;
	answer->args = hash(answer->bytes, size);
	answer->stmt = stmt;
	answer->touch = *touch;
	answer->key = touch->key_arg >= 0 && (size_t)touch->key_arg < n
			      ? key_of(&args[touch->key_arg])
			      : 0;
	bucket = &memo->buckets[bucket_of(stmt, answer->args)];
	answer->next = *bucket;
	*bucket = ch_answer_hold(answer);
	memo->n++;
	memo->bytes += size;
	memo->tables |= touch->tables;
}

static bool is_touched(
	const struct ch_answer *answer, const struct ch_touch *touch, uint64_t key)
{
	if (!(answer->touch.tables & touch->tables))
		return false;
	return answer->touch.key_arg < 0 || touch->key_arg < 0 || answer->key == key;
}

void ch_memo_written(
	struct ch_memo *memo, const struct ch_touch *touch, const struct ch_db_arg *args)
{
	uint64_t key = touch->key_arg >= 0 ? key_of(&args[touch->key_arg]) : 0;

	if (!(memo->tables & touch->tables))
		return;
	memo->tables = 0;
	for (size_t i = 0; i < CH_MEMO_BUCKETS; i++) {
		struct ch_answer **at = &memo->buckets[i];

		while (*at) {
			struct ch_answer *answer = *at;

			if (!is_touched(answer, touch, key)) {
				memo->tables |= answer->touch.tables;
				at = &answer->next;
				continue;
			}
			*at = answer->next;
			memo->n--;
			ch_answer_let_go(answer);
		}
	}
}

static bool is_remembered(const struct ch_memo *memo, const struct ch_answer *answer)
{
	const struct ch_answer *at =
		answer->stmt ? memo->buckets[bucket_of(answer->stmt, answer->args)] : NULL;

	while (at && at != answer)
		at = at->next;
	return at != NULL;
}

static void forget(struct ch_memo *memo, struct ch_answer *answer)
{
	struct ch_answer **at = &memo->buckets[bucket_of(answer->stmt, answer->args)];

	while (*at != answer)
		at = &(*at)->next;
	*at = answer->next;
	memo->n--;
	ch_answer_let_go(answer);
}

void ch_memo_came(struct ch_memo *memo, struct ch_answer *answer)
{
	size_t bytes;

	if (!answer->result || !is_remembered(memo, answer))
		return;
	bytes = PQresultMemorySize(answer->result);
	if (PQntuples(answer->result) > ROWS_MAX || bytes > BYTES_MAX) {
		forget(memo, answer);
		return;
	}
	memo->bytes += bytes;
	if (memo->bytes > ALL_BYTES_MAX)
		ch_memo_open(memo, memo->is_open);
}

void ch_memo_open(struct ch_memo *memo, bool is_open)
{
	static const struct ch_touch all = {.tables = CH_TOUCH_ALL, .key_arg = -1};

	ch_memo_written(memo, &all, NULL);
	memo->bytes = 0;
	memo->is_open = is_open;
}
