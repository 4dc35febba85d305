/* Everything that can be set, in one JSON document: README.md lists it. */
#ifndef CASIM_SETTINGS_H
#define CASIM_SETTINGS_H

#include "sim.h"

/* The settings of a CA like the big public one, its limits not enforced. */
json_t *sim_settings_default(void);
/* Takes over what change has.  False, and a sentence: a key that does not exist, or a value of
 * another type; nothing is changed then. */
bool sim_settings_change(struct sim *sim, json_t *change, char *ret_why, size_t why_b);

/* The value under section and key; it exists, with this type. */
int64_t sim_int(const struct sim *sim, const char *section, const char *key);
double sim_percent(const struct sim *sim, const char *section, const char *key);
bool sim_bool(const struct sim *sim, const char *section, const char *key);
const char *sim_str(const struct sim *sim, const char *section, const char *key);
json_t *sim_setting(const struct sim *sim, const char *section, const char *key);

#endif
