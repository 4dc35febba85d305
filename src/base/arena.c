#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_B (16u * 1024u)
#define ALIGN_B 16u
#define DEFAULT_MAX_B (64u * 1024u * 1024u)

struct chunk {
	struct chunk *next;
	size_t size_b;
	size_t used_b;
	_Alignas(ALIGN_B) uint8_t bytes[];
};

struct ch_arena {
	struct chunk *head;
	size_t max_b;
	size_t total_b;
};

int ch_arena_new(size_t max_b, struct ch_arena **ret_arena)
{
	struct ch_arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return CH_ENOMEM;
	arena->max_b = max_b ? max_b : DEFAULT_MAX_B;
	*ret_arena = arena;
	return CH_OK;
}

void ch_arena_free(struct ch_arena *arena)
{
	if (!arena)
		return;
	while (arena->head) {
		struct chunk *next = arena->head->next;

		free(arena->head);
		arena->head = next;
	}
	free(arena);
}

static struct chunk *chunk_new(size_t size_b)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size_b);

	if (chunk)
		chunk->size_b = size_b;
	return chunk;
}

/* Large requests get a chunk of their own behind the head, so that the room that is left in
 * the head stays in use. */
static void *alloc_large(struct ch_arena *arena, size_t size_b)
{
	struct chunk *chunk = chunk_new(size_b);

	if (!chunk)
		return NULL;
	chunk->used_b = size_b;
	if (arena->head) {
		chunk->next = arena->head->next;
		arena->head->next = chunk;
	} else {
		arena->head = chunk;
	}
	return chunk->bytes;
}

void *ch_arena_alloc(struct ch_arena *arena, size_t size_b)
{
	struct chunk *head = arena->head;
	void *place;

	if (size_b > arena->max_b || arena->total_b > arena->max_b - size_b)
		return NULL;
	size_b = (size_b + ALIGN_B - 1) & ~(size_t)(ALIGN_B - 1);
	if (!size_b)
		size_b = ALIGN_B;
	if (size_b > CHUNK_B / 4) {
		place = alloc_large(arena, size_b);
		if (place)
			arena->total_b += size_b;
		return place;
	}
	if (!head || head->size_b - head->used_b < size_b) {
		head = chunk_new(CHUNK_B);
		if (!head)
			return NULL;
		head->next = arena->head;
		arena->head = head;
	}
	place = head->bytes + head->used_b;
	head->used_b += size_b;
	arena->total_b += size_b;
	return place;
}

void *ch_arena_array(struct ch_arena *arena, size_t n, size_t size_b)
{
	size_t total_b;

	if (__builtin_mul_overflow(n, size_b, &total_b))
		return NULL;
	return ch_arena_alloc(arena, total_b);
}

void *ch_arena_copy(struct ch_arena *arena, const void *bytes, size_t len)
{
	uint8_t *copy;

	if (len == SIZE_MAX)
		return NULL;
	copy = ch_arena_alloc(arena, len + 1);
	if (copy && len)
		memcpy(copy, bytes, len);
	return copy;
}

char *ch_arena_str(struct ch_arena *arena, const char *text)
{
	return text ? ch_arena_copy(arena, text, strlen(text)) : NULL;
}

char *ch_arena_fmt(struct ch_arena *arena, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = ch_arena_alloc(arena, (size_t)len + 1);
	if (!text)
		return NULL;
	va_start(args, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}
