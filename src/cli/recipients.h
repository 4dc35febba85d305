/* Whose the ids are that certificates' keys are sealed to, as far as this host knows: the store
 * does not, and who has the private halves is known on the edges only. */
#ifndef CH_CLI_RECIPIENTS_H
#define CH_CLI_RECIPIENTS_H

#include "base/buf.h"
#include "base/conf.h"
#include "crypto/keys.h"

#define CH_RECIPIENT_NOTE_B 80

/* The issuer's file of recipients. */
struct ch_known_recipients {
	const char *path; /* borrowed */
	struct ch_recipients all;
	/* The comment in the line above each: for people; "": none. */
	char notes[CH_RECIPIENTS_MAX][CH_RECIPIENT_NOTE_B];
};

/* Where the configuration has it; borrowed from conf. */
const char *ch_known_recipients_path(struct ch_conf *conf);
CH_MUST int ch_known_recipients_load(
	const char *path, struct ch_known_recipients *ret_known, struct ch_err *err);
/* "issuer/recipients:3 (edge e1)", or that it is not there.  id: hex. */
void ch_known_recipients_find(
	const struct ch_known_recipients *known, const char *id, struct ch_buf *out);

/* certherd key recipients */
int ch_key_recipients_main(int argc, char **argv);

#endif
