/* Which values the options of all commands take. */
#ifndef CH_CLI_KINDS_H
#define CH_CLI_KINDS_H

#include "base/opts_words.h"

extern const struct ch_opt_kind ch_cli_kinds[];
extern const size_t ch_cli_n_kinds;

#endif
