/* dns-persist-01 (draft-ietf-acme-dns-persist): a standing TXT record, looked up at the name
 * server of the settings.  Read in another way than the issuer does, on purpose. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "net/dns_build.h"
#include "net/dns_message.h"
#include "net/dns_tcp.h"
#include "reply.h"
#include "validate.h"

enum { PARTS_MAX = 16, MESSAGE_MAX_B = 512, QUERY_ID = 0x5043 };

static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = 0;
	return text;
}

static bool is_met(const struct sim_task *task, char *record)
{
	bool account = false;
	bool wildcard = false;
	char *rest = record;
	char *part = strsep(&rest, ";");

	if (strcasecmp(trim(part), task->issuer_domain) != 0)
		return false;
	while ((part = strsep(&rest, ";"))) {
		char *value = strchr(part, '=');

		if (!value)
			return false;
		*value++ = 0;
		part = trim(part);
		value = trim(value);
		if (strcasecmp(part, "accounturi") == 0)
			account = strcmp(value, task->account_url) == 0;
		else if (strcasecmp(part, "policy") == 0)
			wildcard = strcasecmp(value, "wildcard") == 0;
		else if (strcasecmp(part, "persistuntil") == 0 && atoll(value) < time(NULL))
			return false;
	}
	return account && (wildcard || !task->wildcard);
}

json_t *sim_validate_persist(const struct sim_task *task)
{
	CH_AUTO_FREE struct ch_dns_answer *answer = calloc(1, sizeof(*answer));
	CH_AUTO_FREE char *owner = NULL;
	CH_AUTO_BUF struct ch_buf message;
	CH_AUTO_BUF struct ch_buf out;
	struct ch_dns_server server;
	struct ch_err err;

	ch_buf_init(&message, MESSAGE_MAX_B);
	ch_buf_init(&out, CH_DNS_TCP_ANSWER_MAX_B);
	SIM_NEED(answer && asprintf(&owner, "_validation-persist.%s", task->name) > 0);
	if (ch_dns_server_parse(task->dns, &server) ||
		ch_dns_query_build(QUERY_ID, owner, CH_DNS_TXT, &message) ||
		ch_dns_tcp_ask(&server, &message, task->timeout_ms, NULL, NULL, &out, &err) ||
		ch_dns_message_read(out.data, out.len, owner, CH_DNS_TXT, answer))
		return sim_problem_json(400, "dns", "TXT of %s cannot be looked up", owner);
	for (size_t i = 0; i < answer->n; i++)
		if (is_met(task, answer->texts[i].value))
			return NULL;
	return sim_problem_json(403, "unauthorized", "No fitting TXT record at %s", owner);
}
