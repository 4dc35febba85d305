#include "cli/kinds.h"

#include "acme/call.h"
#include "base/mem.h"
#include "wire/state.h"

#define X(id, word) word,
static const char *const keys[] = {CH_KEYS_LIST(X) NULL};
static const char *const states[] = {CH_NAME_STATE_LIST(X) NULL};
static const char *const actors[] = {CH_ACTOR_LIST(X) NULL};
static const char *const roles[] = {CH_ROLE_LIST(X) NULL};
static const char *const reasons[] = {CH_REVOKE_REASONS(X) NULL};
#undef X
/* Beside those of `fallback` in [issuer]. */
static const char *const cas[] = {"main", NULL};

const struct ch_opt_kind ch_cli_kinds[] = {
	{.name = "KEYS", .words = keys},
	{.name = "STATE", .words = states},
	{.name = "WHO", .words = actors},
	{.name = "ROLE", .words = roles},
	{.name = "REASON", .words = reasons},
	{.name = "CA", .words = cas, .open = true, .section = "issuer", .key = "fallback"},
	{.name = "CAS", .words = cas, .open = true, .section = "issuer", .key = "fallback"},
};
const size_t ch_cli_n_kinds = CH_ARRAY_LEN(ch_cli_kinds);
