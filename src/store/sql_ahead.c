#include "store/sql_ahead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An item's name, its www name, a policy of each, and two names that a wildcard connects it
 * with.
 */
#define KEYS_EACH 6
/* Keys of one question: as many as one item has, and as many as there may be arguments. */
#define FEW 6
#define MANY 60
#define ROWS 10
/* Operations that ask together, and how many names each of them has at most. */
#define OPS 64
#define NAMES_EACH 4

#define LIST_6 "(?1), (?2), (?3), (?4), (?5), (?6)"
#define LIST_60                                                                                \
	LIST_6 ", (?7), (?8), (?9), (?10), (?11), (?12), (?13), (?14), (?15), (?16), (?17), "  \
	       "(?18), (?19), (?20), (?21), (?22), (?23), (?24), (?25), (?26), (?27), (?28), " \
	       "(?29), (?30), (?31), (?32), (?33), (?34), (?35), (?36), (?37), (?38), (?39), " \
	       "(?40), (?41), (?42), (?43), (?44), (?45), (?46), (?47), (?48), (?49), (?50), " \
	       "(?51), (?52), (?53), (?54), (?55), (?56), (?57), (?58), (?59), (?60)"
#define T_6 "tttttt"
#define T_60 T_6 T_6 T_6 T_6 T_6 T_6 T_6 T_6 T_6 T_6

/* Each of these subqueries can only be looked up in an index.  A join, or a list of keys, would
 * be a scan of the whole table for as long as the plan is one of when it was empty. */
#define FIND(list)                                                                             \
	"WITH k (wanted) AS (VALUES " list ") SELECT wanted, "                                 \
	"(SELECT 1 FROM name WHERE name = wanted), "                                           \
	"(SELECT 1 FROM holder WHERE name = wanted), "                                         \
	"(SELECT 1 FROM edge_record WHERE name = wanted LIMIT 1), "                            \
	"(SELECT 1 FROM held WHERE name = wanted LIMIT 1) FROM k"
static const char find_few[] = FIND(LIST_6);
static const char find_many[] = FIND(LIST_60);
#define ROW(n) "SELECT " CH_NAME_ROW " FROM name WHERE name = ?" n

struct entry {
	const char *key;
	unsigned lacks;		 /* of enum ch_ahead_of */
	struct ch_name_row *row; /* NULL: not known */
};

