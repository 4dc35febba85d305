/* The configuration file: every getter on whatever parses, and what issuer and agent make of
 * their sections.  They open none of the files that it names: a group's name is all they look
 * up. */
#include <string.h>

#include "agentd/config.h"
#include "agentd/follow.h"
#include "base/clock.h"
#include "base/conf.h"
#include "fuzz.h"
#include "issuerd/config.h"

static unsigned n_issuers; /* accepted */
static unsigned n_agents;

static bool within(int64_t value, int64_t least, int64_t most)
{
	return value >= least && value <= most;
}

static int each(const char *item, void *arg)
{
	return *item ? CH_OK : CH_EINVAL;
}

static void ask_everything(struct ch_conf *conf)
{
	struct ch_err err = {0};

	(void)ch_conf_str(conf, "store", "database", "");
	(void)ch_conf_path(conf, "store", "cert", "pki/store.pem");
	(void)ch_conf_int(conf, "store", "threads", 4, 1, 64);
	(void)ch_conf_duration(conf, "store", "edge_timeout", "60s", 1, CH_DAY_MS);
	(void)ch_conf_bool(conf, "store", "flag", false);
	ch_conf_list(conf, "store", "listen", "", "anything", each, NULL);
	if (ch_conf_finish(conf, "store", &err))
		CH_FUZZ_CHECK(err.detail[0]);
}

static void check_api(const struct ch_api_options *api)
{
	CH_FUZZ_CHECK(within((int64_t)api->n_urls, 1, CH_API_URLS_MAX));
	for (size_t i = 0; i < api->n_urls; i++) {
		CH_FUZZ_CHECK(
			strnlen(api->urls[i], sizeof(api->urls[i])) < sizeof(api->urls[i]));
		CH_FUZZ_CHECK(strncmp(api->urls[i], "https://", 8) == 0);
	}
	CH_FUZZ_CHECK(api->http.cert_file && api->http.key_file && api->http.ca_file);
}

static void check_ca(const struct ch_ca_config *ca)
{
	CH_FUZZ_CHECK(ca->name && *ca->name && ca->directory && ch_acme_url_ok(ca->directory) &&
		      ca->directory_ca && ca->roots);
	CH_FUZZ_CHECK(ca->signup.n_contacts <= CH_ACME_CONTACTS_MAX);
	for (size_t i = 0; i < ca->signup.n_contacts; i++)
		CH_FUZZ_CHECK(ca->signup.contacts[i] == ca->contacts[i] && *ca->contacts[i]);
	CH_FUZZ_CHECK(!ca->signup.eab_kid == !*ca->eab_hmac_file);
	CH_FUZZ_CHECK(ca->account_key && ca->account_state);
}

static void read_issuer(struct ch_conf *conf)
{
	static struct ch_issuer_config c; /* large */
	struct ch_err err = {0};

	if (ch_issuer_config_read(conf, &c, &err)) {
		CH_FUZZ_CHECK(err.detail[0]);
		return;
	}
	n_issuers++;
	check_api(&c.store);
	CH_FUZZ_CHECK(within((int64_t)c.n_cas, 1, CH_CAS_MAX));
	for (size_t i = 0; i < c.n_cas; i++)
		check_ca(&c.cas[i]);
	CH_FUZZ_CHECK(c.signing_key && c.recipients);
	CH_FUZZ_CHECK(within((int64_t)c.workers, 1, CH_WORKERS_MAX));
	CH_FUZZ_CHECK(within(c.lease_ms, CH_SECOND_MS, CH_HOUR_MS));
	CH_FUZZ_CHECK(within((int64_t)c.n_ladder, 1, CH_LADDER_MAX));
	for (size_t i = 0; i < c.n_ladder; i++)
		CH_FUZZ_CHECK(c.ladder_ms[i] >= 0);
	CH_FUZZ_CHECK(c.retry_jitter_percent <= 100 && c.renew_jitter_percent <= 50 &&
		      c.renew_left_percent <= 90);
	CH_FUZZ_CHECK(within(c.poll_interval_ms, 10, 30 * CH_SECOND_MS));
	CH_FUZZ_CHECK(c.step_tries && c.probe_tries && c.probe_port);
	CH_FUZZ_CHECK(c.probe != CH_PROBE_FIXED || c.probe_address[0]);
}

static void read_agent(struct ch_conf *conf)
{
	struct ch_agent_config c;
	struct ch_err err = {0};

	if (ch_agent_config_read(conf, &c, &err)) {
		CH_FUZZ_CHECK(err.detail[0]);
		return;
	}
	n_agents++;
	check_api(&c.api);
	CH_FUZZ_CHECK(c.replica && c.signers && c.reader_gid >= -1);
	CH_FUZZ_CHECK(within(c.poll_wait_ms, 0, CH_POLL_WAIT_MAX_MS));
	CH_FUZZ_CHECK(c.limits.percent <= 100 && c.limits.count <= UINT64_C(1000000000));
	CH_FUZZ_CHECK(within(c.limits.window_ms, CH_SECOND_MS, 30 * CH_DAY_MS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(struct ch_conf *) = {
		ask_everything, read_issuer, read_agent};

	/* The first error stays in what was parsed: each has its own, as each program does. */
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		CH_AUTO_CONF struct ch_conf *conf = NULL;
		struct ch_err err = {0};

		if (ch_conf_parse((const char *)data, size, "/", &conf, &err)) {
			CH_FUZZ_CHECK(err.detail[0]);
			return 0;
		}
		readers[i](conf);
	}
	return 0;
}

/* Sections that are refused as a whole would show nothing of what is accepted. */
void ch_fuzz_replayed(void)
{
	CH_FUZZ_CHECK(n_issuers > 1);
	CH_FUZZ_CHECK(n_agents > 1);
}
