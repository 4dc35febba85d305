/* What is answered to a request: who may see anything, and which page it is.  Knows no sockets.
 *
 * On loopback everybody on this machine can connect, and a web page of anybody can make the
 * operator's browser do so.  So: the Host must be ours (a name that was made to point here is
 * refused); who comes first brings the token that was printed, and gets a cookie for it.
 * Cookies do not know ports, so that another server on this machine could be sent ours: it
 * holds for a path only that nobody else knows. */
#ifndef CH_UI_APP_H
#define CH_UI_APP_H

#include "ui/pages.h"

#define CH_UI_SECRET_TEXT_B 44 /* 32 bytes as base64url, and a NUL */
#define CH_UI_URI_MAX_B 4096u
#define CH_UI_COOKIE "certherd-ui"

struct ch_ui_app {
	char token[CH_UI_SECRET_TEXT_B];   /* in the address that is printed */
	char session[CH_UI_SECRET_TEXT_B]; /* in the cookie */
	char root[CH_UI_SECRET_TEXT_B + 1];
	char address[64]; /* that it listens on: "127.0.0.1:8420" */
	unsigned port;
};

/* Draws the secrets. */
CH_MUST int ch_ui_app_init(
	struct ch_ui_app *app, const char *address, unsigned port, struct ch_err *err);
/* Wipes them. */
void ch_ui_app_done(struct ch_ui_app *app);

struct ch_ui_request { /* all borrowed; headers that are not there: NULL */
	const char *method;
	const char *uri; /* as it was sent; NULL: longer than CH_UI_URI_MAX_B */
	const char *host;
	const char *cookie;
	const char *fetch_site; /* Sec-Fetch-Site */
};

#define CH_UI_CSP                                                                              \
	"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "          \
	"frame-ancestors 'none'"

struct ch_ui_reply {
	int status;
	bool known;	  /* who asks has shown the cookie, or the token */
	const char *type; /* of the body */
	char location[CH_UI_SECRET_TEXT_B + 2];	       /* "" for none */
	char set_cookie[2 * CH_UI_SECRET_TEXT_B + 80]; /* "" for none */
	struct ch_html html;			       /* the body */
};

void ch_ui_reply_init(struct ch_ui_reply *reply);
void ch_ui_reply_done(struct ch_ui_reply *reply);
/* Fills the reply in whatever comes, and asks no store; when memory is out, reply->html.buf.rc
 * says so.  False: it is a page that the store must be asked for, and who asks may see it:
 * ch_ui_app_show makes it. */
CH_MUST bool ch_ui_app_answer(const struct ch_ui_app *app, const struct ch_ui_request *request,
	struct ch_ui_reply *reply);
/* uri: of that request. */
void ch_ui_app_show(const struct ch_ui_app *app, const struct ch_ui_store *store,
	const char *uri, struct ch_ui_reply *reply);

#endif