struct ch_ahead {
	struct ch_arena *arena;
	struct entry *entries; /* by their keys */
	size_t n;
	/* of several operations: */
	const struct ch_store_op *ops[OPS];
	size_t n_ops;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static struct entry *find_in(const struct ch_ahead *ahead, const char *key)
{
	const struct entry wanted = {.key = key};

	return ahead && ahead->n
		       ? bsearch(&wanted, ahead->entries, ahead->n, sizeof(wanted), by_key)
		       : NULL;
}

static struct entry *find(const struct ch_work *w, const char *key)
{
	return find_in(w->ahead, key);
}

/* ---- what to ask ---- */

static int add(struct ch_work *w, const char *key)
{
	const char *copy = ch_arena_str(w->ahead->arena, key);

	if (!copy)
		return CH_ENOMEM;
	w->ahead->entries[w->ahead->n++] = (struct entry){.key = copy};
	return CH_OK;
}

/* A name that may be new, with the policy that it may get. */
static int add_name(struct ch_work *w, const char *name)
{
	char key[CH_RECORD_KEY_B];
	int rc = add(w, name);

	ch_record_key(CH_RECORD_POLICY, name, strlen(name), key);
	return rc ? rc : add(w, key);
}

/* Whose holders have a say (sql_claim.c). */
static int add_neighbours(struct ch_work *w, const char *name)
{
	bool wildcard = strncmp(name, "*.", 2) == 0;
	const char *dot = strchr(name, '.');
	char other[CH_NAME_MAX + 3];
	int rc;

	if (wildcard)
		return add(w, name + 2);
	snprintf(other, sizeof(other), "*.%s", name);
	rc = add(w, other);
	if (rc || !dot)
		return rc;
	snprintf(other, sizeof(other), "*%s", dot);
	return add(w, other);
}

static int add_item(struct ch_work *w, const struct ch_store_put_item *item)
{
	char www[CH_NAME_MAX + 5];
	int rc = add_name(w, item->name);

	if (!rc && item->ask_proof)
		rc = add_neighbours(w, item->name);
	if (rc || item->www != CH_TRI_YES || strlen(item->name) + 4 > CH_NAME_MAX)
		return rc;
	snprintf(www, sizeof(www), "www.%s", item->name);
	return add_name(w, www);
}

static void sort(struct ch_ahead *ahead)
{
	size_t n = 0;

	qsort(ahead->entries, ahead->n, sizeof(ahead->entries[0]), by_key);
	for (size_t i = 0; i < ahead->n; i++)
		if (!n || strcmp(ahead->entries[n - 1].key, ahead->entries[i].key) != 0)
			ahead->entries[n++] = ahead->entries[i];
	ahead->n = n;
}

/* ---- asking ---- */

static void fill_arg(struct ch_db_arg *arg, const char *key)
{
	*arg = (struct ch_db_arg){
		.type = 't', .is_null = !key, .bytes = key, .len = key ? strlen(key) : 0};
}

static int take_found(struct ch_work *w, struct ch_stmt *stmt)
{
	char key[CH_RECORD_KEY_B];
	int rc;

	while ((rc = ch_db_step(w->db, stmt)) == 1) {
		struct entry *entry;

		rc = CH_OK;
		ch_db_copy(stmt, 0, key, sizeof(key), &rc);
		if (rc)
			return rc;
		entry = find(w, key);
		if (!entry)
			continue; /* there were no more keys */
		entry->lacks =
			(ch_db_is_null(stmt, 1) ? CH_AHEAD_NAME : 0u) |
			(ch_db_is_null(stmt, 2) ? CH_AHEAD_HOLDER : 0u) |
			(ch_db_is_null(stmt, 3) && ch_db_is_null(stmt, 4) ? CH_AHEAD_RECORD
									  : 0u);
	}
	return rc;
}

static void fill_args(struct ch_db_arg args[MANY], const struct entry *keys, size_t n)
{
	for (size_t i = 0; i < MANY; i++)
		fill_arg(&args[i], i < n ? keys[i].key : NULL);
}

static int ask_some(struct ch_work *w, const struct entry *keys, size_t n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_arg args[MANY];
	int rc;

	fill_args(args, keys, n);
	rc = n <= FEW ? ch_db_query_args(w->db, &stmt, find_few, T_6, args, FEW)
		      : ch_db_query_args(w->db, &stmt, find_many, T_60, args, MANY);
	return rc ? rc : take_found(w, stmt);
}

static int take_rows(struct ch_work *w, struct ch_stmt *stmt)
{
	int rc;

	while ((rc = ch_db_step(w->db, stmt)) == 1) {
		struct ch_name_row *row = ch_arena_array(w->op->arena, 1, sizeof(*row));
		struct entry *entry;

		rc = row ? CH_OK : CH_ENOMEM;
		if (row)
			ch_name_row_read(stmt, row, &rc);
		if (rc)
			return rc;
		entry = find(w, row->name);
		if (entry)
			entry->row = row;
	}
	return rc;
}

static int load_some(struct ch_work *w, const char *const names[ROWS])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_arg args[ROWS];
	int rc;

	for (size_t i = 0; i < ROWS; i++)
		fill_arg(&args[i], names[i]);
	rc = ch_db_query_args(w->db, &stmt,
		ROW("1") " UNION ALL " ROW("2") " UNION ALL " ROW("3") " UNION ALL " ROW("4") " UNION ALL " ROW("5") " UNION ALL " ROW(
			"6") " UNION ALL " ROW("7") " UNION ALL " ROW("8") " UNION ALL " ROW("9") " UNION ALL " ROW("10"),
		"tttttttttt", args, ROWS);
	return rc ? rc : take_rows(w, stmt);
}

/* The rows of those names that there are.  A single one is loaded when it is wanted. */
static int load_rows(struct ch_work *w, const struct ch_store_put_item *items, size_t n)
{
	const char *names[ROWS] = {NULL};
	size_t n_names = 0;
	int rc = CH_OK;

	for (size_t i = 0; !rc && n > 1 && i < n; i++) {
		if (ch_ahead_lacks(w, CH_AHEAD_NAME, items[i].name))
			continue;
		names[n_names++] = items[i].name;
		if (n_names < ROWS)
			continue;
		rc = load_some(w, names);
		memset(names, 0, sizeof(names));
		n_names = 0;
	}
	return rc || !n_names ? rc : load_some(w, names);
}

static struct ch_ahead *make(struct ch_arena *arena, size_t n_items)
{
	struct ch_ahead *ahead = ch_arena_array(arena, 1, sizeof(*ahead));

	if (!ahead)
		return NULL;
	*ahead = (struct ch_ahead){.arena = arena,
		.entries = ch_arena_array(arena, n_items * KEYS_EACH, sizeof(*ahead->entries))};
	return ahead->entries ? ahead : NULL;
}

