#include "wire/name.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <libpsl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* A U-label of 63 code points is at most 252 bytes; anything longer cannot be a name. */
#define NAME_INPUT_MAX_B 1024u
#define LABEL_MAX 63u

static void idn_free_p(char **text)
{
	if (*text)
		idn2_free(*text);
}
#define AUTO_IDN CH_CLEANUP(idn_free_p)

static pthread_once_t psl_once = PTHREAD_ONCE_INIT;
static psl_ctx_t *psl;

static void load_psl(void)
{
	/* The newest of the distribution's list and the one compiled into libpsl. */
	psl = psl_latest(NULL);
}

static int refuse(struct ch_err *err, const char *problem, const char *detail)
{
	int rc = ch_err_set(err, CH_EINVAL, problem, "%s", detail);

	if (err)
		err->actor = CH_ACTOR_CUSTOMER;
	return rc;
}

static int check_bytes(const char *text, size_t len, struct ch_err *err)
{
	if (len == 0)
		return refuse(err, "name-empty", "The name is empty.");
	if (len > NAME_INPUT_MAX_B)
		return refuse(err, "name-too-long",
			"The name is longer than 253 characters in its ASCII form.");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= 0x20 || c == 0x7f)
			return refuse(err, "name-character",
				"The name has a space or a control character: remove it.");
	}
	for (size_t i = 0; i < len; i++)
		if (strchr("/@?#%\\\"'<>(){},;=+&!$|^`~", text[i]))
			return refuse(err, "name-character",
				"The name has a character that no domain name has: give only "
				"the "
				"name, without scheme, path or quotes.");
	if (memchr(text, ':', len) || memchr(text, '[', len) || memchr(text, ']', len))
		return refuse(err, "name-ip-literal",
			"Give a domain name without port or IP address.");
	return CH_OK;
}

