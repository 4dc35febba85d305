#include "api_scene.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/log.h"
#include "memory_store.h"
#include "wire/record.h"

#define BODY_MAX_B 8192u

static struct ch_service service;

static json_t *send(enum ch_role role, const char *method, const char *uri, const char *body)
{
	struct ch_fuzz_request request = {.role = role,
		.method = method,
		.uri = uri,
		.body = body,
		.body_len = strlen(body)};
	struct ch_fuzz_reply reply;
	json_t *doc;

	ch_fuzz_exchange(&service, &request, &reply);
	CH_FUZZ_CHECK(reply.status >= 200 && reply.status <= 299);
	doc = json_loadb(reply.body ? reply.body : "", reply.body_len, 0, NULL);
	ch_fuzz_reply_done(&reply);
	return doc;
}

static void tell(enum ch_role role, const char *method, const char *uri, const char *body)
{
	json_decref(send(role, method, uri, body));
}

#define CAS                                                                                    \
	",\"pace\":{\"account\":\"one.test/1\",\"ca\":\"main\"},"                              \
	"\"fallback\":[{\"account\":\"two.test/1\",\"ca\":\"backup\"}]"

/* A new order, with this id. */
static void lease_with(json_int_t id, const char *body)
{
	const json_t *order;
	json_t *doc;

	ch_fuzz_store_number((uint64_t)id);
	doc = send(CH_ROLE_ISSUER, "POST", "/v1/leases", body);
	order = json_array_get(json_object_get(doc, "orders"), 0);
	CH_FUZZ_CHECK(json_integer_value(json_object_get(order, "id")) == id);
	CH_FUZZ_CHECK(json_integer_value(json_object_get(order, "fence")) == 1);
	json_decref(doc);
}

static void lease(json_int_t id)
{
	lease_with(id, "{\"max\":1,\"lease_ms\":3600000}");
}

static void seal(json_int_t id)
{
	char uri[64];

	snprintf(uri, sizeof(uri), "/v1/orders/%lld", (long long)id);
	tell(CH_ROLE_ISSUER, "PATCH", uri,
		"{\"fence\":1,\"state\":\"sealed\",\"keep_lease\":true,\"csr\":\"MAMBAgM\","
		"\"sealed\":\"Q0hTMg\",\"acme\":{\"order\":\"https://ca.test/o\"}}");
}

/* Signatures are not the store's business: these are zeros. */
static void add_record(struct ch_buf *out, const char *name, uint64_t version)
{
	static const uint8_t zeros[64];
	struct ch_record record = {
		.kind = CH_RECORD_CERT,
		.version = version,
		.name = name,
		.name_len = strlen(name),
		.key_version = version,
		.not_before_s = 1800000000,
		.not_after_s = 1807776000,
		.chain_id = zeros,
		.leaf = (const uint8_t *)"0\3\1\1\0",
		.leaf_len = 5,
		.sealed = {{zeros, 0x20, zeros, 32, zeros, 17}},
		.n_sealed = 1,
		.signer_id = zeros,
	};
	struct ch_buf bytes;

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	CH_FUZZ_CHECK(ch_record_encode(&record, &bytes) == CH_OK);
	ch_buf_add(&bytes, zeros, CH_SIGNATURE_B);
	ch_b64u_add(out, bytes.data, bytes.len);
	ch_buf_done(&bytes);
}

static void publish(json_int_t id, const char *name)
{
	struct ch_buf body;
	char uri[64];

	snprintf(uri, sizeof(uri), "/v1/orders/%lld/publish", (long long)id);
	ch_buf_init(&body, BODY_MAX_B);
	ch_buf_add_str(&body,
		"{\"fence\":1,\"leaf\":\"MAMBAQA\",\"chain\":\"\",\"serial\":\"03a1\","
		"\"issuer\":\"CN=E7\",\"not_before\":\"2027-01-15T08:00:00Z\","
		"\"not_after\":\"2027-04-15T08:00:00Z\",\"renew_at\":\"2027-03-15T08:00:00Z\","
		"\"next_at\":\"2027-01-15T09:00:00Z\","
		"\"spki_sha256\":\"");
	for (int i = 0; i < 32; i++)
		ch_buf_add_str(&body, "00");
	ch_buf_add_str(&body, "\",\"records\":[\"");
	add_record(&body, name, (uint64_t)id);
	ch_buf_add_str(&body, "\"]}");
	tell(CH_ROLE_ISSUER, "POST", uri, ch_buf_str(&body));
	ch_buf_done(&body);
}

static void finish(json_int_t id)
{
	char uri[64];

	snprintf(uri, sizeof(uri), "/v1/orders/%lld", (long long)id);
	tell(CH_ROLE_ISSUER, "PATCH", uri, "{\"fence\":1,\"state\":\"done\"}");
}

/* One with a standby certificate. */
static void make_kept(void)
{
	tell(CH_ROLE_PLATFORM, "PUT", "/v1/domains/kept.example.com",
		"{\"standby\":\"backup\"}");
	for (json_int_t id = 50; id <= 60; id += 10) {
		lease_with(id, "{\"max\":1,\"lease_ms\":3600000" CAS "}");
		seal(id);
		publish(id, "kept.example.com");
		finish(id);
	}
}

static void make(void)
{
	make_kept();
	tell(CH_ROLE_PLATFORM, "PUT", "/v1/domains/shop.example.com", "{\"tenant\":\"acme\"}");
	tell(CH_ROLE_EDGE, "PUT", "/v1/edges/self",
		"{\"epoch\":\"000102030405060708090a0b0c0d0e0f\",\"seq\":1,\"names\":1,"
		"\"software\":\"fuzz\"}");
	lease(100);
	seal(100);
	publish(100, "shop.example.com");
	tell(CH_ROLE_PLATFORM, "PUT", "/v1/domains/two.example.com", "{\"www\":true}");
	lease(200);
	seal(200);
	tell(CH_ROLE_PLATFORM, "PUT", "/v1/domains/idle.example.com", "");
	tell(CH_ROLE_PLATFORM, "PUT", "/v1/domains/rest.example.com", "");
	tell(CH_ROLE_OPERATOR, "POST", "/v1/domains/rest.example.com/pause", "");
}

struct ch_service *ch_fuzz_scene(void)
{
	if (!service.store) {
		ch_log_init("fuzz", CH_LOG_ERROR);
		ch_fuzz_stop_clock();
		service.store = ch_fuzz_store_open();
		/* Without the store: what is written at its own time would be in the way. */
		CH_FUZZ_CHECK(ch_issuers_new(NULL, &service.issuers, NULL) == CH_OK);
		make();
		ch_fuzz_store_keep();
	}
	return &service;
}
