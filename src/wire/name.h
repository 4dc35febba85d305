/* The one place that decides what a domain name is. */
#ifndef CH_WIRE_NAME_H
#define CH_WIRE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define CH_NAME_TEXT_B 254 /* 253 characters and a NUL: RFC 1035 section 3.1 in text form */

struct ch_name_rules {
	bool allow_wildcard;
};

/* Takes UTF-8 or A-labels of any case; white space is refused, one trailing dot is accepted and
 * dropped.  Yields lower-case A-labels: mapped by UTS 46 as browsers do, then held to IDNA 2008
 * alone (RFC 5891), so that symbols and emoji are refused.
 *
 * The error's problem is one of: name-empty, name-too-long, label-too-long, label-empty,
 * name-not-utf8, name-character, name-hyphen, name-idna, name-ip-literal, name-single-label,
 * name-public-suffix, name-wildcard, name-reserved (localhost, .local, .internal, .arpa,
 * .onion, .invalid; .test and .example are allowed for trials); its detail says what to
 * change. */
CH_MUST int ch_name_normalize(const char *text, size_t len, const struct ch_name_rules *rules,
	char ret_name[CH_NAME_TEXT_B], struct ch_err *err);

/* What a list of names is to begin with, in the ASCII form that lists are compared by.  ASCII
 * is taken as it is; labels that are given whole, with the dot after them (of any script), may
 * have other letters.  Of a label's beginning there is no ASCII form: "xn--" and its letters
 * come before what says where the others are, which is another for each label.  CH_EINVAL:
 * problem "prefix" says what to write instead, or as above. */
#define CH_NAME_PREFIX_B (2 * CH_NAME_TEXT_B)
CH_MUST int ch_name_prefix(
	const char *given, char ret_prefix[CH_NAME_PREFIX_B], struct ch_err *err);

/* For people: the U-label form of a normalized name (the name itself if it cannot be shown). */
void ch_name_display(const char *name, char *ret_text, size_t text_b);

/* The part of a normalized name that its holder has registered, by the Public Suffix List; a
 * name that has none stands for itself. */
CH_MUST int ch_name_registered(const char *name, char ret_domain[CH_NAME_TEXT_B]);

#endif
