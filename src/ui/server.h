/* The pages over HTTP on loopback.
 *
 * One thread has the connections and waits for nobody: what needs no store it answers itself.
 * Pages that do are made by a few more, each with a store of its own to ask, so that one that
 * hangs holds up nothing but these.  Of connections that have not shown the cookie or the token
 * there are so many at most, for a short time each, and the oldest has to go for the newest
 * (net/strangers.h): others on this machine cannot take the operator's place. */
#ifndef CH_UI_SERVER_H
#define CH_UI_SERVER_H

#include "ui/app.h"

struct ch_ui_server;

/* What a page may take, from when it was asked for: the store is given up then. */
#define CH_UI_PAGE_MS (15 * CH_SECOND_MS)
#define CH_UI_STORES_MAX 8u

struct ch_ui_server_options {
	const char *listen; /* "127.0.0.1:0"; another address than loopback is refused */
	/* Each is asked by one thread at a time, and so many pages are made at once.  The one
	 * that was asked last is taken first.  Copied; what their arg is outlives the server.
	 */
	const struct ch_ui_store *stores;
	size_t n_stores; /* 1 … CH_UI_STORES_MAX */
};
/* Block signals before: its threads take none.  CH_EINVAL: no address of loopback; CH_EIO: the
 * port cannot be had. */
CH_MUST int ch_ui_server_start(const struct ch_ui_server_options *options,
	struct ch_ui_server **ret_server, struct ch_err *err);
/* Waits for the pages that are being made: have the stores give up before.  NULL allowed. */
void ch_ui_server_stop(struct ch_ui_server *server);
/* With its token and its address; borrowed. */
const struct ch_ui_app *ch_ui_server_app(const struct ch_ui_server *server);

#endif
