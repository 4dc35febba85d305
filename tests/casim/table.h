/* Text keys to pointers. */
#ifndef CASIM_TABLE_H
#define CASIM_TABLE_H

#include <stddef.h>

struct sim_table {
	void *root;
	size_t n;
};

/* NULL when it is not there. */
void *sim_table_get(const struct sim_table *table, const char *key);
/* Replaces what is there; value NULL forgets it. */
void sim_table_put(struct sim_table *table, const char *key, void *value);
/* In the order of the keys; what was forgotten is left out. */
void sim_table_walk(const struct sim_table *table,
	void (*visit)(const char *key, void *value, void *arg), void *arg);

#endif
