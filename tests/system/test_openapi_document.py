"""doc/openapi.yaml by itself, and against what the server and the sources say of themselves.  What the
server answers is judged in test_openapi.py."""

import json
import re

import jsonschema
import pytest

import openapi
from api_fixture import ROOT, Answer
from openapi import ROLES, SERVER, places

DOCUMENT = openapi.Document()


def test_the_document_is_sound():
    spec = DOCUMENT.yaml
    assert spec["openapi"] == "3.1.0"
    for reference in re.findall(r'\$ref: "([^"]+)"', openapi.PATH.read_text()):
        assert DOCUMENT.at(reference) is not None, reference
    for schema in spec["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    ids = [operation.content["operationId"] for operation in DOCUMENT.operations]
    assert len(ids) == len(set(ids))
    for operation in DOCUMENT.operations:
        declared = {p["name"] for p in operation.parameters if p["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", operation.path)), operation
        if operation.body:
            DOCUMENT.judge_json(operation.body_schema(), operation.example(), str(operation))


def test_no_object_is_open():
    """But for what is free on purpose: the issuer's notes, and what is told by name."""
    free = {"#/components/schemas/LeasedOrder/properties/acme",
            "#/components/schemas/LeasedOrder/properties/answer_under",
            "#/components/schemas/LeasedOrder/properties/checks",
            "#/components/schemas/LeasedOrder/properties/failures",
            "#/components/schemas/LeasedOrder/properties/needed_by",
            "#/components/schemas/LeasedOrder/properties/rollback/anyOf/0/properties/records",
            "#/components/schemas/LeasedOrder/properties/rollback/anyOf/0/properties/second/anyOf/0/properties/records"}
    for place, schema in DOCUMENT.schemas_of_answers().items():
        if "object" in (schema.get("type"), *schema.get("type", [])) and place not in free:
            assert schema["additionalProperties"] is False, place
            assert set(schema.get("required", [])) <= set(schema["properties"]), place


def test_the_servers_routes_are_the_documents():
    body = {"none": None, "optional": False, "required": True}
    served = {
        (route["method"], route["path"]): (
            set(route["roles"]), set(route["query"]), body[route["body"]],
            route["body_max"] or None, route["summary"])
        for route in openapi.described()["routes"]
    }
    documented = {
        (operation.method, operation.path): (
            set(operation.roles), set(operation.query()),
            operation.body["required"] if operation.body else None,
            operation.content.get("x-certherd-body-max"), operation.content["summary"])
        for operation in DOCUMENT.operations
    }
    assert not served.keys() - documented.keys(), "these are not documented"
    assert not documented.keys() - served.keys(), "these are not served"
    for route, said in documented.items():
        assert said == served[route], route


def test_the_servers_words_are_the_documents():
    schemas = DOCUMENT.yaml["components"]["schemas"]
    words = openapi.described()["words"]
    assert schemas["DomainState"]["enum"] == words["domain_state"]
    assert schemas["OrderState"]["enum"] == words["order_state"]
    assert schemas["Actor"]["enum"] == words["actor"]
    assert {*ROLES, SERVER} == set(words["role"])
    assert not any(SERVER in operation.roles for operation in DOCUMENT.operations)
    states = schemas["Status"]["properties"]["names"]["required"]
    assert states == words["domain_state"] + ["total"]


def name_codes():
    source = (ROOT / "src/wire/name.c").read_text()
    return set(re.findall(r'"((?:name|label)-[a-z0-9-]+)"', source))


def test_the_servers_codes_are_the_documents():
    served = {(p["code"], p["status"]) for p in openapi.described()["problems"]}
    served |= {(code, 400) for code in name_codes()}
    documented = {(code, status) for status, codes in DOCUMENT.outside().items() for code in codes}
    for operation in DOCUMENT.operations:
        for status in operation.answers():
            documented |= {(code, status) for code in operation.codes(status)}
    assert documented == served


def test_the_reference_for_people_has_every_route_and_code():
    text = (ROOT / "doc/api.md").read_text()
    for operation in DOCUMENT.operations:
        assert re.search(rf"`{operation.method} {re.escape(operation.path)}[?`]", text), operation
    for problem in openapi.described()["problems"]:
        assert f"`{problem['code']}`" in text, problem


def names_that_handlers_ask_for():
    asked = set()
    for path in (ROOT / "src/stored").glob("*.c"):
        source = path.read_text()
        asked |= set(re.findall(r'ch_json_in_(?!fail)\w+\(\s*&?\w+,\s*"(\w+)"', source))
        asked |= set(re.findall(
            r'(?:read_(?:label|bytes)|ch_service_records|ch_says_check_records)\([^")]*"(\w+)"', source))
    # The words of a policy, each asked for by its tag.
    asked |= set(re.findall(r'return "(\w+)"', (ROOT / "src/wire/policy.c").read_text()))
    return asked


def test_every_field_that_the_server_reads_is_documented():
    """Somewhere; where exactly, test_no_other_field_is_taken asks the server."""
    documented = set()
    for operation in DOCUMENT.operations:
        if operation.body:
            documented |= {path[-1] for path, _, _ in
                           places(DOCUMENT, operation.body_schema(), operation.example())}
    assert names_that_handlers_ask_for() == documented


HEALTH = ("GET", "/v1/health")
NOT_FOUND = {"type": "urn:certherd:error:domain-not-found", "title": "t", "status": 404,
             "detail": "d", "code": "domain-not-found"}


@pytest.mark.parametrize("route,status,kind,body", [
    (HEALTH, 200, "application/json", {"status": "ok", "more": 1}),
    (HEALTH, 200, "application/json", {}),
    (HEALTH, 200, "application/json", {"status": "fine"}),
    (HEALTH, 200, "text/plain", {"status": "ok"}),
    (HEALTH, 201, "application/json", {"status": "ok"}),
    (HEALTH, 404, openapi.PROBLEM, NOT_FOUND),
    (("GET", "/v1/audit"), 404, openapi.PROBLEM, NOT_FOUND),
    (("GET", "/v1/orders/1"), 404, openapi.PROBLEM, NOT_FOUND),
    (("GET", "/v1/domains/a.example.com"), 404, openapi.PROBLEM, {**NOT_FOUND, "more": 1}),
    (("GET", "/v1/new"), 200, "application/json", {}),
    (("PATCH", "/v1/health"), 200, "application/json", {"status": "ok"})],
    ids=lambda value: value[1] if isinstance(value, tuple) else None)
def test_the_judge_notices_what_is_not_documented(route, status, kind, body):
    headers = {"Cache-Control": "no-store", "Content-Type": kind}
    judge = openapi.Document()
    with pytest.raises(AssertionError):
        judge.judge(*route, Answer(status, headers, json.dumps(body).encode()))
    assert not judge.answers


def test_the_judge_lets_pass_what_is_documented():
    judge = openapi.Document()
    headers = {"Cache-Control": "no-store", "Content-Type": "application/json"}
    judge.judge(*HEALTH, Answer(200, headers, b'{"status":"ok"}'))
    headers["Content-Type"] = openapi.PROBLEM
    body = json.dumps(NOT_FOUND).encode()
    judge.judge("GET", "/v1/domains/a.example.com", Answer(404, headers, body))
    assert len(judge.answers) == 2
