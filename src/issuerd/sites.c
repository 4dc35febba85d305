#include "issuerd/sites.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_under(const uint8_t *address, const struct ch_cidr *cidr)
{
	unsigned whole = cidr->bits / 8;
	unsigned rest = cidr->bits % 8;

	return memcmp(address, cidr->prefix, whole) == 0 &&
	       (rest == 0 || (address[whole] ^ cidr->prefix[whole]) >> (8 - rest) == 0);
}

static int parse_address(const char *text, uint8_t ret_bytes[16], unsigned *ret_len)
{
	memset(ret_bytes, 0, 16);
	if (inet_pton(AF_INET, text, ret_bytes) == 1)
		*ret_len = 4;
	else if (inet_pton(AF_INET6, text, ret_bytes) == 1)
		*ret_len = 16;
	else
		return CH_EINVAL;
	return CH_OK;
}

int ch_cidr_parse(const char *text, struct ch_cidr *ret_cidr)
{
	struct ch_cidr cidr = {0};
	char address[CH_DNS_ADDR_B];
	size_t len = strcspn(text, "/");
	const char *bits = text + len + (text[len] == '/');
	size_t digits = strspn(bits, "0123456789");

	if (len >= sizeof(address) || bits[digits] || digits > 3 || (text[len] && !digits))
		return CH_EINVAL;
	memcpy(address, text, len);
	address[len] = 0;
	if (parse_address(address, cidr.prefix, &cidr.family_b))
		return CH_EINVAL;
	cidr.bits = text[len] ? (unsigned)strtoul(bits, NULL, 10) : 8 * cidr.family_b;
	if (cidr.bits > 8 * cidr.family_b)
		return CH_EINVAL;
	for (unsigned i = cidr.bits; i < 8 * cidr.family_b; i++)
		if (cidr.prefix[i / 8] >> (7 - i % 8) & 1)
			return CH_EINVAL;
	*ret_cidr = cidr;
	return CH_OK;
}

static bool is_listed(const struct ch_platform *platform, const char *address)
{
	uint8_t bytes[16];
	unsigned len;

	if (parse_address(address, bytes, &len))
		return false;
	for (size_t i = 0; i < platform->n_addresses; i++)
		if (platform->addresses[i].family_b == len &&
			is_under(bytes, &platform->addresses[i]))
			return true;
	return false;
}

static bool is_target(const struct ch_platform *platform, const char *name)
{
	for (size_t i = 0; i < platform->n_targets; i++) {
		const char *target = platform->targets[i];
		size_t len = strlen(target);
		size_t name_len = strlen(name);

		if (strncmp(target, "*.", 2) == 0
				? name_len > len - 1 && strcasecmp(name + name_len - (len - 1),
								target + 1) == 0
				: strcasecmp(name, target) == 0)
			return true;
	}
	return false;
}

static void add_sites(const struct ch_platform *platform, const char *name,
	const struct ch_dns_answer *answer, struct ch_sites *sites)
{
	bool by_target = is_target(platform, name);

	for (size_t i = 0; i < answer->n_chain; i++)
		by_target |= is_target(platform, answer->chain[i]);
	if (answer->n_chain)
		strcpy(sites->end, answer->chain[answer->n_chain - 1]);
	for (size_t i = 0; i < answer->n && sites->n < CH_SITES_MAX; i++) {
		struct ch_site *site = &sites->list[sites->n++];

		strcpy(site->address, answer->addresses[i]);
		site->listed = is_listed(platform, site->address);
		site->ours = site->listed || by_target;
	}
}

/* IPv6 first, as CAs do. */
const char *ch_platform_here(
	const struct ch_platform *platform, char ret_text[CH_PLATFORM_HERE_B])
{
	char address[CH_DNS_ADDR_B];

	for (size_t i = 0; i < platform->n_targets; i++) {
		if (platform->targets[i][0] == '*')
			continue;
		snprintf(ret_text, CH_PLATFORM_HERE_B, "to %s", platform->targets[i]);
		return ret_text;
	}
	for (size_t i = 0; i < platform->n_addresses; i++) {
		const struct ch_cidr *cidr = &platform->addresses[i];

		if (cidr->bits < 8 * cidr->family_b ||
			!inet_ntop(cidr->family_b == 4 ? AF_INET : AF_INET6, cidr->prefix,
				address, sizeof(address)))
			continue;
		snprintf(ret_text, CH_PLATFORM_HERE_B, "to %s", address);
		return ret_text;
	}
	return "here";
}

void ch_sites_from(const struct ch_platform *platform, const char *name,
	const struct ch_dns_answer *a, const struct ch_dns_answer *aaaa,
	struct ch_sites *ret_sites)
{
	memset(ret_sites, 0, sizeof(*ret_sites));
	ret_sites->platform = platform;
	ret_sites->known = platform->n_addresses || platform->n_targets;
	if (aaaa->status == CH_DNS_FOUND)
		add_sites(platform, name, aaaa, ret_sites);
	if (a->status == CH_DNS_FOUND)
		add_sites(platform, name, a, ret_sites);
}

static bool is_v6(const struct ch_site *site)
{
	return strchr(site->address, ':') != NULL;
}

