/* Looks for private scalars in files and in the memory of processes, in every form that a
 * program may leave behind.
 *
 *   keysearch FILE|pid:NUMBER…  < "LABEL SCALAR-IN-HEX" lines
 *
 * Forms: "be" and "le", any 8 bytes of the big-endian scalar (as in DER, SEC 1, PKCS #8 and our
 * key block) and of the little-endian one (OpenSSL's limbs and their serialization), at a
 * multiple of 8 from its beginning, so that a half-overwritten copy is found too; "hex", the
 * same 8 bytes in either case, as they are, with ":" or with a blank between them; "base64",
 * both alphabets, at all three alignments, any third of the characters, so that it is found in
 * PEM too, whose lines end anywhere in it.  Prints one line a hit: LABEL FORM PART PLACE
 * OFFSET, then "searched PLACE BYTES" for each place.  Exit code 0 whether found or not; 1: a
 * place could not be read.
 *
 * Nothing is kept that the kernel would not show to root: all mappings but the kernel's own,
 * locked ones and those left out of core dumps included. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCALAR_B 32
#define WINDOW_B 8 /* what the filter and the table go by */
#define PATTERN_MAX_B 32
#define HEX_PARTS (SCALAR_B / WINDOW_B)
#define BASE64_PARTS 3
#define BASE64_PART_B 14 /* 84 bits */
#define CHUNK_B ((size_t)1 << 20)
#define FILTER_BITS 20
#define TABLE_BITS 18

struct pattern {
	char label[260];
	const char *form;
	unsigned part;
	uint8_t bytes[PATTERN_MAX_B];
	size_t len;
	size_t next; /* of the same slot; 0: none */
};

static struct pattern *patterns;
static size_t n_patterns = 1; /* 0 means none */
static size_t table[1 << TABLE_BITS];
static uint8_t filter[1 << (FILTER_BITS - 3)];

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "keysearch: %s: %s\n", what, detail);
	exit(1);
}

static uint64_t window(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value * UINT64_C(0x9e3779b97f4a7c15);
}

static void add(
	const char *label, const char *form, unsigned part, const void *bytes, size_t len)
{
	uint64_t hash = window(bytes);
	struct pattern *p;

	if ((n_patterns & (n_patterns - 1)) == 0) {
		patterns = reallocarray(patterns, 2 * n_patterns, sizeof(*patterns));
		if (!patterns)
			die("memory", strerror(errno));
	}
	p = &patterns[n_patterns];
	snprintf(p->label, sizeof(p->label), "%s", label);
	p->form = form;
	p->part = part;
	memcpy(p->bytes, bytes, len);
	p->len = len;
	p->next = table[hash >> (64 - TABLE_BITS)];
	table[hash >> (64 - TABLE_BITS)] = n_patterns++;
	filter[hash >> (64 - FILTER_BITS + 3)] |=
		(uint8_t)(1u << (hash >> (64 - FILTER_BITS) & 7));
}

/* Parts of a text that programs break into lines, as PEM is at 64 characters: some part of it
 * is whole in each line. */
static void add_parts(const char *label, const char *form, unsigned first_part,
	const char *text, size_t n_parts, size_t stride, size_t len)
{
	for (unsigned i = 0; i < n_parts; i++)
		add(label, form, first_part + i, text + i * stride, len);
}

/* The 42 characters that the scalar alone determines when `before` bytes of a group of three
 * come before it. */
static void add_base64(const char *label, const uint8_t *scalar, unsigned before, bool url)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	char text[BASE64_PARTS * BASE64_PART_B];
	size_t n = 0;

	for (unsigned bit = (6 - 8 * before % 6) % 6; n < sizeof(text); bit += 6) {
		unsigned pair = (unsigned)scalar[bit / 8] << 8 |
				(bit / 8 + 1 < SCALAR_B ? scalar[bit / 8 + 1] : 0u);
		unsigned value = pair >> (10 - bit % 8) & 63;

		text[n++] = value < 62 ? alphabet[value] : "+/-_"[value - 62 + (url ? 2 : 0)];
	}
	add_parts(label, "base64", BASE64_PARTS * before, text, BASE64_PARTS, BASE64_PART_B,
		BASE64_PART_B);
}