/* Each of fn's questions about all keys. */
static int for_all(
	struct ch_work *w, int (*fn)(struct ch_work *w, const struct entry *keys, size_t n))
{
	const struct ch_ahead *ahead = w->ahead;
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < ahead->n; i += MANY)
		rc = fn(w, ahead->entries + i,
			ahead->n - i < MANY ? ahead->n - i : (size_t)MANY);
	return rc;
}

/* A few names that are there: their rows may be changed by others before it is their turn. */
static int ask_rows(struct ch_work *w, const struct ch_store_put_item *items, size_t n)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < n; i++)
		if (!ch_ahead_lacks(w, CH_AHEAD_NAME, items[i].name))
			rc = ch_name_row_ask(w->db, items[i].name);
	return rc;
}

static bool has_op(const struct ch_ahead *ahead, const struct ch_store_op *op)
{
	for (size_t i = 0; ahead && i < ahead->n_ops; i++)
		if (ahead->ops[i] == op)
			return true;
	return false;
}

int ch_ahead_ask(struct ch_work *w, const struct ch_store_put_item *items, size_t n)
{
	int rc = CH_OK;

	if (has_op(w->gathered, w->op)) {
		w->ahead = w->gathered;
		return ask_rows(w, items, n);
	}
	w->ahead = make(w->op->arena, n);
	if (!w->ahead)
		return CH_ENOMEM;
	for (size_t i = 0; !rc && i < n; i++)
		rc = add_item(w, &items[i]);
	sort(w->ahead);
	if (!rc)
		rc = for_all(w, ask_some);
	return rc ? rc : load_rows(w, items, n);
}

/* ---- for several operations ---- */

int ch_ahead_gather(struct ch_work *w, const struct ch_store_op *op)
{
	const struct ch_op_put *put = &op->u.put;
	int rc = CH_OK;

	if (op->type != CH_OP_PUT || !put->n_items || put->n_items > NAMES_EACH)
		return CH_OK;
	if (!w->gathered)
		w->gathered = make(w->arena, (size_t)OPS * NAMES_EACH);
	if (!w->gathered)
		return CH_ENOMEM;
	if (w->gathered->n_ops == OPS)
		return CH_OK;
	w->ahead = w->gathered;
	for (size_t i = 0; !rc && i < put->n_items; i++)
		rc = add_item(w, &put->items[i]);
	w->gathered->ops[w->gathered->n_ops++] = op;
	return rc;
}

static int ask_soon(struct ch_work *w, const struct entry *keys, size_t n)
{
	struct ch_db_arg args[MANY];

	fill_args(args, keys, n);
	return n <= FEW ? ch_db_ask_args(w->db, find_few, T_6, args, FEW)
			: ch_db_ask_args(w->db, find_many, T_60, args, MANY);
}

int ch_ahead_ask_gathered(struct ch_work *w)
{
	if (!w->gathered)
		return CH_OK;
	w->ahead = w->gathered;
	sort(w->ahead);
	return for_all(w, ask_soon);
}

int ch_ahead_take_gathered(struct ch_work *w)
{
	if (!w->gathered)
		return CH_OK;
	w->ahead = w->gathered;
	return for_all(w, ask_some);
}

bool ch_ahead_outlives(const struct ch_store_op *op)
{
	switch (op->type) {
	case CH_OP_PUT:
	case CH_OP_LEASE:
	case CH_OP_PATCH:
	case CH_OP_PUBLISH:
	case CH_OP_EDGE_ACK:
	case CH_OP_ISSUER:
	case CH_OP_WANTED:
		return true;
	default:
		return false;
	}
}

/* ---- what is known ---- */

int ch_ahead_row(struct ch_work *w, const char *name, struct ch_name_row *ret_row)
{
	const struct entry *entry = find(w, name);

	if (entry && entry->lacks & CH_AHEAD_NAME)
		return CH_ENOTFOUND;
	if (!entry || !entry->row)
		return ch_name_row_load(w->db, name, ret_row);
	*ret_row = *entry->row;
	return CH_OK;
}

bool ch_ahead_lacks(const struct ch_work *w, enum ch_ahead_of what, const char *key)
{
	const struct entry *entry = find(w, key);

	return entry && entry->lacks & what;
}

static void note_changed(const struct ch_ahead *ahead, enum ch_ahead_of what, const char *key)
{
	struct entry *entry = find_in(ahead, key);

	if (!entry)
		return;
	entry->lacks &= ~(unsigned)what;
	if (what == CH_AHEAD_NAME)
		entry->row = NULL;
}

/* Operations that come later in the transaction go by what was gathered. */
void ch_ahead_changed(struct ch_work *w, enum ch_ahead_of what, const char *key)
{
	note_changed(w->ahead, what, key);
	note_changed(w->gathered, what, key);
}
