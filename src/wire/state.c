#include "wire/state.h"

#include <string.h>

#include "base/mem.h"

#define X(name, text) text,
static const char *const name_states[] = {CH_NAME_STATE_LIST(X)};
static const char *const order_states[] = {CH_ORDER_STATE_LIST(X)};
static const char *const key_types[] = {CH_KEY_TYPE_LIST(X)};
static const char *const keys[] = {CH_KEYS_LIST(X)};
static const char *const roles[] = {CH_ROLE_LIST(X)};
#undef X

static int find(const char *const *words, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], text) == 0)
			return (int)i;
	return CH_EINVAL;
}

#define DEFINE_WORDS(type, words, prefix)                                                      \
	const char *prefix##_str(enum type v)                                                  \
	{                                                                                      \
		return (unsigned)v < CH_ARRAY_LEN(words) ? words[v] : "unknown";               \
	}                                                                                      \
	int prefix##_parse(const char *text, enum type *ret)                                   \
	{                                                                                      \
		int i = find(words, CH_ARRAY_LEN(words), text);                                \
                                                                                               \
		if (i < 0)                                                                     \
			return i;                                                              \
		*ret = (enum type)i;                                                           \
		return CH_OK;                                                                  \
	}

DEFINE_WORDS(ch_name_state, name_states, ch_name_state)
DEFINE_WORDS(ch_order_state, order_states, ch_order_state)
DEFINE_WORDS(ch_key_type, key_types, ch_key_type)
DEFINE_WORDS(ch_keys, keys, ch_keys)
DEFINE_WORDS(ch_role, roles, ch_role)
