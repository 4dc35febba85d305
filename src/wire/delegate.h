/* Where the TXT records of DNS challenges are: at the name itself, or delegated once by a CNAME
 * to a zone of the platform's. */
#ifndef CH_WIRE_DELEGATE_H
#define CH_WIRE_DELEGATE_H

#include "wire/name.h"

#define CH_CHALLENGE_LABEL "_acme-challenge."
/* What is put below the delegation zone: at most 63 and a full stop. */
#define CH_DELEGATE_LABEL_MAX 63

/* "_acme-challenge.shop.example", for *.shop.example too (RFC 8555 section 8.4).  CH_ETOOBIG:
 * the name has no room for it. */
CH_MUST int ch_delegate_owner(const char *name, char ret_owner[CH_NAME_TEXT_B]);

/* "shop-example-<hash>.acme.platform.example": always the same for a name and its wildcard,
 * and another one for every other name. */
CH_MUST int ch_delegate_target(
	const char *name, const char *zone, char ret_target[CH_NAME_TEXT_B]);

/* A zone to delegate to: a host name, room for the label left.  Lower case, without the last
 * full stop.  CH_EINVAL. */
CH_MUST int ch_delegate_zone(const char *text, char ret_zone[CH_NAME_TEXT_B]);

#endif
