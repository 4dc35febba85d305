/* Answers that no CA should give, for the names for which a test has ordered them, or for all
 * requests of a route. */
#ifndef CASIM_HOSTILE_H
#define CASIM_HOSTILE_H

#include "routes.h"

/* Makes of a good answer what was ordered for this route: README.md.  With the lock. */
void sim_hostile(struct sim *sim, const struct sim_route *route, struct sim_reply *reply);

#endif
