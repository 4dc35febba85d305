/* The one place that decides what a name's policy may say (wire/record.h). */
#ifndef CH_WIRE_POLICY_H
#define CH_WIRE_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "wire/record.h"

#define CH_POLICY_TEXT_B 256 /* with the NUL */

/* The word of the API and of the database: "upstream", "hsts", "redirect"; NULL for a tag that
 * has none. */
const char *ch_policy_word(enum ch_policy_tag tag);

/* "" stands for the default and stays.  Otherwise
 *   upstream: 1 … 63 of a-z 0-9 . _ -
 *   hsts:     RFC 6797 section 6.1: "max-age=N", then "includeSubDomains" and "preload", in any
 *             case and order, separated by ";"
 *   redirect: "none" or a domain name, which is normalized
 * CH_EINVAL "bad-field" with a detail that says what to change. */
CH_MUST int ch_policy_normalize(enum ch_policy_tag tag, const char *text,
	char ret_text[CH_POLICY_TEXT_B], struct ch_err *err);

/* Whether a text has the form that ch_policy_normalize leaves: what edges check, since the
 * store's POLICY records are not signed.  text is not NUL-terminated; the tenant as upstream;
 * of redirect the syntax of a host name only, which needs no tables. */
bool ch_policy_is_normal(enum ch_policy_tag tag, const char *text, size_t len);

#endif
