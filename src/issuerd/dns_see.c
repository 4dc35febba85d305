/* Whether a record is there to be seen: at the servers that a CA's resolver would ask. */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/mem.h"
#include "issuerd/dns_write.h"

#define LOOK_MS (3 * CH_SECOND_MS)
#define KNOWN_FOR_MS (5 * CH_MINUTE_MS)
/* A server that was silent is not waited for again so soon. */
#define SILENT_MS CH_MINUTE_MS
#define MESSAGE_MAX_B 512

enum seen { SEEN, NOT_SEEN, SILENT };

static bool has_value(const struct ch_dns_answer *answer, const char *value)
{
	for (size_t i = 0; i < answer->n; i++)
		if (!answer->texts[i].cut && strcmp(answer->texts[i].value, value) == 0)
			return true;
	return answer->n_over > 0; /* one that was not looked at may be it */
}

static enum seen look(struct ch_dns_writer *writer, const struct ch_dns_server *server,
	const struct ch_dns_txt *txt)
{
	CH_AUTO_BUF struct ch_buf message;
	CH_AUTO_BUF struct ch_buf out;
	CH_AUTO_FREE struct ch_dns_answer *answer = malloc(sizeof(*answer));
	struct ch_err err;
	uint16_t id;

	ch_buf_init(&message, MESSAGE_MAX_B);
	ch_buf_init(&out, CH_DNS_TCP_ANSWER_MAX_B);
	if (!answer || RAND_bytes((unsigned char *)&id, sizeof(id)) != 1 ||
		ch_dns_query_build(id, txt->target, CH_DNS_TXT, &message))
		return NOT_SEEN;
	if (ch_dns_tcp_ask(
		    server, &message, LOOK_MS, writer->canceled, writer->arg, &out, &err))
		return SILENT;
	if (ch_dns_message_read(out.data, out.len, txt->target, CH_DNS_TXT, answer))
		return NOT_SEEN;
	return has_value(answer, txt->value) ? SEEN : NOT_SEEN;
}

static void add_server(
	struct ch_dns_zone_servers *to, const char *address, bool any, struct ch_dns_writer *w)
{
	if (to->n == CH_DNS_ZONE_SERVERS_MAX || (!any && !w->may_ask(address)))
		return;
	snprintf(to->list[to->n].address, sizeof(to->list[0].address), "%s", address);
	to->list[to->n++].port = 53;
}

/* The addresses of the servers that answer names; waits for the resolvers. */
static void find_servers(struct ch_dns_writer *writer, const char *parent, bool any,
	const struct ch_dns_answer *answer, struct ch_dns_zone_servers *ret)
{
	CH_AUTO_FREE struct ch_dns_answer *one = malloc(sizeof(*one));

	memset(ret, 0, sizeof(*ret));
	strcpy(ret->parent, parent);
	ret->until_ms = ch_mono_ms() + KNOWN_FOR_MS;
	for (size_t i = 0; one && i < answer->n; i++) {
		const enum ch_dns_type types[] = {CH_DNS_A, CH_DNS_AAAA};

		for (size_t t = 0; t < CH_ARRAY_LEN(types); t++) {
			if (ch_dns_look(writer->dns, answer->texts[i].value, types[t], one))
				continue;
			for (size_t j = 0; j < one->n; j++)
				add_server(ret, one->addresses[j], any, writer);
		}
	}
}

/* Of names right below `parent`: one deeper may lie in a zone of its own. */
static bool get_known(
	struct ch_dns_writer *writer, const char *parent, struct ch_dns_zone_servers *ret)
{
	bool found = false;

	pthread_mutex_lock(&writer->lock);
	for (size_t i = 0; i < CH_DNS_KNOWN_ZONES && !found; i++) {
		const struct ch_dns_zone_servers *one = &writer->known[i];

		found = one->until_ms > ch_mono_ms() && strcmp(one->parent, parent) == 0;
		if (found)
			*ret = *one;
	}
	pthread_mutex_unlock(&writer->lock);
	return found;
}

