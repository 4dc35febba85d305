#include "pace/scheduler.h"

#include <stdlib.h>

#include "base/mem.h"
#include "pace/heap.h"

/* Of one tenant and class, or of one key. */
struct list {
	uint32_t head;
	uint32_t tail;
};

struct item {
	uint32_t prev;
	uint32_t next;
	uint32_t tenant;
	uint32_t key; /* CH_SCHED_NONE: not parked */
	uint8_t class;
	bool waits;
};

/* Start-time fair queueing: a tenant's tag grows with each turn, by less the more it weighs;
 * the least tag is next.  One that was idle begins at the tag of the last turn and not behind
 * it: it has saved no turns up, and waits for nobody's. */
struct class
{
	struct ch_heap *tenants; /* by line: those that wait, by tag */
	struct list *lists;	 /* by tenant */
	int64_t *tags;
	int64_t now;
	uint32_t n;
};

struct ch_sched {
	struct class classes[CH_CLASS_COUNT];
	struct ch_heap keys; /* those with parked items, by the time of the first */
	struct list *parked; /* by key */
	struct item *items;
	uint16_t *weights;
	uint8_t *lines; /* by tenant */
	unsigned n_lines;
	uint64_t turn; /* as ch_sched_class counts them */
};

#define TURN 1000000

enum ch_class ch_sched_class(unsigned waiting, uint64_t turn)
{
	unsigned others = waiting & (waiting - 1); /* without the least bit */

	if (!others || turn % CH_SCHED_SHARE != CH_SCHED_SHARE - 1)
		return (enum ch_class)__builtin_ctz(waiting);
	for (uint64_t n = turn / CH_SCHED_SHARE % (unsigned)__builtin_popcount(others); n > 0;
		n--)
		others &= others - 1;
	return (enum ch_class)__builtin_ctz(others);
}

uint64_t ch_sched_next_turn(unsigned waiting, uint64_t turn)
{
	if (waiting & (waiting - 1))
		return turn + 1;
	return waiting == 1u << (CH_CLASS_COUNT - 1) ? turn - turn % CH_SCHED_SHARE : turn;
}

static struct list *new_lists(uint32_t n)
{
	struct list *lists = malloc(((size_t)n + 1) * sizeof(*lists));

	for (uint32_t i = 0; lists && i < n; i++)
		lists[i] = (struct list){CH_SCHED_NONE, CH_SCHED_NONE};
	return lists;
}

static struct ch_heap *heap_of(
	const struct ch_sched *sched, struct class *class, uint32_t tenant)
{
	return &class->tenants[sched->lines[tenant]];
}

static int init_class(struct class *class, uint32_t n_tenants, unsigned n_lines)
{
	int rc = CH_OK;

	class->tenants = calloc(CH_SCHED_LINES, sizeof(*class->tenants));
	class->lists = new_lists(n_tenants);
	class->tags = calloc((size_t)n_tenants + 1, sizeof(*class->tags));
	if (!class->lists || !class->tags || !class->tenants)
		return CH_ENOMEM;
	for (unsigned line = 0; !rc && line < n_lines; line++)
		rc = ch_heap_init(&class->tenants[line], n_tenants);
	return rc;
}

static int init(struct ch_sched *sched, uint32_t n_items, uint32_t n_tenants, uint32_t n_keys)
{
	sched->items = calloc((size_t)n_items + 1, sizeof(*sched->items));
	sched->weights = calloc((size_t)n_tenants + 1, sizeof(*sched->weights));
	sched->parked = new_lists(n_keys);
	if (!sched->items || !sched->weights || !sched->parked)
		return CH_ENOMEM;
	for (int i = 0; i < CH_CLASS_COUNT; i++) {
		int rc = init_class(&sched->classes[i], n_tenants, sched->n_lines);

		if (rc)
			return rc;
	}
	return ch_heap_init(&sched->keys, n_keys);
}

int ch_sched_new(
	uint32_t n_items, uint32_t n_tenants, uint32_t n_keys, struct ch_sched **ret_sched)
{
	return ch_sched_new_lines(n_items, n_tenants, n_keys, 1, ret_sched);
}

int ch_sched_new_lines(uint32_t n_items, uint32_t n_tenants, uint32_t n_keys, unsigned n_lines,
	struct ch_sched **ret_sched)
{
	struct ch_sched *sched = calloc(1, sizeof(*sched));

