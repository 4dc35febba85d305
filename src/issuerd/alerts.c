#include "issuerd/alerts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "issuerd/hook.h"

#define SECTION "alerts"
/* A CA that is away for less long is no news. */
#define CA_LEAST_MS (10 * CH_MINUTE_MS)
/* A sentence, the CA's words and a page. */
#define DETAIL_B 1000
#define SECRET_MAX_B 4096
#define SECRET_LEAST_B 16

void ch_issuer_config_alerts(struct ch_conf *conf, struct ch_alert_config *config)
{
	const char *hook = ch_conf_path(conf, SECTION, "hook", "");
	const char *webhook = ch_conf_str(conf, SECTION, "webhook", "");
	const char *ca = ch_conf_str(conf, SECTION, "webhook_ca", "system");
	const char *secret = ch_conf_path(conf, SECTION, "webhook_secret", "");

	config->hook = hook[0] ? hook : NULL;
	config->webhook = webhook[0] ? webhook : NULL;
	config->webhook_ca = strcmp(ca, "system") == 0
				     ? NULL
				     : ch_conf_path(conf, SECTION, "webhook_ca", "");
	config->webhook_secret = secret[0] ? secret : NULL;
	config->hook_timeout_ms = ch_conf_duration(
		conf, SECTION, "hook_timeout", "30s", CH_SECOND_MS, 10 * CH_MINUTE_MS);
	/* The store reads it too. */
	config->look_every_ms = ch_conf_duration(
		conf, SECTION, "look_every", "20s", CH_SECOND_MS, CH_MINUTE_MS);
	if (webhook[0] && strncmp(webhook, "https://", 8) != 0)
		ch_conf_fail(conf, SECTION, "webhook", "must be an https URL");
	/* Whoever gets it could not know from whom it is. */
	if (webhook[0] && !secret[0])
		ch_conf_fail(conf, SECTION, "webhook_secret",
			"is needed with webhook: a file with a secret, mode 0600");
}

static int open_webhook(struct ch_alert_keeper *keeper, struct ch_err *err)
{
	const struct ch_alert_config *config = &keeper->issuer->config->alerts;
	const struct ch_http_options options = {.ca_file = config->webhook_ca,
		.user_agent = "certherd/" CH_VERSION,
		.canceled = ch_issuer_stopping,
		.canceled_arg = keeper->issuer,
		.allow_proxy = 1};
	CH_AUTO_SECRET struct ch_secret *text = NULL;
	size_t len;
	int rc;

	if (!config->webhook)
		return CH_OK;
	rc = ch_secret_read_file(config->webhook_secret, SECRET_MAX_B, &text, err);
	if (rc)
		return rc;
	len = ch_secret_len(text);
	while (len > 0 && strchr(" \t\r\n", ch_secret_bytes(text)[len - 1]))
		len--;
	if (len < SECRET_LEAST_B)
		return ch_err_set(err, CH_EINVAL, "webhook-secret",
			"%s must hold a secret of at least %d characters",
			config->webhook_secret, SECRET_LEAST_B);
	if (ch_secret_from(ch_secret_bytes(text), len, &keeper->secret))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	return ch_http_new_curl(&options, &keeper->http, err);
}

int ch_alert_keeper_init(struct ch_alert_keeper *keeper, struct ch_issuer *issuer,
	struct ch_queue *queue, struct ch_api *api, struct ch_err *err)
{
	struct ch_api_options options = issuer->config->store;
	int rc;

	memset(keeper, 0, sizeof(*keeper));
	keeper->issuer = issuer;
	keeper->queue = queue;
	keeper->told = json_array();
	options.http.canceled = ch_issuer_stopping;
	options.http.canceled_arg = issuer;
	if (issuer->config->alerts.hook &&
		(rc = ch_hook_check(issuer->config->alerts.hook, SECTION, err)) != CH_OK) {
		ch_alert_keeper_done(keeper);
		return rc;
	}
	rc = keeper->told ? open_webhook(keeper, err)
			  : ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (rc == CH_OK && !api)
		rc = ch_api_new(&options, &api, err);
	if (rc == CH_OK)
		keeper->api = api;
	else
		ch_alert_keeper_done(keeper);
	return rc;
}

void ch_alert_keeper_done(struct ch_alert_keeper *keeper)
{
	ch_api_free(keeper->api);
	ch_http_free(keeper->http);
	ch_secret_free(keeper->secret);
	json_decref(keeper->told);
	memset(keeper, 0, sizeof(*keeper));
}

static void add_trouble(
	json_t *list, const char *kind, const char *subject, bool critical, const char *detail)
{
	(void)json_array_append_new(
		list, json_pack("{ss ss ss ss}", "kind", kind, "subject", subject, "severity",
			      critical ? "critical" : "warning", "detail", detail));
}

/* An account that is refused or for which a person must act, or a CA that has not answered for
 * some time. */
