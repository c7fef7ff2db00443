"""The rules of test_contract.py for recordings of the Messages API itself, wherever it is: all that comes is handed on
as it is, usage and errors are read on the way. One test for a rule and a provider, for there are many recordings."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

import pytest
from changing import OTHERS, changed, with_more
from passing_cases import ADDED, PASSING, events_in, passed, told_bytes
from streams import chunks
from translating_cases import SECRET, Json

from dragoman.errors import ApiError, UpstreamFailed, status_of
from dragoman.providers.base import Operation, StreamReader, Target
from dragoman.providers.eventstream import encode_frame
from dragoman.wire.codec import plain
from dragoman.wire.envelope import Envelope
from dragoman.wire.events import Fold, StreamLaw, decode_event
from dragoman.wire.headers import Headers
from dragoman.wire.sse import ServerEvent, SSEDecoder

STREAMS = {folder: passed(folder, "streams") for folder in PASSING}
REPLIES = {folder: passed(folder, "replies") for folder in PASSING}
each_folder = pytest.mark.parametrize("folder", PASSING)


class Outcome(NamedTuple):
    """What came of a stream: events, then the end, or an error."""

    out: bytes
    status: int = 200
    kind: str = ""


def outcome(reader: StreamReader, pieces: Iterable[bytes]) -> Outcome:
    """Feeds as the gateway does: what failed is raised at the next piece, or at the end."""
    out: list[bytes] = []
    decoder = SSEDecoder()
    try:
        for piece in pieces:
            out.append(reader.feed(piece))
            decoder.feed(out[-1])
            assert decoder.pending == 0  # whole events alone
            if reader.is_done:
                break
        if not reader.is_done:
            reader.close()
            raise AssertionError("a stream that is not done was closed without an error")
    except ApiError as error:
        assert not reader.is_done
        return Outcome(b"".join(out), error.status, error.kind)
    if reader.error is None:
        return Outcome(b"".join(out))
    kind = json.loads(reader.error)["error"]["type"]
    return Outcome(b"".join(out), status_of(kind), kind)


def events_of(out: bytes) -> list[ServerEvent]:
    return SSEDecoder().feed(out)


def known(usage: Any) -> Json:
    """What of a usage is told."""
    return {name: value for name, value in usage.items() if value is not None}


@each_folder
def test_a_dialect_has_recordings_enough(folder: str) -> None:
    assert len(STREAMS[folder]) >= 12
    assert len(REPLIES[folder]) >= 12


@each_folder
def test_a_recorded_stream_is_handed_on_lawful_and_becomes_its_message(folder: str) -> None:
    """Pain 1, 24, 25: every event as it came, without a cloud's additions; in the end the message, or one error."""
    for case in STREAMS[folder]:
        reader = PASSING[folder].stream()
        ended = outcome(reader, [case.body])
        law, fold = StreamLaw(), Fold(keep_cut_text=False)
        events = events_of(ended.out)
        for event in map(decode_event, events):
            law.check(event)
            fold.add(event)
        expected = events_in(case)
        assert [json.loads(event.data) for event in events] == expected, case.name
        assert [event.name for event in events] == [event["type"] for event in expected], case.name
        assert ADDED.encode() not in ended.out
        if case.error is not None:
            assert (ended.status, ended.kind) == (case.error["status"], case.error["kind"]), case.name
            continue
        message = fold.value()
        assert case.message is not None
        assert message == case.message, case.name
        assert (ended.status, reader.is_done, law.is_done, reader.has_content) == (200, True, True, True)
        assert reader.usage is not None
        assert known(plain(reader.usage)) == known(case.usage or message["usage"]), case.name
        assert reader.stop_reason == message["stop_reason"]


def test_the_apis_own_streams_are_handed_on_to_the_byte() -> None:
    for folder in ("messages", "vertex_claude"):
        for case in STREAMS[folder]:
            if case.error is None and b"vertex_event" not in case.body:
                assert outcome(PASSING[folder].stream(), [case.body]).out == case.body, case.name


@each_folder
def test_a_recorded_stream_may_be_cut_at_every_byte_and_end_at_every_byte(folder: str) -> None:
    """Pain 24, 43: at each byte what is out is whole and lawful, and an end there is a failure."""
    for case in STREAMS[folder]:
        body = case.body
        whole = outcome(PASSING[folder].stream(), [body])
        reader, decoder, law = PASSING[folder].stream(), SSEDecoder(), StreamLaw()
        for at in range(len(body)):
            try:
                ready = reader.feed(body[at : at + 1])
            except ApiError:
                break
            for event in decoder.feed(ready):
                law.check(decode_event(event))
            assert decoder.pending == 0
            if reader.is_done:
                break
            with pytest.raises(ApiError):
                reader.close()
        assert reader.is_done == (whole.status == 200 or reader.error is not None)
        assert outcome(PASSING[folder].stream(), [body[at : at + 1] for at in range(len(body))]) == whole, case.name
        rng = Random(case.name)
        for cut in rng.sample(range(len(body)), 20):
            assert outcome(PASSING[folder].stream(), [body[:cut], body[cut:]]) == whole, case.name
            assert outcome(PASSING[folder].stream(), chunks(rng, body)) == whole, case.name


