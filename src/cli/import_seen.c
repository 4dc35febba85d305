#include "cli/import_seen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "wire/name.h"

#define FIRST_SLOTS 1024

struct ch_import_seen_slot {
	uint64_t name;
	uint64_t settings;
	uint64_t line; /* 0: free; NO_LINE: none that was taken */
};
#define NO_LINE UINT64_MAX

static uint64_t add_hash(uint64_t h, const char *text)
{
	for (; *text; text++) {
		h = (h ^ (unsigned char)*text) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

static struct ch_import_seen_slot *find(const struct ch_import_seen *seen, uint64_t name)
{
	size_t at = name & (seen->n_slots - 1);

	while (seen->slots[at].line && seen->slots[at].name != name)
		at = (at + 1) & (seen->n_slots - 1);
	return &seen->slots[at];
}

static int grow(struct ch_import_seen *seen)
{
	struct ch_import_seen grown = *seen;

	grown.n_slots = seen->n_slots ? 2 * seen->n_slots : FIRST_SLOTS;
	grown.slots = calloc(grown.n_slots, sizeof(*grown.slots));
	if (!grown.slots)
		return CH_ENOMEM;
	if (!seen->slots &&
		getrandom(&grown.salt, sizeof(grown.salt), 0) != sizeof(grown.salt)) {
		free(grown.slots);
		return CH_ENOMEM;
	}
	for (size_t i = 0; i < seen->n_slots; i++)
		if (seen->slots[i].line)
			*find(&grown, seen->slots[i].name) = seen->slots[i];
	free(seen->slots);
	*seen = grown;
	return CH_OK;
}

/* All that the item says beside the name. */
static int hash_settings(
	const struct ch_import_seen *seen, const json_t *item, uint64_t *ret_hash)
{
	json_t *rest = json_copy((json_t *)item);
	char *text = NULL;

	if (rest && json_object_del(rest, "name") == 0)
		text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(rest);
	if (!text)
		return CH_ENOMEM;
	*ret_hash = add_hash(seen->salt, text);
	free(text);
	return CH_OK;
}

/* False: what it says is no name. */
static bool read_name(const json_t *item, char ret_name[CH_NAME_TEXT_B])
{
	const struct ch_name_rules rules = {.allow_wildcard = true};
	const char *given = json_string_value(json_object_get(item, "name"));

	return given &&
	       ch_name_normalize(given, strlen(given), &rules, ret_name, NULL) == CH_OK;
}

void ch_import_seen_refused(struct ch_import_seen *seen, const json_t *item, uint64_t line)
{
	struct ch_import_seen_slot *slot;
	char name[CH_NAME_TEXT_B];

	if (!seen->n_slots || !read_name(item, name))
		return;
	slot = find(seen, add_hash(seen->salt, name));
	if (slot->line == line)
		slot->line = NO_LINE;
}

int ch_import_seen_add(
	struct ch_import_seen *seen, const json_t *item, uint64_t line, uint64_t *ret_line)
{
	struct ch_import_seen_slot *slot;
	char name[CH_NAME_TEXT_B];
	uint64_t settings;
	uint64_t hash;
	int rc = CH_OK;

	/* Of what is no name the store refuses each line. */
	if (!read_name(item, name))
		return CH_OK;
	if (seen->n + seen->n / 4 >= seen->n_slots && seen->n_slots < seen->slots_max)
		rc = grow(seen);
	if (!rc)
		rc = hash_settings(seen, item, &settings);
	if (rc)
		return rc;
	hash = add_hash(seen->salt, name);
	slot = find(seen, hash);
	if (slot->line == NO_LINE) {
		slot->settings = settings;
		slot->line = line;
		return CH_OK;
	}
	if (slot->line) {
		if (slot->settings == settings)
			return CH_OK;
		*ret_line = slot->line;
		return CH_ECONFLICT;
	}
	if (seen->n + seen->n / 4 >= seen->n_slots)
		return CH_OK;
	*slot = (struct ch_import_seen_slot){.name = hash, .settings = settings, .line = line};
	seen->n++;
	return CH_OK;
}

void ch_import_seen_done(struct ch_import_seen *seen)
{
	free(seen->slots);
	*seen = (struct ch_import_seen){.slots_max = seen->slots_max};
}
