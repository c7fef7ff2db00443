"""The machine over bytes: every framing, read alike however the network cuts it, and bounded in what it keeps."""

import gzip

import pytest
from wrong_replies import LEGAL, OK, WRONG, Legal

from dragoman.http.base import ReplyBroken
from dragoman.http.connection import HEAD_LIMIT_BYTES, Connection


def begun(method: str = "GET") -> Connection:
    connection = Connection("h:1")
    connection.start(method)
    return connection


def taken(connection: Connection) -> tuple[bytes, bool]:
    """The body that is there, and whether it is whole."""
    body = b""
    while piece := connection.take():
        body += piece
    return body, piece is None


def cuts(data: bytes) -> list[list[bytes]]:
    """`data` whole, cut in two at every place, and byte for byte."""
    return [
        [data],
        *([data[:at], data[at:]] for at in range(1, len(data))),
        [data[at : at + 1] for at in range(len(data))],
    ]


@pytest.mark.parametrize("case", LEGAL.values(), ids=LEGAL.keys())
def test_a_legal_reply_reads_alike_at_every_cut(case: Legal) -> None:
    for pieces in cuts(case.data):
        connection = begun(case.method)
        for piece in pieces:
            connection.feed(piece)
        if case.ends:
            connection.feed_eof()
        assert taken(connection) == (case.body, True), pieces
        assert (connection.status, connection.is_reusable, connection.is_done) == (case.status, case.keeps, True)
        assert connection.received == len(case.data)


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_reply_is_refused_at_every_cut(data: bytes) -> None:
    """Before the server closes: nobody is to wait for it."""
    for pieces in cuts(data):
        connection = begun()
        for piece in pieces:
            connection.feed(piece)
        with pytest.raises(ReplyBroken, match=r"^h:1: "):
            taken(connection)
        assert not connection.is_reusable


@pytest.mark.parametrize("case", LEGAL.values(), ids=LEGAL.keys())
def test_a_reply_that_is_cut_off_is_never_whole(case: Legal) -> None:
    whole = len(case.data) if case.keeps or case.ends else 0  # those with bytes behind them end before
    for end in range(whole):
        connection = begun(case.method)
        connection.feed(case.data[:end])
        connection.feed_lost() if case.ends else connection.feed_eof()
        with pytest.raises(ReplyBroken):
            taken(connection)


def test_replies_follow_each_other_on_one_connection() -> None:
    connection = Connection("h:1")
    for _ in range(3):
        for case in LEGAL.values():
            if case.keeps:
                connection.start(case.method)
                connection.feed(case.data)
                assert taken(connection) == (case.body, True)
                assert connection.is_reusable


def test_what_has_arrived_is_one_piece() -> None:
    connection = begun()
    connection.feed(OK + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 60)
    connection.feed(b"1\r\nb\r\n")
    assert connection.buffered == 61
    assert connection.take() == b"a" * 60 + b"b"
    assert (connection.take(), connection.buffered) == (b"", 0)


def test_what_came_before_an_error_is_handed_on() -> None:
    connection = begun()
    connection.feed(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nx")
    assert connection.take() == b"abc"
    with pytest.raises(ReplyBroken, match="chunk size"):
        connection.take()


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 103 E\r\nlink: </a>\r\n\r\n", OK + b"x: y\r\n", b"HTTP/1.1 200 " + b"a" * 99]
)
@pytest.mark.parametrize("size", [100, 1 << 20])
def test_headers_are_bounded(head: bytes, size: int) -> None:
    connection = begun()
    data = (head + b"x: y\r\n" * 50 if not head.endswith(b"\r\n\r\n") else head * 20) * 2000
    for at in range(0, len(data), size):
        connection.feed(data[at : at + size])
        if connection.error is not None:
            break
    assert connection.error is not None
    assert connection.received <= HEAD_LIMIT_BYTES + size


def test_the_number_of_headers_is_bounded() -> None:
    connection = begun()
    connection.feed(OK + b"x: y\r\n" * 1001 + b"\r\n")
    assert "1000 headers" in str(connection.error)


@pytest.mark.parametrize("junk", [b"3;" + b"a" * 100_000, b"0\r\n" + b"x: y\r\n" * 20_000, b"0" * 100_000])
def test_chunk_extensions_and_trailers_are_bounded(junk: bytes) -> None:
    for size in (1000, len(junk)):
        connection = begun()
        connection.feed(OK + b"transfer-encoding: chunked\r\n\r\n")
        for at in range(0, len(junk), size):
            connection.feed(junk[at : at + size])
        assert connection.error is not None


def test_small_chunks_with_extensions_pay_their_way() -> None:
    connection = begun()
    connection.feed(OK + b"transfer-encoding: chunked\r\n\r\n")
    for _ in range(5000):
        connection.feed(b"3;chunk-signature=" + b"f" * 64 + b"\r\nabc\r\n")
        assert connection.take() == b"abc"


def test_a_compressed_body_is_unpacked_at_every_cut() -> None:
    packed = gzip.compress(b"plain text")
    data = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
    for pieces in cuts(data):
        connection = begun()
        for piece in pieces:
            connection.feed(piece)
        assert taken(connection) == (b"plain text", True)
        assert connection.headers == []


def test_no_message_holds_a_byte_of_the_reply() -> None:
    for data in WRONG.values():
        connection = begun()
        connection.feed(data.replace(b"x", b"sk-key"))
        assert "sk-" not in str(connection.error)
