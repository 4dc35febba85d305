"""doc/openapi.yaml as a judge: every answer of a store is held against it, and it remembers what
it has seen, so that a test can ask at the end what is documented and never happened."""

import copy
import json
import re
import subprocess

import jsonschema
import yaml

from api_fixture import ROOT, Client, binary

PATH = ROOT / "doc/openapi.yaml"
METHODS = ("get", "put", "post", "delete", "patch")
PROBLEM = "application/problem+json"
ROLES = ("operator", "platform", "viewer", "issuer", "edge")
SERVER = "store"  # a role that may call nothing, though the same CA signs it


def described():
    """The store's own description of its API."""
    done = subprocess.run([binary(), "store", "--describe"], capture_output=True, check=True)
    return json.loads(done.stdout)


class Operation:
    def __init__(self, document, path, method, item, content):
        self.document = document
        self.path = path
        self.method = method.upper()
        self.content = content
        self.roles = content["x-certherd-roles"]
        self.parameters = [document.resolve(p)
                           for p in item.get("parameters", []) + content.get("parameters", [])]
        self.body = content.get("requestBody")
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        self.pattern = re.compile(f"^{pattern}$")

    def __str__(self):
        return f"{self.method} {self.path}"

    def answers(self):
        """status -> the documented answer"""
        return {int(status): self.document.resolve(answer)
                for status, answer in self.content["responses"].items()}

    def codes(self, status):
        return self.document.expand(self.answers()[status].get("x-certherd-codes", []))

    def query(self):
        return {p["name"]: p for p in self.parameters if p["in"] == "query"}

    def body_schema(self):
        return self.body["content"]["application/json"]["schema"]

    def example(self):
        return copy.deepcopy(self.body["content"]["application/json"]["example"])


class Document:
    def __init__(self):
        self.yaml = yaml.safe_load(PATH.read_text())
        self.operations = [Operation(self, path, method, item, item[method])
                           for path, item in self.yaml["paths"].items()
                           for method in METHODS if method in item]
        self.answers = set()  # (operation, status, code or None)
        self.properties = set()  # (place of the schema, property)
        self.values = set()  # (place of the schema, value)

    def resolve(self, thing):
        while "$ref" in thing and thing["$ref"].startswith("#/"):
            thing = self.at(thing["$ref"])
        return thing

    def at(self, reference):
        found = self.yaml
        for part in reference[2:].split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def expand(self, codes):
        """A list of codes, with the "@lists" in it taken apart."""
        lists = self.yaml["x-certherd-code-lists"]
        return [code for entry in codes
                for code in (lists[entry[1:]] if entry.startswith("@") else [entry])]

    def outside(self):
        """status -> codes of answers that belong to no operation"""
        return {int(status): answer["x-certherd-codes"]
                for status, answer in self.yaml["x-certherd-outside-of-routes"].items()}

    def validator(self, schema):
        # References are looked up in the document that the schema is put into.
        return jsonschema.Draft202012Validator({**schema, "components": self.yaml["components"]})

    def find(self, method, path):
        path = path.partition("?")[0]
        for operation in self.operations:
            if operation.method == method and operation.pattern.match(path):
                return operation
        return None

    def judge(self, method, path, answer):
        """Raises when the answer is not as documented; remembers it."""
        what = (method, path[:200], answer.status, answer.body[:500])
        assert answer.headers["Cache-Control"] == "no-store", what
        assert (answer.status in (429, 503)) == ("Retry-After" in answer.headers), what
        assert (answer.status == 405) == ("Allow" in answer.headers), what
        operation = self.find(method, path)
        if answer.status in self.outside():
            if operation is None or answer.status == 405:
                self.judge_outside(what, answer)
                return
        if operation is None:
            assert (answer.status, answer.code) == (401, "not-authenticated"), what
            return
        answers = operation.answers()
        assert answer.status in answers, ("a status that is not documented", what)
        self.judge_body(operation, what, answers[answer.status], answer)

    def judge_outside(self, what, answer):
        assert answer.code in self.outside()[answer.status], what
        self.answers.add(("", answer.status, answer.code))

    def judge_body(self, operation, what, documented, answer):
        content = documented.get("content", {})
        kind = answer.headers.get("Content-Type")
        if not content:
            assert (answer.body, kind) == (b"", None), what
            self.answers.add((str(operation), answer.status, None))
            return
        assert [kind] == list(content), ("another content type", kind, what)
        schema = content[kind].get("schema")
        if schema:
            self.judge_json(schema, answer.json, what)
        code = answer.code if kind == PROBLEM else None
        if code:
            assert code in operation.codes(answer.status), ("a code not documented", code, what)
        self.answers.add((str(operation), answer.status, code))

    def judge_json(self, schema, value, what):
        error = jsonschema.exceptions.best_match(self.validator(schema).iter_errors(value))
        assert error is None, (error.message, list(error.absolute_path), what)
        self.remember(schema, value, "")

    def remember(self, schema, value, place):
        """Goes through schema and value together and notes which properties and words came."""
        if "$ref" in schema:
            self.remember(self.at(schema["$ref"]), value, schema["$ref"])
        for at, choice in enumerate(schema.get("anyOf", [])):
            if self.validator(choice).is_valid(value):
                self.remember(choice, value, f"{place}/anyOf/{at}")
        if "enum" in schema:
            self.values.add((place, value))
        if isinstance(value, dict):
            for name, part in schema.get("properties", {}).items():
                if name in value:
                    self.properties.add((place, name))
                    self.remember(part, value[name], f"{place}/properties/{name}")
        if isinstance(value, list) and "items" in schema:
            for part in value:
                self.remember(schema["items"], part, f"{place}/items")

    def schemas_of_answers(self):
        """place -> each schema that answers are made of"""
        found = {}

        def walk(schema, place):
            if "$ref" in schema:
                walk(self.at(schema["$ref"]), schema["$ref"])
                return
            if place in found:
                return
            found[place] = schema
            for name, part in schema.get("properties", {}).items():
                walk(part, f"{place}/properties/{name}")
            for at, choice in enumerate(schema.get("anyOf", [])):
                walk(choice, f"{place}/anyOf/{at}")
            if "items" in schema:
                walk(schema["items"], f"{place}/items")

        for operation in self.operations:
            for answer in operation.answers().values():
                for content in answer.get("content", {}).values():
                    walk(content.get("schema", {}), "")
        return found


