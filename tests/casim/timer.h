/* Wakes suspended connections. */
#ifndef CASIM_TIMER_H
#define CASIM_TIMER_H

#include <microhttpd.h>
#include <stdint.h>

void sim_timer_init(void);
/* Suspends the connection for so long.  Only from one of its callbacks. */
void sim_timer_suspend(struct MHD_Connection *conn, int64_t ms);

#endif