	if (sched) {
		sched->n_lines = n_lines < CH_SCHED_LINES ? n_lines : CH_SCHED_LINES;
		sched->lines = calloc((size_t)n_tenants + 1, sizeof(*sched->lines));
	}
	if (!sched || !sched->lines || init(sched, n_items, n_tenants, n_keys)) {
		ch_sched_free(sched);
		return CH_ENOMEM;
	}
	*ret_sched = sched;
	return CH_OK;
}

void ch_sched_free(struct ch_sched *sched)
{
	if (!sched)
		return;
	for (int i = 0; i < CH_CLASS_COUNT; i++) {
		free(sched->classes[i].lists);
		free(sched->classes[i].tags);
		for (unsigned k = 0; sched->classes[i].tenants && k < CH_SCHED_LINES; k++)
			ch_heap_done(&sched->classes[i].tenants[k]);
		free(sched->classes[i].tenants);
	}
	ch_heap_done(&sched->keys);
	free(sched->parked);
	free(sched->items);
	free(sched->weights);
	free(sched->lines);
	free(sched);
}

void ch_sched_set_weight(struct ch_sched *sched, uint32_t tenant, unsigned weight)
{
	sched->weights[tenant] = (uint16_t)(weight < 1 ? 1 : weight > 1000 ? 1000 : weight);
}

void ch_sched_set_place(
	struct ch_sched *sched, uint32_t tenant, enum ch_class class, uint32_t place)
{
	sched->classes[class].tags[tenant] = place < TURN ? place : TURN - 1;
}

void ch_sched_set_line(struct ch_sched *sched, uint32_t tenant, unsigned line)
{
	sched->lines[tenant] = (uint8_t)(line < sched->n_lines ? line : 0);
}

void ch_sched_set_turn(struct ch_sched *sched, uint64_t turn)
{
	sched->turn = turn;
}

static void link_in(struct ch_sched *sched, struct list *list, uint32_t item, bool first)
{
	struct item *it = &sched->items[item];

	it->prev = first ? CH_SCHED_NONE : list->tail;
	it->next = first ? list->head : CH_SCHED_NONE;
	if (it->prev != CH_SCHED_NONE)
		sched->items[it->prev].next = item;
	else
		list->head = item;
	if (it->next != CH_SCHED_NONE)
		sched->items[it->next].prev = item;
	else
		list->tail = item;
	it->waits = true;
}

static void link_out(struct ch_sched *sched, struct list *list, uint32_t item)
{
	struct item *it = &sched->items[item];

	if (it->prev != CH_SCHED_NONE)
		sched->items[it->prev].next = it->next;
	else
		list->head = it->next;
	if (it->next != CH_SCHED_NONE)
		sched->items[it->next].prev = it->prev;
	else
		list->tail = it->prev;
	it->waits = false;
}

bool ch_sched_waits(const struct ch_sched *sched, uint32_t item)
{
	return sched->items[item].waits;
}

void ch_sched_remove(struct ch_sched *sched, uint32_t item)
{
	struct item *it = &sched->items[item];
	struct class *class = &sched->classes[it->class];

	if (!it->waits)
		return;
	if (it->key != CH_SCHED_NONE) {
		link_out(sched, &sched->parked[it->key], item);
		if (sched->parked[it->key].head == CH_SCHED_NONE)
			ch_heap_remove(&sched->keys, it->key);
		return;
	}
	link_out(sched, &class->lists[it->tenant], item);
	class->n--;
	if (class->lists[it->tenant].head == CH_SCHED_NONE)
		ch_heap_remove(heap_of(sched, class, it->tenant), it->tenant);
}

void ch_sched_add(
	struct ch_sched *sched, uint32_t item, uint32_t tenant, enum ch_class class, bool first)
{
	struct class *to = &sched->classes[class];
	struct item *it = &sched->items[item];

	ch_sched_remove(sched, item);
	it->tenant = tenant;
	it->class = (uint8_t) class;
	it->key = CH_SCHED_NONE;
	if (to->lists[tenant].head == CH_SCHED_NONE) {
		if (to->tags[tenant] < to->now)
			to->tags[tenant] = to->now;
		ch_heap_set(heap_of(sched, to, tenant), tenant, to->tags[tenant]);
	}
	link_in(sched, &to->lists[tenant], item, first);
	to->n++;
}

static int64_t turn(const struct ch_sched *sched, uint32_t tenant)
{
	return TURN / (sched->weights[tenant] ? sched->weights[tenant] : 1);
}

