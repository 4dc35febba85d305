#include "stored/json_in.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"

/* Before jansson recurses or allocates: depth and the number of containers. */
static int prescan(const char *text, size_t len, struct ch_err *err)
{
	size_t containers = 0;
	int depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			containers++;
			if (++depth > CH_JSON_DEPTH_MAX)
				return ch_err_set(err, CH_EINVAL, "json-too-deep",
					"The JSON is nested deeper than %d.",
					CH_JSON_DEPTH_MAX);
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	if (containers > CH_JSON_CONTAINERS_MAX)
		return ch_err_set(err, CH_ETOOBIG, "body-too-large",
			"The JSON has more than %u objects and arrays.",
			CH_JSON_CONTAINERS_MAX);
	return CH_OK;
}

int ch_json_in_parse(const char *text, size_t len, json_t **ret_object, struct ch_err *err)
{
	json_error_t why;
	json_t *value;
	int rc = prescan(text, len, err);

	if (rc)
		return rc;
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!value)
		return ch_err_set(err, CH_EINVAL, "body-not-json", "Line %d, column %d: %s.",
			why.line, why.column, why.text);
	if (!json_is_object(value)) {
		json_decref(value);
		return ch_err_set(
			err, CH_EINVAL, "body-not-json", "The body must be a JSON object.");
	}
	*ret_object = value;
	return CH_OK;
}

void ch_json_in_init(struct ch_json_in *in, json_t *value, const char *prefix)
{
	memset(in, 0, sizeof(*in));
	in->prefix = prefix;
	if (json_is_object(value))
		in->object = value;
	else
		ch_json_in_fail(in, "", "Expected a JSON object.");
}

static void name_field(struct ch_json_in *in, const char *key)
{
	size_t len;

	snprintf(in->field, sizeof(in->field), "%s%s", in->prefix, key);
	len = strlen(in->field);
	if (!*key && len && in->field[len - 1] == '.')
		in->field[len - 1] = 0;
}

void ch_json_in_fail_err(struct ch_json_in *in, const char *key, const struct ch_err *err)
{
	if (in->err.rc)
		return;
	in->err = *err;
	in->object = NULL;
	name_field(in, key);
}

void ch_json_in_adopt(struct ch_json_in *in, const struct ch_json_in *part)
{
	if (in->err.rc)
		return;
	in->err = part->err;
	in->object = NULL;
	memcpy(in->field, part->field, sizeof(in->field));
}

static void CH_PRINTF(4, 0) fail_va(struct ch_json_in *in, const char *problem, const char *key,
	const char *fmt, va_list args)
{
	char detail[256];
	struct ch_err err = {0};

	vsnprintf(detail, sizeof(detail), fmt, args);
	(void)ch_err_set(&err, CH_EINVAL, problem, "%s", detail);
	ch_json_in_fail_err(in, key, &err);
}

void ch_json_in_fail(struct ch_json_in *in, const char *key, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fail_va(in, "bad-field", key, fmt, args);
	va_end(args);
}

static void CH_PRINTF(4, 5) fail_as(
	struct ch_json_in *in, const char *problem, const char *key, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fail_va(in, problem, key, fmt, args);
	va_end(args);
}

/* The value under key: NULL when it is absent or null, or after an error. */
static json_t *ask(struct ch_json_in *in, const char *key, enum ch_json_need need)
{
	json_t *value;

	if (!in->object)
		return NULL;
	if (in->n_asked < CH_JSON_IN_FIELDS_MAX)
		in->asked[in->n_asked++] = key;
	value = json_object_get(in->object, key);
	if (value && !json_is_null(value))
		return value;
	if (need == CH_JSON_REQUIRED)
		fail_as(in, "missing-field", key, "\"%s\" is required.", key);
	return NULL;
}

bool ch_json_in_has(struct ch_json_in *in, const char *key)
{
	json_t *value = in->object ? json_object_get(in->object, key) : NULL;

	return value && !json_is_null(value);
}

const char *ch_json_in_str(
	struct ch_json_in *in, const char *key, enum ch_json_need need, size_t max_b)
{
	json_t *value = ask(in, key, need);

