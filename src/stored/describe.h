/* What the API consists of, as the server has it: for the tests that hold doc/openapi.yaml
 * against it (`certherd store --describe`). */
#ifndef CH_STORED_DESCRIBE_H
#define CH_STORED_DESCRIBE_H

#include <stdio.h>

#include "base/err.h"

/* Prints JSON: {"routes":[{"method","path","roles":[…],"body":"none"|"optional"|"required",
 * "body_max":bytes,"query":[…],"summary"}…],"problems":[{"code","status","title"}…],
 * "words":{"domain_state":[…],"order_state":[…],"actor":[…],"role":[…]}}.  A route without
 * roles is open to anybody.  CH_ENOMEM, CH_EIO. */
CH_MUST int ch_describe_print(FILE *out);

#endif