static bool is_open(const struct ch_sched *sched, unsigned line, unsigned lines)
{
	return line < sched->n_lines && lines & (1u << line);
}

/* Whether somebody waits there in one of these lines; in which the next one does. */
static bool next_of(const struct ch_sched *sched, const struct class *class, unsigned lines,
	unsigned *ret_line)
{
	int64_t least = INT64_MAX;
	bool found = false;

	for (unsigned line = 0; line < sched->n_lines; line++) {
		const struct ch_heap *heap = &class->tenants[line];

		if (!is_open(sched, line, lines) || !heap->n ||
			(found && ch_heap_least(heap) >= least))
			continue;
		found = true;
		least = ch_heap_least(heap);
		*ret_line = line;
	}
	return found;
}

static uint32_t take(struct ch_sched *sched, struct class *class, unsigned line)
{
	struct ch_heap *heap = &class->tenants[line];
	uint32_t tenant = heap->entries[0].id;
	uint32_t item = class->lists[tenant].head;

	class->now = class->tags[tenant];
	class->tags[tenant] += turn(sched, tenant);
	link_out(sched, &class->lists[tenant], item);
	class->n--;
	if (class->lists[tenant].head == CH_SCHED_NONE)
		ch_heap_remove(heap, tenant);
	else
		ch_heap_set(heap, tenant, class->tags[tenant]);
	return item;
}

uint32_t ch_sched_take_of(struct ch_sched *sched, unsigned open, unsigned lines)
{
	unsigned at[CH_CLASS_COUNT] = {0};
	unsigned waiting = 0;
	enum ch_class class;

	for (int i = 0; i < CH_CLASS_COUNT; i++)
		if (open & (1u << i) && next_of(sched, &sched->classes[i], lines, &at[i]))
			waiting |= 1u << i;
	if (!waiting)
		return CH_SCHED_NONE;
	class = ch_sched_class(waiting, sched->turn);
	sched->turn = ch_sched_next_turn(waiting, sched->turn);
	return take(sched, &sched->classes[class], at[class]);
}

uint32_t ch_sched_take(struct ch_sched *sched, unsigned open)
{
	return ch_sched_take_of(sched, open, ~0u);
}

unsigned ch_sched_lines(const struct ch_sched *sched)
{
	unsigned lines = 0;

	for (int i = 0; i < CH_CLASS_COUNT; i++)
		for (unsigned line = 0; line < sched->n_lines; line++)
			if (sched->classes[i].tenants[line].n)
				lines |= 1u << line;
	return lines;
}

void ch_sched_park(struct ch_sched *sched, uint32_t item, uint32_t key, int64_t at_ms)
{
	struct list *list = &sched->parked[key];
	uint32_t tenant = sched->items[item].tenant;
	struct class *class = &sched->classes[sched->items[item].class];

	/* Its turn was of no use: the tenant's other names do not wait behind those of a full
	 * domain. */
	class->tags[tenant] -= turn(sched, tenant);
	if (class->lists[tenant].head != CH_SCHED_NONE)
		ch_heap_set(heap_of(sched, class, tenant), tenant, class->tags[tenant]);
	if (list->head == CH_SCHED_NONE)
		ch_heap_set(&sched->keys, key, at_ms);
	sched->items[item].key = key;
	link_in(sched, list, item, false);
}

int64_t ch_sched_next_wake_ms(const struct ch_sched *sched)
{
	return ch_heap_least(&sched->keys);
}

void ch_sched_wake(struct ch_sched *sched, int64_t now_ms,
	int64_t (*again_at_ms)(void *arg, uint32_t key, int64_t now_ms), void *arg)
{
	while (ch_heap_least(&sched->keys) <= now_ms) {
		uint32_t key = sched->keys.entries[0].id;
		uint32_t item = sched->parked[key].head;
		struct item *it = &sched->items[item];
		int64_t at_ms;

		ch_sched_add(sched, item, it->tenant, (enum ch_class)it->class, true);
		if (sched->parked[key].head == CH_SCHED_NONE)
			continue;
		at_ms = again_at_ms(arg, key, now_ms);
		ch_heap_set(&sched->keys, key, at_ms > now_ms ? at_ms : now_ms + 1);
	}
}

uint32_t ch_sched_count(const struct ch_sched *sched, enum ch_class class)
{
	return sched->classes[class].n;
}
