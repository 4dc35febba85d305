#include "issuerd/dns_write.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/mem.h"
#include "issuerd/hook.h"

#define EXCHANGE_MS (10 * CH_SECOND_MS)
#define LONGEST_MESSAGE_B 2048
#define SILENT_MS (5 * CH_SECOND_MS)

/* What it does, it does as we: with the account's key at hand. */
int ch_dns_writer_init(struct ch_dns_writer *writer, struct ch_err *err)
{
	const struct ch_dns_config *config = writer->config;

	pthread_mutex_init(&writer->lock, NULL);
	if (config->method == CH_DNS_METHOD_HOOK)
		return ch_hook_check(config->hook, "dns", err);
	if (config->method != CH_DNS_METHOD_RFC2136)
		return CH_OK;
	strcpy(writer->key.name, config->tsig_name);
	writer->key.algorithm = config->tsig_algorithm;
	return ch_tsig_secret_read(config->tsig_key_file, &writer->key.secret, err);
}

void ch_dns_writer_done(struct ch_dns_writer *writer)
{
	ch_secret_free(writer->key.secret);
	pthread_mutex_destroy(&writer->lock);
}

static int random_id(uint16_t *ret_id, struct ch_err *err)
{
	if (RAND_bytes((unsigned char *)ret_id, sizeof(*ret_id)) == 1)
		return CH_OK;
	return ch_err_set(
		err, CH_ECRYPTO, "dns-update-failed", "No random numbers for the message.");
}

static int ask(struct ch_dns_writer *writer, const struct ch_dns_server *server,
	const struct ch_buf *message, struct ch_buf *out, struct ch_err *err)
{
	ch_buf_reset(out);
	return ch_dns_tcp_ask(
		server, message, EXCHANGE_MS, writer->canceled, writer->arg, out, err);
}

/* The zone as the server has it: RFC 2136 changes one that is named. */
static int find_zone(struct ch_dns_writer *writer, const struct ch_dns_server *server,
	const char *target, char ret_zone[CH_DNS_NAME_B], struct ch_err *err)
{
	CH_AUTO_BUF struct ch_buf message;
	CH_AUTO_BUF struct ch_buf out;
	bool authoritative = false;
	uint16_t id;
	int rc = random_id(&id, err);

	ch_buf_init(&message, LONGEST_MESSAGE_B);
	ch_buf_init(&out, CH_DNS_TCP_ANSWER_MAX_B);
	if (rc == CH_OK && ch_dns_query_build(id, target, CH_DNS_SOA, &message))
		return ch_err_set(err, CH_EAUTH, "dns-zone-unknown",
			"%s cannot be written as a name of the DNS.", target);
	if (rc == CH_OK)
		rc = ask(writer, server, &message, &out, err);
	if (rc)
		return rc;
	rc = ch_dns_message_read_zone(out.data, out.len, target, ret_zone, &authoritative);
	if (rc || !authoritative)
		return ch_err_set(err, CH_EAUTH, "dns-zone-unknown",
			"The DNS server %s has no zone that %s lies in: see servers, zones and "
			"delegate.",
			server->address, target);
	return CH_OK;
}

static int update(struct ch_dns_writer *writer, const struct ch_dns_server *server,
	const struct ch_dns_txt *txt, bool remove, struct ch_err *err)
{
	const char *configured = ch_dns_config_zone(writer->config, txt->target);
	char zone[CH_DNS_NAME_B];
	struct ch_dns_update change = {.zone = configured ? configured : zone,
		.owner = txt->target,
		.value = txt->value,
		.ttl_s = writer->config->ttl_s,
		.remove = remove,
		.now_s = ch_now_ms() / CH_SECOND_MS};
	CH_AUTO_BUF struct ch_buf message;
	CH_AUTO_BUF struct ch_buf out;
	struct ch_tsig_mac mac;
	int rc = random_id(&change.id, err);

	ch_buf_init(&message, LONGEST_MESSAGE_B);
	ch_buf_init(&out, CH_DNS_TCP_ANSWER_MAX_B);
	if (rc == CH_OK && !configured)
		rc = find_zone(writer, server, txt->target, zone, err);
	if (rc)
		return rc;
	rc = ch_dns_update_build(&change, &writer->key, &message, &mac);
	if (rc)
		return ch_err_set(err, CH_EAUTH, "dns-update-refused",
			"%s cannot be written as a name of the DNS.", txt->target);
	rc = ask(writer, server, &message, &out, err);
	return rc ? rc
		  : ch_dns_update_read(out.data, out.len, &change, &writer->key, &mac, err);
}

static bool is_silent(int rc)
{
	return rc == CH_ENETWORK || rc == CH_ETIMEOUT;
}

static bool was_silent(struct ch_dns_writer *writer, struct ch_err *err)
{
	bool silent;

	pthread_mutex_lock(&writer->lock);
	silent = ch_mono_ms() < writer->silent_until_ms;
	if (silent)
		*err = writer->silent;
	pthread_mutex_unlock(&writer->lock);
	return silent;
}

static void note_silent(struct ch_dns_writer *writer, int rc, struct ch_err *err)
{
	struct ch_err why = *err;

	(void)ch_err_set(err, rc, "dns-update-unreachable", "The DNS cannot be changed: %s.",
		why.detail);
	pthread_mutex_lock(&writer->lock);
	writer->silent = *err;
	writer->silent_until_ms = ch_mono_ms() + SILENT_MS;
	pthread_mutex_unlock(&writer->lock);
}

static int update_any(struct ch_dns_writer *writer, const struct ch_dns_txt *txt, bool remove,
	struct ch_err *err)
{
	const struct ch_dns_config *config = writer->config;
	int rc = CH_ENETWORK;

	if (was_silent(writer, err))
		return err->rc;
	for (size_t i = 0; i < config->n_servers && is_silent(rc); i++)
		rc = update(writer, &config->servers[i], txt, remove, err);
	if (is_silent(rc))
		note_silent(writer, rc, err);
	return rc;
}

int ch_dns_writer_write(struct ch_dns_writer *writer, const struct ch_dns_txt *txt, bool remove,
	struct ch_err *err)
{
	const struct ch_dns_config *config = writer->config;
	const struct ch_hook hook = {.program = config->hook,
		.verb = remove ? "cleanup" : "present",
		.args = {txt->target, txt->value},
		.failed = "dns-hook-failed",
		.timeout = "dns-hook-timeout",
		.timeout_ms = config->hook_timeout_ms,
		.canceled = writer->canceled,
		.arg = writer->arg};
	int rc;

	if (config->method == CH_DNS_METHOD_HOOK)
		rc = ch_hook_run(&hook, err);
	else
		rc = update_any(writer, txt, remove, err);
	if (rc)
		err->actor = CH_ACTOR_PLATFORM;
	return rc;
}
