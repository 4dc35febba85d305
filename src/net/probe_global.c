/* Which addresses belong to the public Internet (IANA's registries of special-purpose
 * addresses, RFC 6890). */
#include <arpa/inet.h>
#include <string.h>

#include "base/mem.h"
#include "net/probe.h"

struct range {
	uint8_t prefix[16];
	unsigned bits;
};

static const struct range special_v4[] = {
	{{0}, 8},	      /* this network */
	{{10}, 8},	      /* private, RFC 1918 */
	{{100, 64}, 10},      /* carriers' NAT, RFC 6598 */
	{{127}, 8},	      /* loopback */
	{{169, 254}, 16},     /* link-local, and the metadata services of clouds */
	{{172, 16}, 12},      /* private */
	{{192, 0, 0}, 24},    /* IETF protocols */
	{{192, 0, 2}, 24},    /* documentation */
	{{192, 88, 99}, 24},  /* 6to4 relays, RFC 7526 */
	{{192, 168}, 16},     /* private */
	{{198, 18}, 15},      /* benchmarks, RFC 2544 */
	{{198, 51, 100}, 24}, /* documentation */
	{{203, 0, 113}, 24},  /* documentation */
	{{224}, 4},	      /* multicast */
	{{240}, 4},	      /* reserved, broadcast */
};

/* Within 2000::/3, which is all that is handed out (RFC 4291, 2.4). */
static const struct range special_v6[] = {
	{{0x20, 0x01, 0x00}, 23},	/* IETF protocols; Teredo, ORCHID, benchmarks */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x20, 0x02}, 16},		/* 6to4: an IPv4 address within */
	{{0x3f, 0xff, 0x00}, 20},	/* documentation, RFC 9637 */
};

static const struct range handed_out = {{0x20}, 3};
static const struct range nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96}; /* RFC 6052 */

static bool is_in(const uint8_t *address, const struct range *range)
{
	unsigned whole = range->bits / 8;
	unsigned rest = range->bits % 8;

	return memcmp(address, range->prefix, whole) == 0 &&
	       (rest == 0 || (address[whole] ^ range->prefix[whole]) >> (8 - rest) == 0);
}

static bool is_in_any(const uint8_t *address, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_in(address, &ranges[i]))
			return true;
	return false;
}

static bool is_global_v4(const uint8_t address[4])
{
	return !is_in_any(address, special_v4, CH_ARRAY_LEN(special_v4));
}

bool ch_probe_is_global(const char *address)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, address, bytes) == 1)
		return is_global_v4(bytes);
	if (inet_pton(AF_INET6, address, bytes) != 1)
		return false;
	/* What a resolver makes of an IPv4 address for a host that has IPv6 only. */
	if (is_in(bytes, &nat64))
		return is_global_v4(bytes + 12);
	return is_in(bytes, &handed_out) &&
	       !is_in_any(bytes, special_v6, CH_ARRAY_LEN(special_v6));
}
