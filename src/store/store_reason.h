/* Why a name, an order or a certificate is where it is: a part of store.h. */
#ifndef CH_STORE_REASON_H
#define CH_STORE_REASON_H

#include "base/err.h"

struct ch_store_reason {
	const char *code;   /* "ok", "wrong-answer", … */
	const char *detail; /* one sentence */
	enum ch_actor actor;
};

#endif