/* One that is not ours may lead to us all the same: a CDN in between.  Of those that are, one
 * of each family is enough. */
void ch_sites_choose(struct ch_sites *sites, bool (*may_ask)(const char *address))
{
	bool has[2] = {false, false};
	size_t n = 0;

	for (int ours = 0; ours <= 1; ours++) {
		for (size_t i = 0; i < sites->n && n < CH_SITES_ASKED_MAX; i++) {
			struct ch_site *site = &sites->list[i];

			if (site->ours != (bool)ours ||
				(!site->listed && !may_ask(site->address)) ||
				(ours && has[is_v6(site)]))
				continue;
			site->ask = true;
			has[is_v6(site)] = true;
			n++;
		}
	}
}

struct tally {
	size_t bad;
	size_t bad_v6;
	size_t v4;
	const struct ch_site *elsewhere; /* first bad one that is not the platform's */
	const struct ch_site *other;	 /* where something else answers */
	const struct ch_site *nobody;
	const struct ch_site *account;
};

static void count(const struct ch_sites *sites, struct tally *t)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < sites->n; i++) {
		const struct ch_site *site = &sites->list[i];
		bool good = site->seen == CH_SEEN_EDGE ||
			    (site->seen == CH_SEEN_NOT_ASKED && (site->ours || !sites->known));

		t->v4 += !is_v6(site);
		if (good)
			continue;
		t->bad++;
		t->bad_v6 += is_v6(site);
		if (sites->known && !site->ours && !t->elsewhere)
			t->elsewhere = site;
		if (site->seen == CH_SEEN_OTHER && !t->other)
			t->other = site;
		if (site->seen == CH_SEEN_NOBODY && !t->nobody)
			t->nobody = site;
		if (site->seen == CH_SEEN_ACCOUNT && !t->account)
			t->account = site;
	}
}

static int say(struct ch_err *err, enum ch_actor actor, const char *problem, const char *fmt,
	...) CH_PRINTF(4, 5);

static int say(
	struct ch_err *err, enum ch_actor actor, const char *problem, const char *fmt, ...)
{
	char detail[sizeof(err->detail)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	ch_err_set(err, CH_ECONFLICT, problem, "%s", detail);
	err->actor = actor;
	return CH_ECONFLICT;
}

static int judge_elsewhere(const struct ch_sites *sites, const struct tally *t,
	const char *name, bool *ret_away, struct ch_err *err)
{
	const char *at = t->elsewhere->address;
	char text[CH_PLATFORM_HERE_B];
	const char *here = ch_platform_here(sites->platform, text);

	if (t->bad == sites->n) {
		*ret_away = true;
		return say(err, CH_ACTOR_CUSTOMER, "dns-points-elsewhere",
			"%s leads to %s%s%s%s, which is not ours: point it %s.", name, at,
			sites->end[0] ? " (by way of " : "", sites->end,
			sites->end[0] ? ")" : "", here);
	}
	if (is_v6(t->elsewhere) && t->bad == t->bad_v6 && t->v4)
		return say(err, CH_ACTOR_CUSTOMER, "dns-ipv6-elsewhere",
			"%s has an AAAA record for %s, which is not ours, and CAs and visitors "
			"prefer IPv6: remove it or point it %s.",
			name, at, here);
	return say(err, CH_ACTOR_CUSTOMER, "dns-partly-elsewhere",
		"%s leads here, and also to %s, which is not ours: remove that address.", name,
		at);
}

static int judge_answers(const struct ch_sites *sites, const struct tally *t, const char *name,
	bool *ret_away, struct ch_err *err)
{
	enum ch_actor actor = sites->known ? CH_ACTOR_PLATFORM : CH_ACTOR_CUSTOMER;

	if (t->other) {
		*ret_away = !sites->known && t->bad == sites->n;
		/* An edge answers like a stranger where the account is not pinned. */
		return say(err, actor, "self-check-wrong-answer",
			sites->known
				? "At %s, where %s leads, no edge of ours answers for "
				  "http://%s/.well-known/acme-challenge/, or one whose "
				  "certherd_account_thumbprint lacks the account of this CA."
				: "At %s, where %s leads, something else than our edge answers "
				  "for http://%s/.well-known/acme-challenge/.",
			t->other->address, name, name);
	}
	/* Without an address of the platform's, this host may only lack IPv6. */
	if (!sites->known && t->bad < sites->n)
		return CH_OK;
	return say(err, actor, "self-check-unreachable",
		"Nobody answers on port 80 at %s, where %s leads: a CA could not validate it.",
		t->nobody->address, name);
}

int ch_sites_judge(
	const struct ch_sites *sites, const char *name, bool *ret_away, struct ch_err *err)
{
	struct tally t;

	*ret_away = false;
	count(sites, &t);
	if (t.account)
		return say(err, CH_ACTOR_PLATFORM, "self-check-account",
			"The edge at %s answers challenges with another account's thumbprint: "
			"certherd_account_thumbprint there must name this issuer's.",
			t.account->address);
	if (t.elsewhere)
		return judge_elsewhere(sites, &t, name, ret_away, err);
	return t.bad ? judge_answers(sites, &t, name, ret_away, err) : CH_OK;
}
