/* Faults by percentage. */
#ifndef CASIM_FAULT_H
#define CASIM_FAULT_H

#include "routes.h"

/* The nonce is to be refused.  With the lock. */
bool sim_fault_bad_nonce(struct sim *sim);
/* Without the lock: before the request is acted upon.  True: it is not, the reply is made. */
bool sim_fault_before(struct sim *sim, struct sim_reply *reply);
/* After it: the answer may get lost. */
void sim_fault_after(struct sim *sim, struct sim_reply *reply);

#endif
