"""A program of its own that reads PDFs: `pdf.py` runs it, so that what a file makes a parser do ends with this process.

In: the most pages of all files together (4 bytes), then each file behind its size (4 bytes), all big-endian. Out: a
line of JSON for each, in order: `{"pages": ["text of page 1", ...]}` or `{"fault": one of FAULTS}`; the first fault
ends the program. It is run by its path, not as part of the package, which it must not import: starting takes 0.1 s,
most of it PDFium's bindings.
"""

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

import pypdfium2_raw as pdfium  # type: ignore[import-untyped]

__all__ = ["FAULTS", "limit_resources", "read"]

FAULTS = ("invalid", "password", "too_many_pages", "unreadable")
# A page is dense with 12,000 characters, and the largest context holds about four million.
PAGE_CHARACTERS = 100_000
ALL_CHARACTERS = 8_000_000
MEMORY_BYTES = 768 << 20
CPU_S = 6  # of a processor, for all files together
OPEN_FILES = 16  # the three pipes, and fonts that a file names but does not bring along
NICE = 10  # requests with no file to read come first


class Fault(Exception):
    """Why a file is refused: one of FAULTS."""


def main() -> None:
    limit_resources()
    pdfium.FPDF_InitLibrary()
    pages_left, characters_left = int.from_bytes(sys.stdin.buffer.read(4)), ALL_CHARACTERS
    for data in _files(sys.stdin.buffer):
        try:
            pages = read(data, most_pages=pages_left, most_characters=characters_left)
        except Fault as fault:
            _tell({"fault": str(fault)})
            return
        _tell({"pages": pages})
        pages_left -= len(pages)
        characters_left -= sum(map(len, pages))


def _tell(outcome: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()  # when a file ends this process, what was told before is how one knows which


def _files(stream: BinaryIO) -> Iterator[bytes]:
    while size := stream.read(4):
        yield stream.read(int.from_bytes(size))


def limit_resources() -> None:
    """Where the system can: a file of some kilobytes may ask for gigabytes. Nothing is written but to the pipe."""
    if sys.platform == "win32":
        return
    import resource

    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))  # at the first it is told why, at the second killed
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    if sys.platform == "linux":  # others refuse it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def read(data: bytes, *, most_pages: int, most_characters: int) -> list[str]:
    """The text of each page. Raises Fault; PDFium must be initialized."""
    document = pdfium.FPDF_LoadMemDocument64(data, len(data), None)
    if not document:
        is_locked = pdfium.FPDF_GetLastError() in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
        raise Fault("password" if is_locked else "invalid")
    count = pdfium.FPDF_GetPageCount(document)
    if count < 1:
        raise Fault("invalid")
    if count > most_pages:
        raise Fault("too_many_pages")
    pages: list[str] = []
    for index in range(count):
        pages.append(_page_text(document, index))
        most_characters -= len(pages[-1])
        if most_characters < 0:
            raise Fault("unreadable")
    pdfium.FPDF_CloseDocument(document)
    return pages


def _page_text(document: object, index: int) -> str:
    """The text within the page's box, in the order in which the file draws it; "" for a scan."""
    page = pdfium.FPDF_LoadPage(document, index)
    text_page = pdfium.FPDFText_LoadPage(page) if page else None
    if not text_page:
        raise Fault("unreadable")
    text = _text(text_page, page)
    pdfium.FPDFText_ClosePage(text_page)
    pdfium.FPDF_ClosePage(page)
    return text


def _text(text_page: object, page: object) -> str:
    box = pdfium.FS_RECTF()
    if not pdfium.FPDF_GetPageBoundingBox(page, box):
        raise Fault("unreadable")
    edges = (box.left, box.top, box.right, box.bottom)
    units = pdfium.FPDFText_GetBoundedText(text_page, *edges, None, 0)
    if units <= 0:
        return ""
    units = min(units, PAGE_CHARACTERS)
    buffer = (ctypes.c_ushort * units)()
    pdfium.FPDFText_GetBoundedText(text_page, *edges, buffer, units)
    return bytes(buffer).decode("utf-16-le", errors="ignore")


if __name__ == "__main__":
    main()
