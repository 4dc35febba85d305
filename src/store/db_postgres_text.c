/* What needs no connection. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/db_postgres.h"

/* Appendix A of PostgreSQL's documentation. */
int ch_db_postgres_rc(const char *state)
{
	static const struct {
		const char *prefix;
		int rc;
	} table[] = {
		{"53100", CH_EFULL},	/* disk_full */
		{"53200", CH_ENOMEM},	/* out_of_memory */
		{"53", CH_EAGAIN},	/* insufficient_resources */
		{"08", CH_EAGAIN},	/* connection_exception */
		{"40", CH_EAGAIN},	/* transaction_rollback */
		{"55P03", CH_EAGAIN},	/* lock_not_available */
		{"57", CH_EAGAIN},	/* operator_intervention */
		{"25006", CH_EAGAIN},	/* read_only_sql_transaction: a standby */
		{"25P03", CH_EAGAIN},	/* idle_in_transaction_session_timeout */
		{"54", CH_ETOOBIG},	/* program_limit_exceeded */
		{"XX001", CH_ECORRUPT}, /* data_corrupted */
		{"XX002", CH_ECORRUPT}, /* index_corrupted */
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(table); i++)
		if (strncmp(state, table[i].prefix, strlen(table[i].prefix)) == 0)
			return table[i].rc;
	return CH_EIO;
}

static const char *skip_word(const char *at, const char *word)
{
	size_t len = strlen(word);

	return strncmp(at, word, len) == 0 ? at + len : NULL;
}

/* "INDEXED BY x" forces an index that SQLite would not take. */
static const char *skip_hint(const char *at)
{
	const char *end = skip_word(at, "INDEXED BY ");

	return end ? end + strcspn(end, " ") : NULL;
}

char *ch_db_postgres_text(const char *sql)
{
	size_t room = 2 * strlen(sql) + 64;
	char *text = malloc(room);
	unsigned next = 1;
	bool quoted = false;
	size_t at = 0;

	if (!text)
		return NULL;
	while (*sql) {
		const char *hint = quoted ? NULL : skip_hint(sql);

		if (hint) {
			sql = hint;
			continue;
		}
		if (*sql == '\'')
			quoted = !quoted;
		if (*sql != '?' || quoted) {
			text[at++] = *sql++;
			continue;
		}
		sql++;
		if (*sql >= '0' && *sql <= '9')
			text[at++] = '$';
		else
			at += (size_t)snprintf(text + at, room - at, "$%u", next++);
	}
	text[at] = '\0';
	return text;
}

int ch_db_postgres_result_rc(const PGresult *result)
{
	const char *state;

	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_COPY_IN:
		return CH_OK;
	default:
		state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		return state ? ch_db_postgres_rc(state) : CH_EAGAIN;
	}
}

Oid ch_db_postgres_type(char letter)
{
	switch (letter) {
	case 't':
		return OID_TEXT;
	case 'b':
		return OID_BYTEA;
	case 'l':
		return OID_BOOL;
	default:
		return OID_INT8;
	}
}

void ch_db_postgres_value(
	const struct ch_db_arg *arg, uint64_t *number, const char **ret_value, int *ret_len)
{
	*number = htobe64((uint64_t)arg->i);
	if (arg->type == 'l')
		memset(number, arg->i != 0, 1);
	*ret_len = arg->type == 'i'   ? (int)sizeof(*number)
		   : arg->type == 'l' ? 1
				      : (int)arg->len;
	*ret_value = arg->is_null ? NULL : arg->bytes ? arg->bytes : (const char *)number;
}

int64_t ch_db_postgres_i64(const PGresult *result, int row, int col)
{
	const char *value = PQgetvalue(result, row, col);
	uint64_t n8;
	uint32_t n4;
	uint16_t n2;

	if (PQgetisnull(result, row, col))
		return 0;
	switch (PQftype(result, col)) {
	case OID_INT8:
		memcpy(&n8, value, sizeof(n8));
		return (int64_t)be64toh(n8);
	case OID_INT4:
		memcpy(&n4, value, sizeof(n4));
		return (int32_t)be32toh(n4);
	case OID_INT2:
		memcpy(&n2, value, sizeof(n2));
		return (int16_t)be16toh(n2);
	case OID_BOOL:
		return value[0] != 0;
	default:
		return 0;
	}
}