/* separator: between two bytes; "" for none.  The last one of a part is left out. */
static void add_hex(const char *label, const uint8_t *be, const char *separator, bool upper)
{
	char text[3 * SCALAR_B + 1];
	size_t byte_b = 2 + strlen(separator);

	for (size_t i = 0; i < SCALAR_B; i++)
		snprintf(text + byte_b * i, byte_b + 1, upper ? "%02X%s" : "%02x%s", be[i],
			separator);
	add_parts(label, "hex", upper ? HEX_PARTS : 0, text, HEX_PARTS, byte_b * WINDOW_B,
		byte_b * WINDOW_B - strlen(separator));
}

static void add_scalar(const char *label, const uint8_t *be)
{
	static const char *const separators[] = {"", ":", " "};
	uint8_t le[SCALAR_B];

	for (size_t i = 0; i < SCALAR_B; i++)
		le[i] = be[SCALAR_B - 1 - i];
	for (unsigned part = 0; part < SCALAR_B / WINDOW_B; part++) {
		add(label, "be", part, be + WINDOW_B * part, WINDOW_B);
		add(label, "le", part, le + WINDOW_B * part, WINDOW_B);
	}
	for (size_t i = 0; i < sizeof(separators) / sizeof(separators[0]); i++) {
		add_hex(label, be, separators[i], false);
		add_hex(label, be, separators[i], true);
	}
	for (unsigned before = 0; before < 3; before++) {
		add_base64(label, be, before, false);
		add_base64(label, be, before, true);
	}
}

static void read_scalars(void)
{
	char label[260];
	char hex[2 * SCALAR_B + 1];

	while (scanf("%259s %64s", label, hex) == 2) {
		uint8_t be[SCALAR_B];

		for (size_t i = 0; i < SCALAR_B; i++)
			if (sscanf(hex + 2 * i, "%2hhx", &be[i]) != 1)
				die("not a scalar", label);
		add_scalar(label, be);
	}
}

static void look(const uint8_t *at, size_t left, const char *place, uint64_t offset)
{
	uint64_t hash = window(at);

	if (!(filter[hash >> (64 - FILTER_BITS + 3)] >> (hash >> (64 - FILTER_BITS) & 7) & 1))
		return;
	for (size_t i = table[hash >> (64 - TABLE_BITS)]; i; i = patterns[i].next) {
		const struct pattern *p = &patterns[i];

		if (p->len <= left && memcmp(at, p->bytes, p->len) == 0)
			printf("%s %s %u %s %#" PRIx64 "\n", p->label, p->form, p->part, place,
				offset);
	}
}

/* A stretch of a file; what cannot be read ends it.  Chunks overlap by the longest pattern. */
static uint64_t search(int fd, uint64_t from, uint64_t to, const char *place)
{
	static uint8_t chunk[CHUNK_B + PATTERN_MAX_B];
	uint64_t at = from;

	while (at < to) {
		size_t want = to - at < sizeof(chunk) ? (size_t)(to - at) : sizeof(chunk);
		ssize_t got = pread(fd, chunk, want, (off_t)at);

		if (got <= 0)
			break;
		for (size_t i = 0; i + WINDOW_B <= (size_t)got && i < CHUNK_B; i++)
			look(chunk + i, (size_t)got - i, place, at + i);
		if ((size_t)got <= CHUNK_B)
			return at + (uint64_t)got - from;
		at += CHUNK_B;
	}
	return at - from;
}

/* A mapped file may be much longer than the file: reading stops where nothing is. */
static uint64_t search_memory(const char *pid, const char *place)
{
	char path[64];
	char line[8192];
	uint64_t bytes = 0;
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path, strerror(errno));
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		die(path, strerror(errno));
	while (fgets(line, sizeof(line), maps)) {
		uint64_t from;
		uint64_t to;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2 &&
			!strstr(line, "[v")) /* vvar, vdso, vsyscall: the kernel's */
			bytes += search(fd, from, to, place);
	}
	fclose(maps);
	close(fd);
	return bytes;
}

static uint64_t search_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	uint64_t bytes;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path, strerror(errno));
	bytes = search(fd, 0, (uint64_t)st.st_size, path);
	close(fd);
	return bytes;
}

int main(int argc, char **argv)
{
	patterns = calloc(1, sizeof(*patterns));
	if (!patterns)
		die("memory", strerror(errno));
	read_scalars();
	for (int i = 1; i < argc; i++) {
		uint64_t bytes = strncmp(argv[i], "pid:", 4) == 0
					 ? search_memory(argv[i] + 4, argv[i])
					 : search_file(argv[i]);

		printf("searched %s %" PRIu64 "\n", argv[i], bytes);
	}
	free(patterns);
	return 0;
}
