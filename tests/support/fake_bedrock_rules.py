"""What Bedrock's edge refuses: wrong signatures and keys, and whatever its service model does not allow.

The signatures are computed anew by botocore, and the shapes are those of its service model "bedrock-runtime".
"""

import base64
import binascii
import functools
import re
import time
from calendar import timegm
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import ParamValidator
from fake_provider import Json, Refused

__all__ = ["ACCESS_KEY_ID", "REGION", "SESSION_TOKEN", "Asked", "checked", "must_be_authorized", "refused", "routed"]

REGION = "us-east-1"
ACCESS_KEY_ID = "AKIAFAKEBEDROCK01234"
SESSION_TOKEN = "FwoGZXIvYXdzEFake/Session+Token=="
SKEW_S = 300
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


def refused(message: str, *, status: int = 400) -> Refused:
    return Refused(message, body={"message": message}, status=status)


# -- who asks --


def must_be_authorized(path: str, headers: Any, raw: bytes, *, key: str) -> None:
    """`key` is the bearer's, or the secret access key."""
    given = headers.get("authorization", "")
    if given.startswith("Bearer "):
        if given != f"Bearer {key}" or "x-amz-date" in headers:
            raise refused("Authentication failed: Please make sure your API Key is valid.", status=403)
        return
    found = AUTHORIZATION.fullmatch(given)
    if found is None:
        raise refused("Missing Authentication Token", status=403)
    access_key_id, day, region, service, names, signature = found.groups()
    if access_key_id != ACCESS_KEY_ID or headers.get("x-amz-security-token") != SESSION_TOKEN:
        raise refused("The security token included in the request is invalid.", status=403)
    if (region, service) != (REGION, "bedrock"):
        raise refused(f"Credential should be scoped to a valid region, not '{region}/{service}'.", status=403)
    signed = names.split(";")
    wanted = {"host", "content-type", *(name.lower() for name in headers if name.lower().startswith("x-amz-"))}
    if wanted - set(signed) or signed != sorted(signed):
        raise refused(f"'{sorted(wanted - set(signed))}' must be signed headers.", status=403)
    at = headers["x-amz-date"]
    if abs(timegm(time.strptime(at, "%Y%m%dT%H%M%SZ")) - time.time()) > SKEW_S or at[:8] != day:
        raise refused("Signature expired", status=403)
    if signature != _signature(path, {name: headers[name] for name in signed}, raw, at=at, key=key):
        raise refused("The request signature we calculated does not match the signature you provided.", status=403)


def _signature(path: str, headers: Mapping[str, str], raw: bytes, *, at: str, key: str) -> str:
    request = AWSRequest(method="POST", url=f"http://{headers['host']}{path}", headers=headers, data=raw)
    request.context["timestamp"] = at
    signer = SigV4Auth(Credentials(ACCESS_KEY_ID, key, SESSION_TOKEN), "bedrock", REGION)
    signature: str = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return signature


# -- what is asked --


class Asked(NamedTuple):
    """One request to one of Bedrock's operations."""

    operation: Any  # of the service model
    model: str


@functools.cache
def _service() -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime")


@functools.cache
def _routes() -> list[tuple[re.Pattern[str], Any]]:
    operations = map(_service().operation_model, _service().operation_names)
    return [
        (re.compile(re.escape(each.http["requestUri"]).replace(r"\{modelId\}", "([^/]+)")), each)
        for each in operations
        if each.http["method"] == "POST"
    ]


def routed(path: str) -> Asked:
    """Raises Refused for what is no operation, or no model."""
    for pattern, operation in _routes():
        if found := pattern.fullmatch(path):
            if not found.groups() or ":" in found[1] or "/" in found[1]:  # SDKs encode both
                break
            model = unquote(found[1])
            _check(operation.input_shape.members["modelId"], model, "modelId")
            return Asked(operation, model)
    raise Refused(path, body={"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}}, status=404)


def checked(asked: Asked, body: Any) -> Json:
    """The parameters as an SDK would give them, with blobs as bytes. Raises Refused for what the model has not."""
    shape = asked.operation.input_shape
    if not isinstance(body, dict):
        raise refused("STRUCTURE_VALUE expected")
    params: Json = {**_values(shape, body), "modelId": asked.model}
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        raise refused(report.generate_report())
    for name, member in shape.members.items():
        if name in params:
            _check(member, params[name], name)
    return params


def _values(shape: Any, value: Any) -> Any:
    """JSON -> values of a shape."""
    if shape.type_name == "blob":
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise refused(f"{shape.name} is no base64") from None
    if shape.type_name == "list" and isinstance(value, list):
        return [_values(shape.member, each) for each in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {name: _values(shape.value, each) for name, each in value.items()}
    if shape.type_name == "structure" and isinstance(value, dict) and not shape.is_document_type:
        return {
            name: _values(shape.members[name], each) if name in shape.members else each for name, each in value.items()
        }
    return value


def _check(shape: Any, value: Any, path: str) -> None:
    """What botocore leaves to the service: enumerations, patterns, lengths, unions."""
    for problem in _problems(shape, value, path):
        raise refused(f"1 validation error detected: {problem}")


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "string":
        if shape.enum and value not in shape.enum:
            yield f"Value at '{path}' failed to satisfy enum value set: {shape.enum}"
        pattern = shape.metadata.get("pattern")
        if pattern is not None and not re.fullmatch(pattern, value):
            yield f"Value at '{path}' failed to satisfy regular expression pattern: {pattern}"
    if kind in ("string", "list", "blob", "map") and not (
        shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", 10**9)
    ):
        yield f"Value at '{path}' failed to satisfy constraint: length"
    if kind == "list":
        for at, each in enumerate(value):
            yield from _problems(shape.member, each, f"{path}.{at}")
    if kind == "structure" and not shape.is_document_type:
        if shape.is_tagged_union and len(value) != 1:
            yield f"Value at '{path}' is a union: exactly one member"
        for name, each in value.items():
            yield from _problems(shape.members[name], each, f"{path}.{name}")
