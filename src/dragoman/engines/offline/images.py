"""Images of a request: are they what they say, how large, how many tokens. Nothing looks at what they show.

Decoding is Pillow's, imported at the first image. It is given no more of a file than the picture: the rest (EXIF,
text, animation) Pillow would read for purposes of its own, and warn or take its time over. Synchronous, and up to a
second of CPU for the largest image, so the caller decides about threads. Imports only errors of this package.
"""

import binascii
import io
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from dragoman.errors import InvalidRequest

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["Image", "PixelBudget", "describe", "from_base64", "image_tokens", "measure", "resized"]

LIMIT_BYTES = 10_485_760  # of the base64 text: "10 MB (base64-encoded)", Anthropic documentation, "Vision"
LIMIT_SIDE = 8000  # pixels
LIMIT_SIDE_MANY = 2000  # pixels, in a request with more than 20 images

PATCH = 28  # pixels: the side of the square that costs one token
STANDARD = (1568, 1568)  # most pixels on the long edge, most tokens
HIGH_RESOLUTION = (2576, 4784)

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WebP"}

# A larger PNG or WebP is checked for wholeness (checksums, container) but not decoded: at the limit of 8000x8000 that
# would take 0.25 GB of memory as PNG and 1 GB as WebP, which files of 190 and 3 KB can ask for. The pixels of such a
# PNG are inflated piece by piece, to see that none is missing: up to a second for 0.25 GB (all but 16-bit colors).
_DECODED_PIXELS = 16_000_000
_INFLATED_BYTES = 260_000_000
# Nor do all images of a request decode as many pixels as they can ask for: one of the largest takes up to a second.
_REQUEST_PIXELS = 64_000_000
_SMALL_PIXELS = 250_000  # an image of no more is always decoded; 600 of them in two seconds
_PIECE_BYTES = 1 << 20
# Things that cost little to send and much to read. Real files have about ten scans, and hundreds of other parts.
_MOST_PARTS = 50_000
_MOST_SCANS = 100

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_PNG_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class Image(msgspec.Struct, frozen=True):
    """What is known of an image: its size in pixels as stored (no EXIF rotation) and its format."""

    width: int
    height: int
    media_type: str


class PixelBudget:
    """How many pixels the images of one request may still have decoded.

    Of an image that it does not cover only the header is read, and what shows without decoding whether it is whole: a
    PNG's checksums, the segments of the others.
    """

    def __init__(self, pixels: int = _REQUEST_PIXELS) -> None:
        self._left = pixels

    def covers(self, pixels: int) -> bool:
        """Whether an image of so many pixels is to be decoded; if it is, they are spent."""
        if pixels <= _SMALL_PIXELS:
            return True
        if pixels > self._left:
            return False
        self._left -= pixels
        return True


def from_base64(
    data: str, media_type: str, *, loc: str, many: bool = False, budget: PixelBudget | None = None
) -> Image:
    """The image of a base64 source, checked against MSG-90 to MSG-93 and decoded as far as `budget` allows.

    `loc` is the path of the content block (`messages.0.content.1`). `many`: the request holds more than 20 images,
    so the longest side is 2000 pixels instead of 8000. Base64 is strict: standard alphabet, padded, no white space.
    Raises InvalidRequest in the API's words, and nothing else whatever the bytes are.
    """
    source = f"{loc}.image.source.base64"
    if media_type not in _FORMATS:
        raise InvalidRequest(
            f"{source}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
        )
    if not data:
        raise InvalidRequest(f"{source}: image cannot be empty")
    if data[:5].lower() == "data:":
        raise InvalidRequest(f"{source}: invalid base64 data: remove the 'data:...;base64,' before the data itself")
    if len(data) > LIMIT_BYTES:
        raise InvalidRequest(f"{source}: image exceeds 10 MB maximum: {len(data)} bytes > {LIMIT_BYTES} bytes")
    try:
        raw = binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:  # binascii.Error is one; so is a character beyond ASCII
        raise InvalidRequest(f"{source}: invalid base64 data") from error
    return measure(raw, media_type, field=f"{source}.data", many=many, budget=budget)