static void look_at_ca(struct ch_alert_keeper *keeper, size_t at, json_t *list)
{
	struct ch_ca *ca = &keeper->issuer->cas[at];
	int64_t now_ms = ch_mono_ms();
	char detail[DETAIL_B];

	if (ch_account_must_act(ca, detail, sizeof(detail)))
		add_trouble(list, "account-paused", ca->config->name, true, detail);
	else if (ch_account_is_refused(ca) && ch_account_why(ca, detail, sizeof(detail)))
		add_trouble(list, "account-refused", ca->config->name, true, detail);
	if (!ch_gate_is_closed(&ca->gate) && ch_gate_outages(&ca->gate) == 0) {
		keeper->closed_since_ms[at] = 0;
		return;
	}
	if (keeper->closed_since_ms[at] == 0)
		keeper->closed_since_ms[at] = now_ms > 0 ? now_ms : 1;
	if (now_ms - keeper->closed_since_ms[at] < CA_LEAST_MS)
		return;
	ch_gate_why(&ca->gate, detail, sizeof(detail));
	add_trouble(list, "ca-out-of-order", ca->config->name, false, detail);
}

static bool clock_is_wrong(void)
{
	int64_t lead_ms = ch_api_lead_ms();

	return lead_ms >= CH_API_LEAD_WRONG_MS || lead_ms <= -CH_API_LEAD_WRONG_MS;
}

/* Its dates would be believed: of certificates that are checked here, and of what CAs say. */
static void look_at_clock(struct ch_alert_keeper *keeper, json_t *list)
{
	int64_t lead_ms = ch_api_lead_ms();
	bool wrong = clock_is_wrong();
	char detail[DETAIL_B];
	char host[65] = "issuer";
	char span[CH_TIME_STR_B];

	if (wrong) {
		(void)!gethostname(host, sizeof(host) - 1);
		snprintf(detail, sizeof(detail),
			"The clock of this issuer's host is %s %s the store's: set both by "
			"NTP.",
			ch_duration_str(lead_ms < 0 ? -lead_ms : lead_ms, span),
			lead_ms < 0 ? "ahead of" : "behind");
		add_trouble(list, "clock-wrong", host, false, detail);
		if (!keeper->clock_told)
			ch_log_warn("%s", detail);
	}
	keeper->clock_told = wrong;
}

static json_t *report_json(struct ch_alert_keeper *keeper)
{
	const struct ch_alert_config *config = &keeper->issuer->config->alerts;
	json_t *troubles = json_array();

	for (size_t i = 0; i < keeper->issuer->n_cas; i++)
		look_at_ca(keeper, i, troubles);
	look_at_clock(keeper, troubles);
	return json_pack("{so sO sb}", "troubles", troubles, "told", keeper->told, "tells",
		config->hook || config->webhook);
}

static void tell_one(struct ch_alert_keeper *keeper, json_t *alert)
{
	const struct ch_alert_config *config = &keeper->issuer->config->alerts;
	bool closed = json_is_string(json_object_get(alert, "closed_at"));
	const char *kind = json_string_value(json_object_get(alert, "kind"));
	const char *severity = json_string_value(json_object_get(alert, "severity"));
	bool critical = severity && strcmp(severity, "critical") == 0;
	json_t *id = json_object_get(alert, "id");
	struct ch_err err = {0};
	int rc;

	(void)json_object_set_new(alert, "state", json_string(closed ? "closed" : "open"));
	rc = ch_alert_tell(config, keeper->http, keeper->secret, alert, ch_issuer_stopping,
		keeper->issuer, &err);
	/* Not told: its lease runs out. */
	if (rc == CH_ECANCELED)
		return;
	if (rc)
		ch_log_warn("alert %s not told, tried again later: %s", kind ? kind : "?",
			err.detail);
	(void)json_array_append_new(
		keeper->told, json_pack("{sO sb sb sb}", "id", id, "closed", closed, "critical",
				      critical, "failed", rc != CH_OK));
}

int64_t ch_alert_round(struct ch_alert_keeper *keeper)
{
	int64_t look_every_ms = keeper->issuer->config->alerts.look_every_ms;
	json_auto_t *body = report_json(keeper);
	struct ch_api_call call = {.method = "POST", .path = "/v1/alerts", .body = body};
	struct ch_err err = {0};
	json_t *alert;
	size_t n;
	size_t i;
	int rc = ch_api_call(keeper->api, &call, &err);

	if (rc) {
		/* The store's troubles are told by the thread that leases orders. */
		if (rc != CH_ECANCELED && rc != CH_ENETWORK)
			ch_log(keeper->complained ? CH_LOG_DEBUG : CH_LOG_WARN,
				"alerts are not reported: %s", err.detail);
		keeper->complained = true;
		return look_every_ms;
	}
	keeper->complained = false;
	json_array_clear(keeper->told);
	json_array_foreach(json_object_get(call.answer, "tell"), i, alert)
	{
		if (json_is_object(alert) &&
			json_array_size(keeper->told) < CH_ALERT_TOLD_MAX &&
			!ch_issuer_stopping(keeper->issuer))
			tell_one(keeper, alert);
	}
	json_decref(call.answer);
	/* There may be more, and the store should know soon. */
	n = json_array_size(keeper->told);
	return n || clock_is_wrong() != keeper->clock_told ? CH_SECOND_MS : look_every_ms;
}

void *ch_alert_main(void *arg)
{
	struct ch_alert_keeper *keeper = arg;

	while (!ch_queue_sleep(keeper->queue, ch_alert_round(keeper)))
		;
	return NULL;
}
