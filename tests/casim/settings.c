#include "settings.h"

#include <stdio.h>
#include <string.h>

/* Apostrophes stand for quotation marks. */
static const char defaults[] =
	"{'validation': {'address': '127.0.0.1', 'http_port': 80, 'tls_port': 443, 'dns': '',"
	"  'always_valid': false, 'delay_ms': 0, 'timeout_ms': 10000, 'max_b': 128},"
	" 'challenges': {'offered': ['http-01', 'tls-alpn-01', 'dns-01'],"
	"  'issuer_domain': 'casim.example'},"
	" 'reuse': {'orders': true, 'authorizations': true},"
	" 'account': {'contact_required': false, 'must_act': false},"
	" 'eab': {'required': false, 'single_use': true, 'keys': {}},"
	" 'finalize': {'processing_ms': 0, 'retry_after': 3},"
	" 'poll': {'retry_after': null},"
	" 'profiles': {'default': 'classic', 'announced': true, 'list': {"
	"  'classic': {'about': 'https://casim.example/classic', 'lifetime_s': 7776000,"
	"   'names': 100, 'cn': true, 'ski': true, 'pending_s': 604800, 'valid_s': 2592000,"
	"   'order_s': 604800},"
	"  'tlsserver': {'about': 'https://casim.example/tlsserver', 'lifetime_s': 3888000,"
	"   'names': 25, 'cn': false, 'ski': false, 'pending_s': 3600, 'valid_s': 25200,"
	"   'order_s': 28800},"
	"  'shortlived': {'about': 'https://casim.example/shortlived', 'lifetime_s': 576000,"
	"   'names': 25, 'cn': false, 'ski': false, 'pending_s': 3600, 'valid_s': 25200,"
	"   'order_s': 28800}}},"
	" 'certificate': {'backdate_s': 3600},"
	" 'nonce': {'life_s': 3600},"
	" 'ari': {'offered': true, 'retry_after': 21600, 'start_percent': null},"
	" 'limits': {'enforced': false, 'rates': false,"
	"  'new_orders': {'size': 300, 'refill_ms': 36000},"
	"  'domain': {'size': 50, 'refill_ms': 12096000},"
	"  'set': {'size': 5, 'refill_ms': 120960000},"
	"  'failures': {'size': 5, 'refill_ms': 720000},"
	"  'consecutive': {'size': 1152, 'refill_ms': 86400000},"
	"  'new_accounts': {'size': 10, 'refill_ms': 1080000},"
	"  'overrides': {},"
	"  'rate_new_nonce': {'per_second': 20, 'burst': 10},"
	"  'rate_new_order': {'per_second': 300, 'burst': 200},"
	"  'rate_renewal_info': {'per_second': 1000, 'burst': 100},"
	"  'rate_other': {'per_second': 250, 'burst': 125}},"
	" 'faults': {'bad_nonce_percent': 0, 'error_500_percent': 0, 'reset_percent': 0,"
	"  'stall_percent': 0, 'stall_ms': 60000, 'delay_ms': 0},"
	" 'hostile': {}}";

/* Objects whose keys are names that the tests choose. */
static const char *const open_objects[] = {"keys", "list", "overrides", "hostile"};

json_t *sim_settings_default(void)
{
	char text[sizeof(defaults)];
	json_error_t err;
	json_t *doc;

	for (size_t i = 0; i < sizeof(defaults); i++)
		text[i] = defaults[i] == '\'' ? '"' : defaults[i];
	doc = json_loads(text, 0, &err);
	if (!doc)
		sim_die("settings: %s at %d", err.text, err.position);
	return doc;
}

static bool is_open(const char *key)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(open_objects); i++)
		if (strcmp(open_objects[i], key) == 0)
			return true;
	return false;
}

/* null stands for "nothing", and is replaced by anything. */
static bool same_type(const json_t *a, const json_t *b)
{
	if (json_is_null(a) || json_is_null(b))
		return true;
	if (json_is_boolean(a) || json_is_number(a))
		return json_is_boolean(a) ? json_is_boolean(b) : json_is_number(b);
	return json_typeof(a) == json_typeof(b);
}

static bool check(const json_t *now, json_t *change, char *ret_why, size_t why_b)
{
	const char *key;
	json_t *value;

	json_object_foreach(change, key, value)
	{
		const json_t *old = json_object_get(now, key);

		if (!old) {
			snprintf(ret_why, why_b, "there is no setting \"%s\"", key);
			return false;
		}
		if (json_is_null(value) ? !json_is_null(old) && !json_is_integer(old) &&
						  !json_is_string(old)
					: !same_type(old, value)) {
			snprintf(ret_why, why_b, "\"%s\" has another type", key);
			return false;
		}
		if (json_is_object(value) && !is_open(key) &&
			!check(old, value, ret_why, why_b))
			return false;
	}
	return true;
}

bool sim_settings_change(struct sim *sim, json_t *change, char *ret_why, size_t why_b)
{
	snprintf(ret_why, why_b, "the settings are a JSON object");
	return json_is_object(change) && check(sim->settings, change, ret_why, why_b) &&
	       json_object_update_recursive(sim->settings, change) == 0;
}

json_t *sim_setting(const struct sim *sim, const char *section, const char *key)
{
	json_t *value = json_object_get(json_object_get(sim->settings, section), key);

	SIM_NEED(value);
	return value;
}

int64_t sim_int(const struct sim *sim, const char *section, const char *key)
{
	return (int64_t)json_number_value(sim_setting(sim, section, key));
}

double sim_percent(const struct sim *sim, const char *section, const char *key)
{
	return json_number_value(sim_setting(sim, section, key));
}

bool sim_bool(const struct sim *sim, const char *section, const char *key)
{
	return json_is_true(sim_setting(sim, section, key));
}

const char *sim_str(const struct sim *sim, const char *section, const char *key)
{
	const char *text = json_string_value(sim_setting(sim, section, key));

	return text ? text : "";
}
