#include "edge/keytable.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"
#include "crypto/keys.h"

#define IDENTIFIED_MAX_B 512u
/* So often a scalar counts as used: as many evictions from each of its set's places it
 * outlasts without another use. */
#define USES_MAX 3u

struct slot { /* all zero: free */
	uint64_t hash;
	uint8_t id[CH_KEYTABLE_ID_B];
	uint8_t scalar[CH_KEYTABLE_SCALAR_B];
	uint32_t used_s;
	uint8_t uses;
	uint8_t taken;
	uint8_t turn; /* of the set's first slot, free or not: whose uses are lowered next */
	uint8_t unused;
};

_Static_assert(sizeof(struct slot) == CH_KEYTABLE_SLOT_B, "a line of the processor's cache");
_Static_assert(CH_KEYTABLE_SCALAR_B + 1 == CH_KEY_BLOCK_B, "the scalar of a P-256 key");

struct ch_keytable {
	struct slot *slots; /* NULL: there are none */
	size_t map_b;
	size_t sets;
	size_t entries;
	size_t tidied; /* the next set */
	uint32_t idle_s;
	uint8_t secret[CH_KEYTABLE_SECRET_B];
};

static int map_slots(struct ch_keytable *table, size_t bound_b)
{
	size_t page_b = (size_t)sysconf(_SC_PAGESIZE);
	size_t map_b = bound_b / page_b * page_b;

	if (map_b == 0)
		return CH_OK;
	table->slots =
		mmap(NULL, map_b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table->slots == MAP_FAILED) {
		table->slots = NULL;
		return CH_ENOMEM;
	}
	table->map_b = map_b;
	table->sets = map_b / (CH_KEYTABLE_WAYS * sizeof(struct slot));
	/* Not every kernel has the second.  Huge pages would take memory for names that nobody
	 * has asked for. */
	(void)madvise(table->slots, map_b, MADV_DONTDUMP);
	(void)madvise(table->slots, map_b, MADV_WIPEONFORK);
	(void)madvise(table->slots, map_b, MADV_NOHUGEPAGE);
	return CH_OK;
}

int ch_keytable_new(const struct ch_keytable_options *options, struct ch_keytable **ret_table)
{
	struct ch_keytable *table = calloc(1, sizeof(*table));
	int rc;

	if (!table)
		return CH_ENOMEM;
	rc = map_slots(table, options->bound_b);
	if (rc) {
		free(table);
		return rc;
	}
	table->idle_s = options->idle_s;
	memcpy(table->secret, options->secret, sizeof(table->secret));
	*ret_table = table;
	return CH_OK;
}

static struct slot *set_of(const struct ch_keytable *table, size_t number)
{
	return table->slots + number * CH_KEYTABLE_WAYS;
}

static void wipe(struct ch_keytable *table, struct slot *slot)
{
	uint8_t turn = slot->turn;

	ch_wipe(slot, sizeof(*slot));
	slot->turn = turn;
	table->entries--;
}

void ch_keytable_free(struct ch_keytable *table)
{
	if (!table)
		return;
	/* Only what was written: to wipe it all would make pages of those that never were. */
	for (size_t i = 0; i < table->sets * CH_KEYTABLE_WAYS; i++) {
		if (table->slots[i].taken)
			wipe(table, &table->slots[i]);
	}
	if (table->slots)
		(void)munmap(table->slots, table->map_b);
	ch_wipe(table, sizeof(*table));
	free(table);
}

int ch_keytable_identify(const struct ch_keytable *table, const void *bytes, size_t len,
	uint8_t ret_id[CH_KEYTABLE_ID_B])
{
	uint8_t text[CH_KEYTABLE_SECRET_B + IDENTIFIED_MAX_B];
	uint8_t digest[CH_SHA256_B];
	int rc;

	if (len > IDENTIFIED_MAX_B)
		return CH_ETOOBIG;
	/* No key that is put before makes SHA-256 a MAC for texts of which one begins with
	 * another; nobody learns an identity, to go on from it. */
	memcpy(text, table->secret, sizeof(table->secret));
	memcpy(text + sizeof(table->secret), bytes, len);
	rc = ch_sha256(text, sizeof(table->secret) + len, digest);
	ch_wipe(text, sizeof(table->secret));
	if (rc)
		return rc;
	memcpy(ret_id, digest, CH_KEYTABLE_ID_B);
	return CH_OK;
}

