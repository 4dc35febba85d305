/* Confirms a publication the way a visitor sees it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/issuer.h"

/* One worker's time is what a dead address costs: little of it. */
#define ONE_MS (3 * CH_SECOND_MS)
#define ALL_MS (8 * CH_SECOND_MS)
#define HTTPS_PORT 443
/* A wildcard is asked for under a name that it covers, and that has no record of its own. */
#define BELOW_WILDCARD "certherd-probe"

static int probe_one(const char *address, uint16_t port, const char *name,
	enum ch_probe_offer offer, const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err)
{
	struct ch_probe_result result;
	int rc = ch_probe(address, port, name, offer, ONE_MS, &result, err);

	if (rc)
		return rc;
	if (memcmp(result.leaf_sha256, leaf_sha256, CH_SHA256_B) != 0)
		return ch_err_set(err, CH_ECONFLICT, "probe-mismatch",
			"%s shows another certificate (serial %s).", address, result.serial);
	return CH_OK;
}

/* The name's owner says in the DNS where we connect, and gets to read how it went: that must
 * not become a look into our own network. */
static int probe_public(const struct ch_issuer *issuer, const struct ch_probe_target *to,
	const char *name, enum ch_probe_offer offer, const uint8_t leaf_sha256[CH_SHA256_B],
	struct ch_err *err)
{
	if (!issuer->may_ask(to->address))
		return ch_err_set(err, CH_ENETWORK, "probe-not-public",
			"%s is not a public address: visitors do not reach it, and it was not "
			"asked.",
			to->address);
	return probe_one(to->address, to->port, name, offer, leaf_sha256, err);
}

/* An address that is not reached may be out of this host's reach only (no IPv6 here): it does
 * not count as long as another one answers rightly.  A wrong certificate counts anywhere.
 * Confirmed by some, with addresses that nobody has asked: CH_OK, and err says how many. */
static int probe_targets(const struct ch_issuer *issuer, const struct ch_probe_targets *targets,
	const char *name, enum ch_probe_offer offer, const uint8_t leaf_sha256[CH_SHA256_B],
	struct ch_err *err)
{
	int64_t until_ms = ch_mono_ms() + ALL_MS;
	bool confirmed = false;
	int failure = CH_OK;
	size_t i;

	for (i = 0;
		i < targets->n && ch_mono_ms() < until_ms && !atomic_load(&issuer->stopping);
		i++) {
		struct ch_err one = {0};
		int rc =
			probe_public(issuer, &targets->list[i], name, offer, leaf_sha256, &one);

		/* CH_EPROTO: something that speaks there, but not our edge. */
		if (rc == CH_ECONFLICT || rc == CH_EPROTO) {
			*err = one;
			return CH_ECONFLICT;
		}
		if (rc == CH_OK)
			confirmed = true;
		else {
			failure = rc;
			*err = one;
		}
	}
	if (!confirmed)
		return failure ? failure
			       : ch_err_set(err, CH_ETIMEOUT, "probe-timeout",
					 "There was no time to ask any address.");
	*err = (struct ch_err){.rc = CH_OK};
	if (targets->n - i + targets->n_over)
		(void)ch_err_set(err, CH_OK, "probe-partly",
			"%zu of its %zu addresses were not asked",
			targets->n - i + targets->n_over, targets->n + targets->n_over);
	return CH_OK;
}

static int probe_dns(const struct ch_issuer *issuer, const char *name,
	enum ch_probe_offer offer, const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err)
{
	struct ch_probe_targets targets;
	int rc = ch_probe_resolve(name, HTTPS_PORT, &targets, err);

	return rc ? rc : probe_targets(issuer, &targets, name, offer, leaf_sha256, err);
}

/* Which names below a wildcard lead here, only its owner knows: perhaps all, by a wildcard of
 * the DNS, perhaps some. */
static int probe_below(const struct ch_issuer *issuer, const char *name,
	enum ch_probe_offer offer, const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err)
{
	struct ch_probe_targets targets;
	int rc = ch_probe_resolve(name, HTTPS_PORT, &targets, err);

	if (rc == CH_ENOTFOUND) {
		(void)ch_err_set(err, CH_OK, "probe-partly",
			"%s has no address, so no name below the wildcard was asked for", name);
		return CH_OK;
	}
	return rc ? rc : probe_targets(issuer, &targets, name, offer, leaf_sha256, err);
}

int ch_issuer_probe(const struct ch_issuer *issuer, const char *name, enum ch_probe_offer offer,
	const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err)
{
	const struct ch_issuer_config *config = issuer->config;
	char below[CH_NAME_TEXT_B + sizeof(BELOW_WILDCARD)];
	int rc;

	if (strncmp(name, "*.", 2) == 0) {
		snprintf(below, sizeof(below), BELOW_WILDCARD "%s", name + 1);
		name = below;
	}
	switch (config->probe) {
	case CH_PROBE_OFF:
		return CH_OK;
	case CH_PROBE_DNS:
		return name == below ? probe_below(issuer, name, offer, leaf_sha256, err)
				     : probe_dns(issuer, name, offer, leaf_sha256, err);
	default:
		break;
	}
	rc = probe_one(
		config->probe_address, config->probe_port, name, offer, leaf_sha256, err);
	return rc == CH_EPROTO ? CH_ECONFLICT : rc;
}