@each_folder
def test_an_error_before_any_content_can_still_be_a_status(folder: str) -> None:
    """Pain 25, 26: so another provider may answer."""
    firsts = [case for case in STREAMS[folder] if case.name.endswith("_first")]
    assert firsts
    for case in firsts:
        reader = PASSING[folder].stream()
        outcome(reader, [case.body])
        assert reader.failed_first or (reader.failure is not None and not reader.has_content), case.name


@each_folder
def test_no_change_of_a_chunk_is_more_than_an_error(folder: str) -> None:
    """Pain 57: each key of each chunk missing, and values null or of another type, in whatever frame."""
    for case in STREAMS[folder]:
        rng = Random(case.name)
        for at, told in enumerate(case.chunks):
            if not isinstance(told, dict):
                continue
            before, after = case.stream_of(case.chunks[:at]), case.stream_of(case.chunks[at + 1 :])
            variants = [*changed(told, *OTHERS), *OTHERS[:6]]
            names = [None] if folder == "bedrock_claude" else [None, told.get("type")]
            for variant in [*changed(told), *rng.sample(variants, min(len(variants), 8))]:
                for name in names:
                    reader = PASSING[folder].stream()
                    ended = outcome(reader, [before + told_bytes(variant, folder, name) + after])
                    for event in events_of(ended.out):
                        json.loads(event.data)
                    assert reader.usage is None or isinstance(reader.usage.output_tokens, int)


@pytest.mark.parametrize("kind", ["chunk", "", "later"])
def test_no_payload_of_a_frame_is_more_than_an_error(kind: str) -> None:
    """Pain 57: Bedrock's own frame around an event, without its bytes, or with others."""
    for payload in (*OTHERS, {"p": "abc"}, {"bytes": 5}, {"bytes": "?"}, {"bytes": "bnVsbA=="}, {"bytes": "e30="}):
        headers = {":event-type": kind, ":message-type": "event"}
        frame = encode_frame({name: value for name, value in headers.items() if value}, json.dumps(payload).encode())
        ended = outcome(PASSING["bedrock_claude"].stream(), [frame])
        assert (ended.out, ended.status, ended.kind) == (b"", 502, "api_error")


@each_folder
def test_fields_of_a_later_version_change_nothing(folder: str) -> None:
    for case in STREAMS[folder]:
        later = [with_more(told, later={"a": None}) if isinstance(told, dict) else told for told in case.chunks]
        if folder == "bedrock_claude":  # a frame's own fields, not another frame
            later = [{name: with_more(item, later={"a": None}) for name, item in told.items()} for told in case.chunks]
        plainly, reader = PASSING[folder].stream(), PASSING[folder].stream()
        expected = outcome(plainly, [case.body])
        ended = outcome(reader, [case.stream_of(later)])
        assert (ended.status, ended.kind) == (expected.status, expected.kind), case.name
        assert reader.stop_reason == plainly.stop_reason
        assert (reader.usage is None) == (plainly.usage is None)
        if reader.usage is not None and plainly.usage is not None:
            assert reader.usage.output_tokens == plainly.usage.output_tokens


# -- whole replies --


@each_folder
def test_a_recorded_reply_is_handed_on_and_a_recorded_error_is_mapped(folder: str) -> None:
    """Pain 17, 28, 70."""
    for case in REPLIES[folder]:
        if case.error is not None:
            reply = PASSING[folder].read_error(case.status, case.body, request_id="req_1")
            envelope = json.loads(reply.body)
            assert (reply.status, envelope["error"]["type"]) == (case.error["status"], case.error["kind"]), case.name
            assert envelope["type"] == "error"
            assert envelope["error"]["message"]
            assert envelope["request_id"].startswith("req_")
            continue
        answered = PASSING[folder].read(Operation.MESSAGES, case.body)
        kept = {name: item for name, item in case.reply.items() if not name.startswith(ADDED)}
        assert json.loads(answered.body) == kept, case.name
        assert answered.body == case.body or len(kept) < len(case.reply)
        assert answered.usage is not None
        assert known(plain(answered.usage)) == known(kept["usage"]), case.name
        assert answered.stop_reason == kept["stop_reason"]


@each_folder
def test_no_change_of_a_reply_is_more_than_an_error(folder: str) -> None:
    """Pain 57."""
    for case in REPLIES[folder]:
        variants = list(changed(case.reply, *OTHERS))
        rng = Random(case.name)
        for variant in [*changed(case.reply), *rng.sample(variants, min(len(variants), 60)), *OTHERS]:
            body = json.dumps(variant).encode()
            envelope = json.loads(PASSING[folder].read_error(case.status, body, request_id="req_1").body)
            assert isinstance(envelope["error"]["type"], str)
            assert isinstance(envelope["error"]["message"], str)
            try:
                answered = PASSING[folder].read(Operation.MESSAGES, body)
            except UpstreamFailed:
                continue
            assert json.loads(answered.body)["type"] == "message"


@each_folder
def test_no_secret_is_in_a_repr(folder: str) -> None:
    """Pain 79."""
    target = Target(provider="p", model="claude", base_url="https://p.test", api_key=SECRET, auth="bearer")
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": SECRET}]}).encode()
    request = PASSING[folder].prepare(Operation.MESSAGES, Envelope(body), Headers([]), target=target)
    assert SECRET not in repr((target, request, PASSING[folder]))