class Judged(Client):
    """A client whose every answer is judged."""

    def __init__(self, document, store, identity):
        super().__init__(store, identity)
        self.document = document

    def request(self, method, path, **more):
        answer = super().request(method, path, **more)
        self.document.judge(method, path, answer)
        return answer


def places(document, schema, value, at=()):
    """(path, schema, required) of every field of value, arrays' first items included."""
    schema = document.resolve(schema)
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            yield at + (name,), document.resolve(part), name in schema.get("required", [])
            yield from places(document, part, value.get(name), at + (name,))
    if isinstance(value, list) and value:
        yield from places(document, schema.get("items", {}), value[0], at + (0,))


def objects(document, schema, value, at=()):
    """(path, fields) of every object that takes listed fields only."""
    schema = document.resolve(schema)
    if isinstance(value, dict) and schema.get("additionalProperties") is False:
        yield at, list(schema["properties"])
        for name, part in schema["properties"].items():
            yield from objects(document, part, value.get(name), at + (name,))
    if isinstance(value, list) and value:
        yield from objects(document, schema.get("items", {}), value[0], at + (0,))


def wrong_values(document, schema):
    """Values that the schema forbids, one for each thing it says."""
    for choice in schema.get("anyOf", []):
        if choice != {"type": "null"}:
            yield from wrong_values(document, document.resolve(choice))
    if "enum" in schema:
        yield "nonsense"
        yield 1
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types:
        yield next(v for t, v in (("string", "text"), ("integer", 1), ("object", {}))
                   if t not in types)
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    if "minLength" in schema:
        yield ""
    if "pattern" in schema:
        yield "!"
    if "integer" in types:
        yield 1.5
    if schema.get("format") == "date-time":
        yield "yesterday"
    if schema.get("contentEncoding") == "base64url":
        yield "no base64!"


def changed(value, path, new=None, remove=False):
    """A copy of value with another value at path, or without it."""
    made = copy.deepcopy(value)
    if not path:
        return new
    inner = made
    for part in path[:-1]:
        inner = inner[part]
    if remove:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = new
    return made
