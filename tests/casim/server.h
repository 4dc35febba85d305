/* The two faces: ACME over HTTPS, management over HTTP. */
#ifndef CASIM_SERVER_H
#define CASIM_SERVER_H

#include "reply.h"

/* "127.0.0.1:14000"; the files are PEM. */
void sim_server_start(
	struct sim *sim, const char *listen, const char *cert_file, const char *key_file);
void sim_manage_start(struct sim *sim, const char *listen);

/* One management request; with the lock held. */
void sim_manage(struct sim_req *req, struct sim_reply *reply);

#endif
