/* What is told of pools: by `certherd feed` and `certherd status`. */
#ifndef CH_CLI_FEED_H
#define CH_CLI_FEED_H

#include <jansson.h>

/* Each freeze, and each canary that holds something back, with what lets it go. */
void ch_feed_print_brakes(const json_t *pools);
/* A pool, whether anything is held back or not. */
void ch_feed_print_pool(const json_t *pool);

/* feed_show.c */
int ch_feed_show_main(int argc, char **argv);

#endif
