#include "edge/told.h"

#include <stdlib.h>

#include "edge/hotset.h"

struct place { /* hash 0: free */
	uint64_t hash;
	int64_t told_ms;
};

struct ch_told {
	struct ch_told_options options;
	struct place places[]; /* sets * CH_TOLD_WAYS */
};

int ch_told_new(const struct ch_told_options *options, struct ch_told **ret_told)
{
	struct ch_told *told =
		calloc(1, sizeof(*told) + options->sets * CH_TOLD_WAYS * sizeof(struct place));

	if (!told)
		return CH_ENOMEM;
	told->options = *options;
	*ret_told = told;
	return CH_OK;
}

void ch_told_free(struct ch_told *told)
{
	free(told);
}

static uint64_t hash_of(const struct ch_told *told, const char *name, size_t len)
{
	uint64_t hash = ch_hot_hash(told->options.seed, name, len);

	return hash ? hash : 1;
}

static size_t set_of(const struct ch_told *told, uint64_t hash)
{
	return (size_t)(hash % told->options.sets) * CH_TOLD_WAYS;
}

bool ch_told_has(const struct ch_told *told, const char *name, size_t len, int64_t now_ms)
{
	uint64_t hash = hash_of(told, name, len);
	const struct place *set = told->places + set_of(told, hash);

	for (unsigned i = 0; i < CH_TOLD_WAYS; i++)
		if (set[i].hash == hash)
			return now_ms - set[i].told_ms < told->options.span_ms;
	return false;
}

void ch_told_note(struct ch_told *told, const char *name, size_t len, int64_t now_ms)
{
	uint64_t hash = hash_of(told, name, len);
	struct place *set = told->places + set_of(told, hash);
	struct place *oldest = set;

	for (unsigned i = 0; i < CH_TOLD_WAYS; i++) {
		if (set[i].hash == hash || !set[i].hash) {
			oldest = &set[i];
			break;
		}
		if (set[i].told_ms < oldest->told_ms)
			oldest = &set[i];
	}
	*oldest = (struct place){.hash = hash, .told_ms = now_ms};
}
