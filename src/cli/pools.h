/* Pools that names were given on the command line or by a file. */
#ifndef CH_CLI_POOLS_H
#define CH_CLI_POOLS_H

#include "cli/client.h"

/* pools: an object with their names, of which those with an edge are taken out; told on stderr
 * are the others.  A pool that was misspelt takes names as any other does, and nobody serves
 * them.  Whoever may not see edges is told nothing. */
void ch_pools_warn(struct ch_client *client, json_t *pools);

#endif