/* By the upper half of the hash: its lower bits choose the caller's buckets. */
static struct slot *place_of(const struct ch_keytable *table, uint64_t hash)
{
	return set_of(table, (size_t)((hash >> 32) * table->sets >> 32));
}

static struct slot *find(const struct ch_keytable *table, uint64_t hash)
{
	struct slot *set;

	if (table->sets == 0)
		return NULL;
	set = place_of(table, hash);
	for (unsigned i = 0; i < CH_KEYTABLE_WAYS; i++) {
		if (set[i].taken && set[i].hash == hash)
			return &set[i];
	}
	return NULL;
}

bool ch_keytable_get(struct ch_keytable *table, const struct ch_keytable_key *key,
	uint32_t now_s, uint8_t ret_scalar[CH_KEYTABLE_SCALAR_B])
{
	struct slot *slot = find(table, key->hash);

	if (!slot)
		return false;
	if (memcmp(slot->id, key->id, sizeof(slot->id)) != 0 ||
		now_s - slot->used_s > table->idle_s) {
		wipe(table, slot);
		return false;
	}
	memcpy(ret_scalar, slot->scalar, sizeof(slot->scalar));
	slot->used_s = now_s;
	if (slot->uses < USES_MAX)
		slot->uses++;
	return true;
}

static struct slot *make_room(struct ch_keytable *table, struct slot *set)
{
	struct slot *least = set;

	for (unsigned i = 0; i < CH_KEYTABLE_WAYS; i++) {
		if (!set[i].taken)
			return &set[i];
		if (set[i].uses < least->uses ||
			(set[i].uses == least->uses && set[i].used_s < least->used_s))
			least = &set[i];
	}
	wipe(table, least);
	if (set[set->turn].uses > 0)
		set[set->turn].uses--;
	set->turn = (uint8_t)((set->turn + 1) % CH_KEYTABLE_WAYS);
	return least;
}

void ch_keytable_put(struct ch_keytable *table, const struct ch_keytable_key *key,
	uint32_t now_s, const uint8_t scalar[CH_KEYTABLE_SCALAR_B])
{
	struct slot *slot = find(table, key->hash);

	if (table->sets == 0)
		return;
	if (slot)
		wipe(table, slot);
	else
		slot = make_room(table, place_of(table, key->hash));
	slot->hash = key->hash;
	memcpy(slot->id, key->id, sizeof(slot->id));
	memcpy(slot->scalar, scalar, sizeof(slot->scalar));
	slot->used_s = now_s;
	slot->taken = 1;
	table->entries++;
}

void ch_keytable_forget(struct ch_keytable *table, uint64_t hash)
{
	struct slot *slot = find(table, hash);

	if (slot)
		wipe(table, slot);
}

void ch_keytable_tidy(struct ch_keytable *table, uint32_t now_s, size_t sets)
{
	for (size_t n = 0; n < sets && n < table->sets; n++) {
		struct slot *set = set_of(table, table->tidied);

		table->tidied = (table->tidied + 1) % table->sets;
		for (unsigned i = 0; i < CH_KEYTABLE_WAYS; i++) {
			if (set[i].taken && now_s - set[i].used_s > table->idle_s)
				wipe(table, &set[i]);
		}
	}
}

size_t ch_keytable_sets(const struct ch_keytable *table)
{
	return table->sets;
}

size_t ch_keytable_entries(const struct ch_keytable *table)
{
	return table->entries;
}

size_t ch_keytable_size(const struct ch_keytable *table)
{
	return sizeof(*table) + table->map_b;
}