def measure(
    data: bytes, media_type: str, *, field: str, many: bool = False, budget: PixelBudget | None = None
) -> Image:
    """The image that `data` holds, its first frame decoded, checked against MSG-91 and MSG-92.

    `field` is the path of the field that errors name; `many` and `budget` as in `from_base64`. The number of bytes is
    the caller's to limit. Raises InvalidRequest, and nothing else whatever the bytes are.
    """
    found = _sniff(data)
    if found is not None and found != media_type:
        raise InvalidRequest(f"{field}: Image does not match the provided media type {media_type}")
    limit = LIMIT_SIDE_MANY if many else LIMIT_SIDE
    try:
        width, height = _decode(data, media_type=found, limit=limit, budget=budget or PixelBudget())
    except _TooLarge as error:
        purpose = " for many-image requests" if many else ""
        raise InvalidRequest(
            f"{field}: At least one of the image dimensions exceed max allowed size{purpose}: {limit} pixels"
        ) from error
    except Exception as error:  # hostile bytes make Pillow raise nearly every built-in type
        raise InvalidRequest(f"{field}: Could not process image") from error
    return Image(width, height, media_type)


def describe(image: Image) -> str:
    """Such as "a 640x480 PNG image"."""
    return f"a {image.width}x{image.height} {_FORMATS[image.media_type]} image"


def image_tokens(width: int, height: int, *, high_resolution: bool) -> int:
    """What an image costs (MSG-95). `high_resolution` is a property of the model: Opus 4.7 and later families."""
    return _patches(*resized(width, height, high_resolution=high_resolution))


def resized(width: int, height: int, *, high_resolution: bool) -> tuple[int, int]:
    """The size at which a model sees an image: the largest of its shape within the tier's two limits.

    It is found along the long edge in whole pixels, the short edge rounded (halves to even), and is never larger than
    the image. Source: Anthropic documentation, "Coordinates and bounding boxes", examples there and in "Vision".
    """
    longest, most_tokens = HIGH_RESOLUTION if high_resolution else STANDARD
    long, short = max(width, height), min(width, height)

    def is_too_large(side: int) -> bool:
        return side > longest or _patches(side, scaled_short(side)) > most_tokens

    def scaled_short(side: int) -> int:
        return max(round(side / (long / short)), 1)

    side = bisect_left(range(2, long + 1), True, key=is_too_large) + 1  # 1 always fits
    return (side, scaled_short(side)) if width >= height else (scaled_short(side), side)


