#include "table.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct sim_entry {
	const char *key;
	void *value;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct sim_entry *)a)->key, ((const struct sim_entry *)b)->key);
}

static struct sim_entry *find(const struct sim_table *table, const char *key)
{
	struct sim_entry wanted = {.key = key};
	struct sim_entry **found = tfind(&wanted, &table->root, compare);

	return found ? *found : NULL;
}

void *sim_table_get(const struct sim_table *table, const char *key)
{
	struct sim_entry *entry = find(table, key);

	return entry ? entry->value : NULL;
}

void sim_table_put(struct sim_table *table, const char *key, void *value)
{
	struct sim_entry *entry = find(table, key);

	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		SIM_NEED(entry);
		entry->key = sim_copy(key);
		SIM_NEED(tsearch(entry, &table->root, compare));
		table->n++;
	}
	entry->value = value;
}

struct walk {
	void (*visit)(const char *key, void *value, void *arg);
	void *arg;
};

static void on_node(const void *node, VISIT which, void *arg)
{
	const struct sim_entry *entry = *(struct sim_entry *const *)node;
	const struct walk *walk = arg;

	if ((which == postorder || which == leaf) && entry->value)
		walk->visit(entry->key, entry->value, walk->arg);
}

void sim_table_walk(const struct sim_table *table,
	void (*visit)(const char *key, void *value, void *arg), void *arg)
{
	struct walk walk = {.visit = visit, .arg = arg};

	twalk_r(table->root, on_node, &walk);
}
