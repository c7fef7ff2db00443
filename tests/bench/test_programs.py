"""The bench's C programs: what the mock sends is legal, and the load generator counts it right."""

import json
import shutil

import pytest
from bench.load import body, load
from bench.systems import ask, mock, mock_stats

from dragoman.wire.codec import read
from dragoman.wire.events import StreamLaw, decode_event
from dragoman.wire.sse import SSEDecoder
from dragoman.wire.types import Message

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
BURST = 60


@pytest.fixture(scope="module")
def upstream():
    with mock() as running:
        yield running


@pytest.mark.parametrize(
    ("directive", "events"),
    [
        ("", BURST),
        ("[mock paced interval_us=100 deltas=7]", 2 + 7 + 3),
        ("[mock large kb=100]", 2 + 100 + 3),
        ("[mock large kb=2048 each=2048]", 2 + 1 + 3),
    ],
)
def test_streams_of_the_mock_are_legal(upstream, directive, events):
    status, content = ask(upstream.port, "/v1/messages", content=body(directive, stream=True))
    decoder, law = SSEDecoder(), StreamLaw()
    found = [decode_event(event) for event in decoder.feed(content)]
    for event in found:
        law.check(event)
    assert (status, law.is_done, len(found)) == (200, True, events)


@pytest.mark.parametrize("directive", ["", "[mock large kb=64]"])
def test_replies_of_the_mock_are_messages(upstream, directive):
    status, content = ask(upstream.port, "/v1/messages", content=body(directive))
    assert status == 200
    assert read(Message, json.loads(content)).usage.input_tokens == 231


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1beta/models/m:generateContent", "/v1/messages/count_tokens"]
)
def test_other_formats_are_json(upstream, path):
    status, content = ask(upstream.port, path, content=body())
    assert status == 200
    assert json.loads(content)


@pytest.mark.parametrize("size", [1 << 10, 1 << 20, 20 << 20])
def test_bodies_of_every_size_are_taken(upstream, size):
    assert ask(upstream.port, "/v1/messages", content=body(stream=True, size=size))[0] == 200


@pytest.mark.parametrize("new", [0, 1])
def test_the_load_counts_requests_and_events(upstream, tmp_path, new):
    before = mock_stats(upstream)
    saw = load(upstream, body(stream=True), tmp_path, connections=1, requests=20, seconds=10, new=new)
    after = mock_stats(upstream)
    assert (saw.requests, saw.errors, saw.events) == (20, 0, 20 * BURST)
    assert after["requests"] - before["requests"] == 20
    assert 0 < saw.first_p50 <= saw.p50 <= saw.p99