static int check_label(const char *label, size_t len, struct ch_err *err)
{
	if (len == 0)
		return refuse(err, "label-empty",
			"The name has an empty label: remove the doubled or leading dot.");
	if (len > LABEL_MAX)
		return refuse(err, "label-too-long",
			"A label of the name is longer than 63 characters in its ASCII form.");
	for (size_t i = 0; i < len; i++) {
		char c = label[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return refuse(err, "name-character",
				c == '_' ? "The name has an underscore: certificate "
					   "authorities do not "
					   "issue for such names."
					 : "The name has a character that is not a letter, "
					   "digit or hyphen.");
	}
	if (label[0] == '-' || label[len - 1] == '-')
		return refuse(err, "name-hyphen", "A label begins or ends with a hyphen.");
	if (len > 3 && label[2] == '-' && label[3] == '-' && strncmp(label, "xn", 2) != 0)
		return refuse(err, "name-hyphen",
			"A label has hyphens in its third and fourth place, which is "
			"reserved.");
	return CH_OK;
}

/* The mapping is UTS 46, as browsers do; the result must also hold under IDNA 2008 alone
 * (RFC 5891), which refuses symbols and emoji and A-labels that do not round-trip. */
static int check_alabel(const char *label, size_t len, struct ch_err *err)
{
	char ascii[LABEL_MAX + 1];
	AUTO_IDN char *unicode = NULL;
	AUTO_IDN char *back = NULL;

	if (len < 4 || strncmp(label, "xn--", 4) != 0)
		return CH_OK;
	memcpy(ascii, label, len);
	ascii[len] = 0;
	if (idn2_to_unicode_8z8z(ascii, &unicode, 0) != IDN2_OK ||
		idn2_lookup_u8((const uint8_t *)unicode, (uint8_t **)&back,
			IDN2_NFC_INPUT | IDN2_NO_TR46) != IDN2_OK ||
		strcmp(back, ascii) != 0)
		return refuse(err, "name-idna",
			"An internationalized label is not valid under IDNA 2008.");
	return CH_OK;
}

static int check_labels(const char *name, struct ch_err *err)
{
	const char *label = name;
	int labels = 0;
	int rc;

	for (;;) {
		size_t len = strcspn(label, ".");

		rc = check_label(label, len, err);
		if (rc == CH_OK)
			rc = check_alabel(label, len, err);
		if (rc)
			return rc;
		labels++;
		if (!label[len])
			break;
		label += len + 1;
	}
	if (strspn(label, "0123456789") == strlen(label) || strncmp(label, "0x", 2) == 0)
		return refuse(err, "name-ip-literal",
			"This is an IP address or ends in a number: give a domain name.");
	if (labels < 2)
		return refuse(err, "name-single-label",
			"The name has a single label: give the full name, such as "
			"shop.example.com.");
	return CH_OK;
}

static int check_reserved(const char *name, struct ch_err *err)
{
	static const char *const tlds[] = {
		"localhost", "local", "internal", "arpa", "onion", "invalid"};
	const char *tld = strrchr(name, '.') + 1;

	for (size_t i = 0; i < CH_ARRAY_LEN(tlds); i++)
		if (strcmp(tld, tlds[i]) == 0)
			return refuse(err, "name-reserved",
				"The name is under a special-use domain that no public CA "
				"issues for.");
	return CH_OK;
}

static int check_suffix(const char *name, struct ch_err *err)
{
	pthread_once(&psl_once, load_psl);
	if (!psl)
		return ch_err_set(err, CH_EIO, "public-suffix-list",
			"The Public Suffix List cannot be read: install the package "
			"publicsuffix.");
	if (psl_is_public_suffix2(psl, name, PSL_TYPE_ANY))
		return refuse(err, "name-public-suffix",
			"The name is a public suffix under which others register names: give a "
			"name "
			"below it.");
	return CH_OK;
}

int ch_name_registered(const char *name, char ret_domain[CH_NAME_TEXT_B])
{
	const char *domain;

	pthread_once(&psl_once, load_psl);
	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	/* A public suffix, and what no list knows, stands for itself. */
	domain = psl ? psl_registrable_domain(psl, name) : NULL;
	if (!domain)
		domain = name;
	if (strlen(domain) >= CH_NAME_TEXT_B)
		return CH_ETOOBIG;
	strcpy(ret_domain, domain);
	return CH_OK;
}

static int to_ascii(const char *text, char ret_name[CH_NAME_TEXT_B], struct ch_err *err)
{
	AUTO_IDN char *ascii = NULL;
	size_t len;
	int idn = idn2_to_ascii_8z(
		text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_ALLOW_UNASSIGNED);

	if (idn == IDN2_ENCODING_ERROR || idn == IDN2_ICONV_FAIL)
		return refuse(err, "name-not-utf8", "The name is not valid UTF-8.");
	if (idn == IDN2_TOO_BIG_LABEL)
		return refuse(err, "label-too-long",
			"A label of the name is longer than 63 characters in its ASCII form.");
	if (idn == IDN2_TOO_BIG_DOMAIN)
		return refuse(err, "name-too-long",
			"The name is longer than 253 characters in its ASCII form.");
	if (idn == IDN2_MALLOC)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (idn != IDN2_OK)
		return refuse(err, "name-idna",
			"The name is not a valid internationalized name (IDNA 2008).");
	len = strlen(ascii);
	if (len && ascii[len - 1] == '.')
		ascii[--len] = 0;
	if (len == 0)
		return refuse(err, "label-empty", "The name is only dots.");
	if (len > CH_NAME_TEXT_B - 1)
		return refuse(err, "name-too-long",
			"The name is longer than 253 characters in its ASCII form.");
	for (size_t i = 0; i <= len; i++)
		ret_name[i] =
			ascii[i] >= 'A' && ascii[i] <= 'Z' ? (char)(ascii[i] + 32) : ascii[i];
	return CH_OK;
}

/* Plain ASCII needs no mapping: judged first, so that its errors are the precise ones. */
static int check_ascii(const char *text, struct ch_err *err)
{
	char lower[CH_NAME_TEXT_B];
	size_t len = strlen(text);
	const char *label = lower;
	int rc;

	if (len && text[len - 1] == '.')
		len--;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return CH_OK;
	if (len > CH_NAME_TEXT_B - 1)
		return refuse(err, "name-too-long", "The name is longer than 253 characters.");
	for (size_t i = 0; i < len; i++)
		lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
	lower[len] = 0;
	for (;;) {
		size_t label_len = strcspn(label, ".");

		rc = check_label(label, label_len, err);
		if (rc || !label[label_len])
			return rc;
		label += label_len + 1;
	}
}

static int normalize_base(const char *text, char ret_name[CH_NAME_TEXT_B], struct ch_err *err)
{
	unsigned char ip[16];
	int rc = check_ascii(text, err);

	if (rc)
		return rc;
	if (inet_pton(AF_INET, text, ip) == 1)
		return refuse(
			err, "name-ip-literal", "This is an IP address: give a domain name.");
	rc = to_ascii(text, ret_name, err);
	if (rc == CH_OK)
		rc = check_labels(ret_name, err);
	if (rc == CH_OK)
		rc = check_reserved(ret_name, err);
	if (rc == CH_OK)
		rc = check_suffix(ret_name, err);
	return rc;
}

int ch_name_normalize(const char *text, size_t len, const struct ch_name_rules *rules,
	char ret_name[CH_NAME_TEXT_B], struct ch_err *err)
{
	char copy[NAME_INPUT_MAX_B + 1];
	char name[CH_NAME_TEXT_B];
	size_t prefix = 0;
	int rc = check_bytes(text, len, err);

	if (rc)
		return rc;
	memcpy(copy, text, len);
	copy[len] = 0;
	if (memchr(copy, '*', len)) {
		if (len < 3 || copy[0] != '*' || copy[1] != '.' || strchr(copy + 1, '*'))
			return refuse(err, "name-character",
				"A wildcard is \"*.\" followed by a name; the star stands "
				"nowhere else.");
		if (!rules->allow_wildcard)
			return refuse(err, "name-wildcard",
				"Wildcards are not accepted here: give the names one by "
				"one. (They need DNS challenges, and [store] wildcards = "
				"yes.)");
		prefix = 2;
	}
	rc = normalize_base(copy + prefix, name, err);
	if (rc)
		return rc;
	if (strlen(name) + prefix > CH_NAME_TEXT_B - 1)
		return refuse(err, "name-too-long", "The name is longer than 253 characters.");
	memcpy(ret_name, "*.", prefix);
	memcpy(ret_name + prefix, name, strlen(name) + 1);
	return CH_OK;
}

void ch_name_display(const char *name, char *ret_text, size_t text_b)
{
	AUTO_IDN char *unicode = NULL;

	if (idn2_to_unicode_8z8z(name, &unicode, 0) != IDN2_OK || strlen(unicode) >= text_b)
		snprintf(ret_text, text_b, "%s", name);
	else
		snprintf(ret_text, text_b, "%s", unicode);
}
