/* A server that hangs while its host lives (stopped, a disk that does not answer) acknowledges
 * every packet: only who waits for the answer can notice. */
#ifndef CH_STORE_DB_POSTGRES_WAIT_H
#define CH_STORE_DB_POSTGRES_WAIT_H

#include <libpq-fe.h>
#include <stdint.h>

#include "base/err.h"

/* How long an answer may take; longer than the server gives a statement.  Tests shorten it,
 * while nothing is asked. */
extern int64_t ch_db_postgres_answer_ms;

/* Until PQgetResult would not wait.  CH_EAGAIN: the connection is lost; CH_ETIMEOUT: no answer
 * came, and so it was cut. */
CH_MUST int ch_db_postgres_await(PGconn *conn);

#endif
