"""AWS's binary event streams, cut and broken anywhere."""

from random import Random

import pytest
from streams import chunks

from dragoman.providers.eventstream import EventStreamDecoder, Frame, FrameBroken, encode_frame

FRAMES = [
    Frame({":message-type": "event", ":event-type": "chunk", ":content-type": "application/json"}, b'{"bytes":"e30="}'),
    Frame({":message-type": "exception", ":exception-type": "throttlingException"}, '{"message":"höflich"}'.encode()),
    Frame({}, b""),
    Frame({":event-type": "contentBlockDelta"}, bytes(range(256)) * 40),
]
STREAM = b"".join(encode_frame(*frame) for frame in FRAMES)


def test_frames_come_out_as_they_went_in_however_they_are_cut() -> None:
    rng = Random("frames")
    for most in (1, 3, 1000, len(STREAM)):
        decoder = EventStreamDecoder()
        assert [frame for piece in chunks(rng, STREAM, most=most) for frame in decoder.feed(piece)] == FRAMES
        assert decoder.pending == 0


def test_a_frame_waits_for_its_last_byte() -> None:
    decoder = EventStreamDecoder()
    assert list(decoder.feed(STREAM[:-1])) == FRAMES[:-1]
    assert decoder.pending > 0
    assert list(decoder.feed(STREAM[-1:])) == FRAMES[-1:]


def test_headers_of_all_types_are_stepped_over() -> None:
    """Only texts are kept: no event of Bedrock's has others."""
    plain = encode_frame({"x": "y"}, b"p")
    others = b"".join(b"\x01n" + bytes([kind]) + bytes(size) for kind, size in {0: 0, 2: 1, 3: 2, 5: 8, 9: 16}.items())
    headers = others + b"\x01b\x06\x00\x03abc" + b"\x01x\x07\x00\x01y"
    assert list(EventStreamDecoder().feed(framed(headers, b"p"))) == list(EventStreamDecoder().feed(plain))


def framed(headers: bytes, payload: bytes) -> bytes:
    from binascii import crc32

    lengths = (16 + len(headers) + len(payload)).to_bytes(4) + len(headers).to_bytes(4)
    data = lengths + crc32(lengths).to_bytes(4) + headers + payload
    return data + crc32(data).to_bytes(4)


@pytest.mark.parametrize("at", range(0, 120, 7))
def test_a_flipped_bit_is_seen(at: int) -> None:
    broken = bytearray(STREAM)
    broken[at] ^= 4
    with pytest.raises(FrameBroken):
        list(EventStreamDecoder().feed(bytes(broken)))


@pytest.mark.parametrize(
    "headers", [b"\x05ab", b"\x01a\x63", b"\x01a\x07\x00\x09b", b"\x01\xff\x07\x00\x01b", b"\x01a\x05\x00", b"\x01a"]
)
def test_headers_that_cannot_be_read(headers: bytes) -> None:
    with pytest.raises(FrameBroken):
        list(EventStreamDecoder().feed(framed(headers, b"")))


def test_bytes_of_any_kind_are_no_more_than_broken() -> None:
    rng = Random("any")
    for _ in range(200):
        with pytest.raises(FrameBroken):
            list(EventStreamDecoder().feed(rng.randbytes(rng.randint(12, 60))))


def test_what_came_before_a_broken_frame_is_handed_out() -> None:
    """So that what is told does not hang on how the bytes were cut."""
    frames = EventStreamDecoder().feed(STREAM + b"garbage garbage")
    assert [next(frames) for _ in FRAMES] == FRAMES
    with pytest.raises(FrameBroken):
        next(frames)
