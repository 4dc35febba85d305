/* Request bodies: JSON from a stranger, decoded with limits and read with typed getters that
 * latch the first error and name the field. */
#ifndef CH_STORED_JSON_IN_H
#define CH_STORED_JSON_IN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "stored/problem.h"

#define CH_JSON_DEPTH_MAX 16
/* Objects and arrays in one document: parsing costs some hundred bytes each. */
#define CH_JSON_CONTAINERS_MAX 20100u
#define CH_JSON_INT_MAX ((INT64_C(1) << 53) - 1)

/* An object as the whole document, nesting at most CH_JSON_DEPTH_MAX, no key twice, no NUL in
 * strings, UTF-8.  Problems: body-not-json, json-too-deep, body-too-large. */
CH_MUST int ch_json_in_parse(
	const char *text, size_t len, json_t **ret_object, struct ch_err *err);

#define CH_JSON_IN_FIELDS_MAX 24

struct ch_json_in {
	json_t *object;	    /* borrowed; NULL after an error */
	const char *prefix; /* put before field names in errors; borrowed */
	const char *asked[CH_JSON_IN_FIELDS_MAX];
	size_t n_asked;
	struct ch_err err; /* first error */
	char field[CH_PROBLEM_FIELD_B];
};

/* value: an object, else the error is latched.  prefix: "" or like "reason.". */
void ch_json_in_init(struct ch_json_in *in, json_t *value, const char *prefix);
/* Latches problem `bad-field` for key. */
void ch_json_in_fail(struct ch_json_in *in, const char *key, const char *fmt, ...)
	CH_PRINTF(3, 4);
/* Latches an error of another module for key. */
void ch_json_in_fail_err(struct ch_json_in *in, const char *key, const struct ch_err *err);

/* Latches the error of a reader of a part, whose prefix already names the field in full. */
void ch_json_in_adopt(struct ch_json_in *in, const struct ch_json_in *part);

enum ch_json_need { CH_JSON_OPTIONAL, CH_JSON_REQUIRED };

/* True when the field is there and not null. */
bool ch_json_in_has(struct ch_json_in *in, const char *key);
/* NULL when absent, null, or wrong.  Borrowed from the object.  At most max_b bytes. */
const char *ch_json_in_str(
	struct ch_json_in *in, const char *key, enum ch_json_need need, size_t max_b);
int64_t ch_json_in_int(struct ch_json_in *in, const char *key, enum ch_json_need need,
	int64_t least, int64_t most);
bool ch_json_in_bool(struct ch_json_in *in, const char *key, bool fallback);
/* RFC 3339; 0 when absent. */
int64_t ch_json_in_time(struct ch_json_in *in, const char *key, enum ch_json_need need);
/* base64url into out (initialized; its max_b is the limit).  Empty when absent. */
void ch_json_in_bytes(
	struct ch_json_in *in, const char *key, enum ch_json_need need, struct ch_buf *out);
/* Exactly len bytes in hex. */
void ch_json_in_hex(struct ch_json_in *in, const char *key, enum ch_json_need need,
	uint8_t *ret_bytes, size_t len);
/* Borrowed; at most max_n items. */
json_t *ch_json_in_array(
	struct ch_json_in *in, const char *key, enum ch_json_need need, size_t max_n);
/* Borrowed; a JSON object. */
json_t *ch_json_in_object(struct ch_json_in *in, const char *key, enum ch_json_need need);

/* The first error, or unknown-field for a key that nobody asked for.  The problem and field
 * are in in->err and in->field. */
CH_MUST int ch_json_in_finish(struct ch_json_in *in);

#endif