	if (!value)
		return NULL;
	if (!json_is_string(value)) {
		ch_json_in_fail(in, key, "\"%s\" must be a string.", key);
		return NULL;
	}
	if (json_string_length(value) > max_b) {
		ch_json_in_fail(in, key, "\"%s\" is longer than %zu bytes.", key, max_b);
		return NULL;
	}
	return json_string_value(value);
}

int64_t ch_json_in_int(struct ch_json_in *in, const char *key, enum ch_json_need need,
	int64_t least, int64_t most)
{
	json_t *value = ask(in, key, need);
	int64_t v;

	if (!value)
		return least;
	v = json_is_integer(value) ? json_integer_value(value) : 0;
	if (!json_is_integer(value) || v < least || v > most) {
		ch_json_in_fail(in, key,
			"\"%s\" must be an integer from %" PRId64 " to %" PRId64 ".", key,
			least, most);
		return least;
	}
	return v;
}

bool ch_json_in_bool(struct ch_json_in *in, const char *key, bool fallback)
{
	json_t *value = ask(in, key, CH_JSON_OPTIONAL);

	if (!value)
		return fallback;
	if (!json_is_boolean(value)) {
		ch_json_in_fail(in, key, "\"%s\" must be true or false.", key);
		return fallback;
	}
	return json_is_true(value);
}

int64_t ch_json_in_time(struct ch_json_in *in, const char *key, enum ch_json_need need)
{
	const char *text = ch_json_in_str(in, key, need, CH_TIME_STR_B);
	int64_t at_ms = 0;

	if (text && ch_time_parse(text, &at_ms))
		ch_json_in_fail(in, key,
			"\"%s\" must be a time like 2026-11-22T10:12:00.123Z (RFC 3339, UTC).",
			key);
	return at_ms;
}

void ch_json_in_bytes(
	struct ch_json_in *in, const char *key, enum ch_json_need need, struct ch_buf *out)
{
	const char *text = ch_json_in_str(in, key, need, CH_B64U_TEXT_B(out->max_b));
	CH_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	if (!text)
		return;
	if (ch_b64u_decode_alloc(text, out->max_b, &bytes, &len)) {
		ch_json_in_fail(in, key,
			"\"%s\" must be base64url without padding, of at most %zu bytes.", key,
			out->max_b);
		return;
	}
	if (ch_buf_add(out, bytes, len))
		ch_json_in_fail(in, key, "Out of memory.");
}

void ch_json_in_hex(struct ch_json_in *in, const char *key, enum ch_json_need need,
	uint8_t *ret_bytes, size_t len)
{
	const char *text = ch_json_in_str(in, key, need, 2 * len);

	if (text && (strlen(text) != 2 * len || ch_hex_decode(text, ret_bytes, len)))
		ch_json_in_fail(in, key, "\"%s\" must be %zu hex digits.", key, 2 * len);
}

json_t *ch_json_in_array(
	struct ch_json_in *in, const char *key, enum ch_json_need need, size_t max_n)
{
	json_t *value = ask(in, key, need);

	if (!value)
		return NULL;
	if (!json_is_array(value) || json_array_size(value) > max_n) {
		ch_json_in_fail(
			in, key, "\"%s\" must be an array of at most %zu items.", key, max_n);
		return NULL;
	}
	return value;
}

json_t *ch_json_in_object(struct ch_json_in *in, const char *key, enum ch_json_need need)
{
	json_t *value = ask(in, key, need);

	if (value && !json_is_object(value)) {
		ch_json_in_fail(in, key, "\"%s\" must be an object.", key);
		return NULL;
	}
	return value;
}

static bool was_asked(const struct ch_json_in *in, const char *key)
{
	for (size_t i = 0; i < in->n_asked; i++)
		if (strcmp(in->asked[i], key) == 0)
			return true;
	return false;
}

int ch_json_in_finish(struct ch_json_in *in)
{
	const char *key;
	json_t *value;

	if (in->err.rc)
		return in->err.rc;
	json_object_foreach(in->object, key, value)
	{
		if (!was_asked(in, key)) {
			fail_as(in, "unknown-field", key, "\"%.64s\" is not a field here.",
				key);
			break;
		}
	}
	return in->err.rc;
}