static void keep_known(struct ch_dns_writer *writer, const struct ch_dns_zone_servers *servers)
{
	size_t at = CH_DNS_KNOWN_ZONES;

	pthread_mutex_lock(&writer->lock);
	for (size_t i = 0; i < CH_DNS_KNOWN_ZONES; i++)
		if (strcmp(writer->known[i].parent, servers->parent) == 0)
			at = i;
	if (at == CH_DNS_KNOWN_ZONES)
		at = writer->next_known++ % CH_DNS_KNOWN_ZONES;
	writer->known[at] = *servers;
	pthread_mutex_unlock(&writer->lock);
}

/* The innermost name above target that has name servers. */
static int servers_of(struct ch_dns_writer *writer, const char *target,
	struct ch_dns_zone_servers *ret, struct ch_err *err)
{
	bool ours = ch_dns_config_is_ours(writer->config, target);
	CH_AUTO_FREE struct ch_dns_answer *answer = malloc(sizeof(*answer));
	const char *parent = strchr(target, '.');

	if (!answer)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	/* What strangers' names lead to is not remembered for others. */
	if (ours && parent && get_known(writer, parent + 1, ret))
		return CH_OK;
	for (const char *zone = parent; zone; zone = strchr(zone + 1, '.')) {
		if (writer->canceled(writer->arg))
			return ch_err_set(err, CH_ECANCELED, "stopping", "stopping");
		if (ch_dns_look(writer->dns, zone + 1, CH_DNS_NS, answer) ||
			answer->status == CH_DNS_TIMEOUT || answer->status == CH_DNS_CANCELED)
			return ch_err_set(err, CH_EAGAIN, "dns-not-visible",
				"The resolvers do not tell the name servers of %s.", zone + 1);
		if (answer->status != CH_DNS_FOUND || answer->n_chain)
			continue;
		find_servers(writer, parent + 1, ours, answer, ret);
		if (ret->n == 0)
			return ch_err_set(err, CH_EAGAIN, "dns-not-visible",
				"The name servers of %s have no address that can be asked.",
				zone + 1);
		if (ours)
			keep_known(writer, ret);
		return CH_OK;
	}
	return ch_err_set(err, CH_EAGAIN, "dns-not-visible",
		"No name servers were found for %s.", target);
}

static int ask_all(struct ch_dns_writer *writer, const struct ch_dns_txt *txt,
	struct ch_dns_zone_servers *servers, struct ch_err *err)
{
	size_t n_seen = 0;
	bool changed = false;

	for (size_t i = 0; i < servers->n; i++) {
		enum seen seen = servers->silent_until_ms[i] > ch_mono_ms()
					 ? SILENT
					 : look(writer, &servers->list[i], txt);

		if (writer->canceled(writer->arg))
			return ch_err_set(err, CH_ECANCELED, "stopping", "stopping");
		if (seen == NOT_SEEN)
			return ch_err_set(err, CH_EAGAIN, "dns-not-visible",
				"The DNS server %s does not show the TXT record of %s that was "
				"written.",
				servers->list[i].address, txt->target);
		n_seen += seen == SEEN;
		if (seen == SILENT && servers->silent_until_ms[i] <= ch_mono_ms()) {
			servers->silent_until_ms[i] = ch_mono_ms() + SILENT_MS;
			changed = true;
		}
	}
	if (changed && servers->parent[0] && ch_dns_config_is_ours(writer->config, txt->target))
		keep_known(writer, servers);
	return n_seen ? CH_OK
		      : ch_err_set(err, CH_EAGAIN, "dns-not-visible",
				"None of the %zu DNS servers answers that should show the TXT "
				"record of %s.",
				servers->n, txt->target);
}

int ch_dns_writer_see(
	struct ch_dns_writer *writer, const struct ch_dns_txt *txt, struct ch_err *err)
{
	const struct ch_dns_config *config = writer->config;
	struct ch_dns_zone_servers servers = {.n = config->n_check_servers};
	int rc = CH_OK;

	if (config->check == CH_DNS_CHECK_OFF)
		return CH_OK;
	if (config->check == CH_DNS_CHECK_SERVERS)
		memcpy(servers.list, config->check_servers, sizeof(config->check_servers));
	else
		rc = servers_of(writer, txt->target, &servers, err);
	if (rc == CH_OK)
		rc = ask_all(writer, txt, &servers, err);
	if (rc)
		err->actor = CH_ACTOR_PLATFORM;
	return rc;
}
