/* The pages over HTTP on loopback. */
#ifndef CH_UI_SERVER_H
#define CH_UI_SERVER_H

#include "ui/app.h"

struct ch_ui_server;

/* What a page may take: the store is given up then. */
#define CH_UI_PAGE_MS (15 * CH_SECOND_MS)

struct ch_ui_server_options {
	const char *listen; /* "127.0.0.1:0"; another address than loopback is refused */
	const struct ch_ui_store *store; /* asked by one thread; outlives the server */
};
/* Block signals before: its thread takes none.  CH_EINVAL: no address of loopback; CH_EIO: the
 * port cannot be had. */
CH_MUST int ch_ui_server_start(const struct ch_ui_server_options *options,
	struct ch_ui_server **ret_server, struct ch_err *err);
/* NULL allowed. */
void ch_ui_server_stop(struct ch_ui_server *server);
/* With its token and its address; borrowed. */
const struct ch_ui_app *ch_ui_server_app(const struct ch_ui_server *server);

#endif