def _patches(width: int, height: int) -> int:
    return -(-width // PATCH) * -(-height // PATCH)


class _BrokenImage(Exception):
    """The bytes are no image of a format that we read."""


class _TooLarge(Exception):
    """A side is longer than the limit."""


def _sniff(data: bytes) -> str | None:
    """The media type that the first bytes tell, None for all that is never opened."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _decode(data: bytes, *, media_type: str | None, limit: int, budget: PixelBudget) -> tuple[int, int]:
    """Width and height of an image that could be decoded, or may be beyond the budget.

    No pixel is decoded, and no memory for one taken, before the sides are known to be within `limit`.
    JPEG is decoded at an eighth of its size, which reads all of the file in a hundredth of the memory.
    """
    with _open(data, media_type=media_type, limit=limit) as picture:
        width, height = picture.size
        _check_sides(width, height, limit=limit)
        is_covered = budget.covers(width * height)
        if not is_covered or (width * height > _DECODED_PIXELS and media_type in ("image/png", "image/webp")):
            picture.verify()
            if is_covered and media_type == "image/png":
                _check_png_pixels(data)
        else:
            picture.draft("L", (max(width // 8, 1), max(height // 8, 1)))
            picture.load()
    return width, height


def _open(data: bytes, *, media_type: str | None, limit: int) -> "ImageFile":
    """Pillow's reader of the one format, which has read the header.

    Not `PIL.Image.open`: it warns of images between its own two limits, and warnings cannot be silenced for one thread.
    """
    from PIL import GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    match media_type:
        case "image/jpeg":
            return JpegImagePlugin.JpegImageFile(io.BytesIO(_bare_jpeg(data)))
        case "image/png":
            return PngImagePlugin.PngImageFile(io.BytesIO(_bare_png(data)))
        case "image/gif":
            return GifImagePlugin.GifImageFile(io.BytesIO(_bare_gif(data, limit=limit)))
        case "image/webp":
            try:
                return WebPImagePlugin.WebPImageFile(io.BytesIO(data))
            except Image.DecompressionBombError as error:  # far above our limit
                raise _TooLarge from error
        case _:
            raise _BrokenImage("no format that we read")


def _check_sides(width: int, height: int, *, limit: int) -> None:
    if width < 1 or height < 1:
        raise _BrokenImage("a side of 0 pixels")
    if max(width, height) > limit:
        raise _TooLarge


def _bare_jpeg(data: bytes) -> bytes:
    """A JPEG without application data and comments, and without what follows its end (a film, another picture)."""
    kept = [data[:2]]
    at = 2
    for _ in range(_MOST_PARTS):
        at = data.find(b"\xff", at)  # decoders skip what is between segments
        marker = data[at + 1]
        if at < 0 or marker == 0xD9:
            raise _BrokenImage("no scan")
        if marker == 0xDA:
            break
        if marker == 0xFF:  # padding
            at += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # these have no content
            at += 2
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
            if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
                kept.append(data[at:end])
            at = end
    else:
        raise _BrokenImage("too many segments")
    end = data.find(b"\xff\xd9", at)
    scans = data[at:] if end < 0 else data[at : end + 2]
    if scans.count(b"\xff\xda") > _MOST_SCANS:  # each costs 5 ms on 8000x8000 pixels, and 14 bytes
        raise _BrokenImage("too many scans")
    return b"".join([*kept, scans])


def _bare_png(data: bytes) -> bytes:
    """A PNG with its critical chunks only: header, palette, pixels, end."""
    kept = [data[:8]]
    at = 8
    for _ in range(_MOST_PARTS):
        kind = data[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if not kind[:1].islower():
            kept.append(data[at:end])
        if kind in (b"IEND", b""):
            return b"".join(kept)
        at = end
    raise _BrokenImage("too many chunks")


def _check_png_pixels(data: bytes) -> None:
    """As many bytes of pixels as the header tells of. Beyond _INFLATED_BYTES nobody looks."""
    width, height, depth, color, _, _, is_interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    missing = _png_pixel_bytes(width, height, depth * _PNG_CHANNELS[color], is_interlaced=bool(is_interlaced))
    if missing > _INFLATED_BYTES:
        return
    inflate = zlib.decompressobj()
    for chunk in _png_pixel_chunks(data):
        piece = inflate.decompress(chunk, _PIECE_BYTES)
        while piece:
            missing -= len(piece)
            if missing <= 0:
                return
            piece = inflate.decompress(inflate.unconsumed_tail, _PIECE_BYTES)
        if inflate.eof:
            break
    raise _BrokenImage("pixels are missing")


def _png_pixel_bytes(width: int, height: int, bits: int, *, is_interlaced: bool) -> int:
    """Each row of each pass begins with a byte that names its filter. Source: PNG specification, sections 7.2 and 8."""
    passes = _PNG_PASSES if is_interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _png_pixel_chunks(data: bytes) -> Iterator[bytes]:
    at = 8
    while (kind := data[at + 4 : at + 8]) not in (b"IEND", b""):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if kind == b"IDAT":
            yield data[at + 8 : end]
        at = end + 4


def _bare_gif(data: bytes, *, limit: int) -> bytes:
    """A GIF without what stands before its first frame.

    The sides are checked here, since a frame may be larger than the screen, and Pillow enlarges the image at once.
    """
    screen_width, screen_height, flags = struct.unpack_from("<HHB", data, 6)
    start = at = 13 + _palette_size(flags)
    for _ in range(_MOST_PARTS):
        if data[at] != 0x21:
            break
        at += 2
        while size := data[at]:
            at += size + 1
        at += 1
    else:
        raise _BrokenImage("too many extensions")
    mark, left, top, width, height = struct.unpack_from("<BHHHH", data, at)
    if mark != 0x2C:
        raise _BrokenImage("no frame")
    _check_sides(max(screen_width, left + width), max(screen_height, top + height), limit=limit)
    return data[:start] + data[at:]


def _palette_size(flags: int) -> int:
    """Bytes of the palette that follows GIF's flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
