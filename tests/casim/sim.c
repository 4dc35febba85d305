#include "sim.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

const char *sim_status_str(enum sim_status status)
{
	static const char *const words[] = {"pending", "processing", "ready", "valid",
		"invalid", "deactivated", "expired", "revoked"};

	return words[status];
}

void sim_list_add(struct sim_list *list, void *item)
{
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->items = reallocarray(list->items, list->room, sizeof(void *));
		SIM_NEED(list->items);
	}
	list->items[list->n++] = item;
}

int64_t sim_now_ms(const struct sim *sim)
{
	return sim->clock_stopped_ms ? sim->clock_stopped_ms
				     : ch_now_ms() + sim->clock_offset_ms;
}

const char *sim_time(int64_t at_ms, char ret_text[CH_TIME_STR_B])
{
	ch_time_str(at_ms, ret_text);
	strcpy(ret_text + 19, "Z");
	return ret_text;
}

void sim_count(struct sim *sim, const char *group, const char *what)
{
	json_t *list = json_object_get(sim->counts, group);

	if (!list) {
		list = json_object();
		json_object_set_new(sim->counts, group, list);
	}
	json_object_set_new(
		list, what, json_integer(json_integer_value(json_object_get(list, what)) + 1));
}

void sim_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("casim: ", stderr);
	vfprintf(stderr, fmt, args);
	fputs("\n", stderr);
	va_end(args);
	exit(1);
}

char *sim_copy(const char *text)
{
	char *copy = strdup(text);

	SIM_NEED(copy);
	return copy;
}

void sim_token(char ret_token[SIM_TOKEN_B])
{
	uint8_t bytes[32];

	SIM_NEED(RAND_bytes(bytes, sizeof(bytes)) == 1);
	ch_b64u_encode(bytes, sizeof(bytes), ret_token);
}

bool sim_chance(double percent)
{
	uint32_t random;

	if (percent <= 0)
		return false;
	SIM_NEED(RAND_bytes((uint8_t *)&random, sizeof(random)) == 1);
	return (double)random / 4294967296.0 * 100 < percent;
}
