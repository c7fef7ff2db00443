"""Images: the API's rules and words (MSG-90 to MSG-95), and that no bytes do harm."""

import base64
import io
import random
import struct
import subprocess
import sys
import time
import zlib

import pytest
from PIL import Image as Pillow

from dragoman.engines.offline.images import Image, PixelBudget, describe, from_base64, image_tokens, measure, resized
from dragoman.errors import InvalidRequest

LOC = "messages.0.content.1"
SOURCE = f"{LOC}.image.source.base64"
TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
each_format = pytest.mark.parametrize("kind", TYPES)


def picture(kind: str, width: int = 40, height: int = 20, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    gradient = Pillow.radial_gradient("L").resize((width, height))
    gradient.convert(mode).save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A grey PNG of any size whose pixels are the caller's affair."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def gif_with_frame(width: int, height: int) -> bytes:
    """A GIF whose screen is 40x20, whatever its only frame claims to be."""
    data = picture("GIF", mode="L")
    at = 13 + (3 << (data[10] & 7) + 1)
    assert data[at] == 0x2C
    return data[: at + 5] + struct.pack("<HH", width, height) + data[at + 9 :]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refusal(data: str | bytes, media_type: str = "image/png", *, many: bool = False) -> str:
    with pytest.raises(InvalidRequest) as caught:
        from_base64(data if isinstance(data, str) else text(data), media_type, loc=LOC, many=many)
    return caught.value.message


@each_format
def test_an_image_is_measured(kind: str) -> None:
    assert from_base64(text(picture(kind)), TYPES[kind], loc=LOC) == Image(40, 20, TYPES[kind])


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        *[("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")],
        *[("JPEG", mode, {"progressive": True}) for mode in ("L", "RGB", "CMYK")],
        ("JPEG", "RGB", {"subsampling": 0, "comment": "hello", "dpi": (300, 300)}),
        ("GIF", "P", {"interlace": True, "transparency": 3, "comment": b"hello"}),
        *[("WEBP", mode, {"lossless": True}) for mode in ("RGB", "RGBA")],
    ],
)
def test_every_variety_of_a_format_is_read(kind: str, mode: str, options: dict[str, object]) -> None:
    data = picture(kind, mode=mode, **options)
    assert measure(data, TYPES[kind], field="f") == Image(40, 20, TYPES[kind])


@each_format
def test_a_single_pixel_is_an_image(kind: str) -> None:
    assert measure(picture(kind, 1, 1), TYPES[kind], field="f") == Image(1, 1, TYPES[kind])


def test_another_media_type_is_refused() -> None:
    """MSG-90."""
    for media_type in ("image/bmp", "image/svg+xml", "IMAGE/PNG", "image/jpg", ""):
        assert refusal(picture("PNG"), media_type) == (
            f"{SOURCE}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
        )


@each_format
def test_bytes_must_be_of_the_media_type(kind: str) -> None:
    """MSG-91."""
    for media_type in set(TYPES.values()) - {TYPES[kind]}:
        assert refusal(picture(kind), media_type) == (
            f"{SOURCE}.data: Image does not match the provided media type {media_type}"
        )


@pytest.mark.parametrize(
    "data",
    [
        "iVBORw0KGgo",  # the padding is missing
        "iVBORw0KGgo==",
        "iVBO\nRw0KGgo=",
        "iVBORw0KGgo=\n",
        " iVBORw0KGgo=",
        "iVBO=Rw0KGgo",
        "_-_-",  # the alphabet of URLs
        "iVBORw0KGgö=",
        "\ud800abc",
        "not base64!",
        "=",
    ],
)
def test_bad_base64_is_refused(data: str) -> None:
    """MSG-91."""
    assert refusal(data) == f"{SOURCE}: invalid base64 data"


def test_a_data_url_is_refused_with_the_remedy() -> None:
    assert refusal("data:image/png;base64," + text(picture("PNG"))) == (
        f"{SOURCE}: invalid base64 data: remove the 'data:...;base64,' before the data itself"
    )


def test_empty_data_is_refused() -> None:
    assert refusal("") == f"{SOURCE}: image cannot be empty"


@pytest.mark.parametrize(
    "data", [b"x", b"<svg/>", b"%PDF-1.7", b"BM" + b"\0" * 60, b"II*\0\x08\0\0\0", b"RIFF\0\0\0\0WAVE", b"GIF88a"]
)
def test_what_is_no_image_of_the_four_formats_is_never_opened(data: bytes) -> None:
    """MSG-91."""
    assert refusal(data) == f"{SOURCE}.data: Could not process image"


@each_format
def test_a_truncated_image_is_found(kind: str) -> None:
    """MSG-91."""
    data = picture(kind, 200, 100)
    for length in [*range(8, 60), len(data) // 4, len(data) // 2, len(data) * 9 // 10]:
        with pytest.raises(InvalidRequest, match="Could not process image"):
            measure(data[:length].ljust(12, b"\0") if kind != "WEBP" else data[:length], TYPES[kind], field="f")


def test_corrupt_pixels_are_found() -> None:
    whole = zlib.compress(bytes(41 * 20))
    assert measure(png(40, 20, chunk(b"IDAT", whole)), "image/png", field="f").width == 40
    flipped = bytearray(chunk(b"IDAT", whole))
    flipped[-6] ^= 1  # the checksum of the chunk no longer fits
    for wrong in (bytes(flipped), chunk(b"IDAT", whole[:8]), chunk(b"IDAT", b"no zlib"), b""):
        with pytest.raises(InvalidRequest, match="Could not process image"):
            measure(png(40, 20, wrong), "image/png", field="f")


def test_the_images_of_a_request_have_a_most_of_pixels_that_are_decoded() -> None:
    """MSG-91: small ones are decoded always; of larger ones beyond it, headers and checksums must still be right."""
    budget = PixelBudget(1_000_000)
    without_pixels = {size: png(size, 1000, chunk(b"IDAT", zlib.compress(b""))) for size in (200, 600, 1001)}

    def is_decoded(size: int) -> bool:
        try:
            return measure(without_pixels[size], "image/png", field="f", budget=budget).width != size
        except InvalidRequest:
            return True

    assert [is_decoded(size) for size in (1001, 600, 600, 200, 200)] == [False, True, False, True, True]
    assert budget.covers(400_000)
    assert not budget.covers(400_000)
    flipped = bytearray(without_pixels[600])
    flipped[50] ^= 1
    with pytest.raises(InvalidRequest, match="Could not process image"):
        measure(bytes(flipped), "image/png", field="f", budget=budget)
    for kind, media_type in TYPES.items():
        assert measure(picture(kind, 600, 500), media_type, field="f", budget=budget) == Image(600, 500, media_type)
        with pytest.raises(InvalidRequest, match="Could not process image"):
            measure(picture(kind, 600, 500)[:30], media_type, field="f", budget=budget)
        with pytest.raises(InvalidRequest, match="8000 pixels"):
            measure(picture(kind, 8001, 40), media_type, field="f", budget=budget)


@pytest.mark.parametrize("size", [(8000, 1), (1, 8000)])
def test_a_side_may_have_8000_pixels(size: tuple[int, int]) -> None:
    """MSG-92."""
    for kind, media_type in TYPES.items():
        assert measure(picture(kind, *size), media_type, field="f") == Image(*size, media_type)


@pytest.mark.parametrize("size", [(8001, 1), (1, 8001), (65535, 65535), (2**31 - 1, 2**31 - 1)])
def test_a_longer_side_is_refused_before_any_pixel_is_decoded(size: tuple[int, int]) -> None:
    """MSG-92: these have no pixels at all."""
    assert refusal(png(*size)) == (
        f"{SOURCE}.data: At least one of the image dimensions exceed max allowed size: 8000 pixels"
    )


def test_with_many_images_a_side_may_have_2000_pixels() -> None:
    """MSG-92."""
    assert from_base64(text(picture("PNG", 2000, 2)), "image/png", loc=LOC, many=True).width == 2000
    assert refusal(picture("PNG", 2, 2001), many=True) == (
        f"{SOURCE}.data: At least one of the image dimensions exceed max allowed size for many-image requests: "
        "2000 pixels"
    )


def test_a_large_jpeg_gif_or_webp_is_refused_by_its_header() -> None:
    """No warning either: Pillow warns of 89 to 179 megapixels, and warnings are errors here."""
    jpeg = bytearray(picture("JPEG"))
    at = jpeg.index(b"\xff\xc0")
    webp = bytearray(picture("WEBP", lossless=True))
    for width, height in [(9000, 10_000), (16_000, 16_000), (12_000, 20)]:
        jpeg[at + 5 : at + 9] = struct.pack(">HH", height, width)
        webp[21:25] = struct.pack("<I", (width - 1) | (height - 1) << 14)
        for kind, data in [("JPEG", bytes(jpeg)), ("GIF", gif_with_frame(width, height)), ("WEBP", bytes(webp))]:
            assert "max allowed size: 8000 pixels" in refusal(data, TYPES[kind])


def test_ten_megabytes_of_base64_are_the_limit() -> None:
    """MSG-93: the text is measured, not the image; the real API's numbers are all multiples of four."""
    start, end = b"\x89PNG\r\n\x1a\n", 10_485_760 // 4 * 3
    assert refusal(start.ljust(end, b"\0")) == f"{SOURCE}.data: Could not process image"
    assert refusal(start.ljust(end + 1, b"\0")) == (
        f"{SOURCE}: image exceeds 10 MB maximum: 10485764 bytes > 10485760 bytes"
    )


def test_only_the_first_frame_of_a_gif_counts() -> None:
    """MSG-90."""
    out = io.BytesIO()
    frames = [Pillow.new("L", (40, 20), shade) for shade in (0, 90, 200)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], loop=0, comment=b"three")
    data = out.getvalue()
    assert measure(data, "image/gif", field="f") == Image(40, 20, "image/gif")
    second = data.index(b"\x2c", data.index(b"\x2c") + 10)
    assert measure(data[:second] + b"\xee" * 50, "image/gif", field="f") == Image(40, 20, "image/gif")


def test_a_gif_frame_larger_than_the_screen_enlarges_the_image() -> None:
    with pytest.raises(InvalidRequest, match="Could not process"):  # its pixels are for 40x20
        measure(gif_with_frame(300, 200), "image/gif", field="f")
    assert measure(gif_with_frame(20, 20), "image/gif", field="f") == Image(40, 20, "image/gif")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_very_large_image_is_checked_without_inflating_it(kind: str) -> None:
    out = io.BytesIO()
    Pillow.new("L", (8000, 2001)).save(out, kind, lossless=True, method=0)
    data = out.getvalue()
    assert measure(data, TYPES[kind], field="f") == Image(8000, 2001, TYPES[kind])
    with pytest.raises(InvalidRequest, match="Could not process image"):
        measure(data[:-20], TYPES[kind], field="f")


def test_exif_is_ignored_and_never_warned_about() -> None:
    """Pillow reads it in search of a resolution, and warns where it is broken."""
    turned = Pillow.Exif()
    turned[0x0112] = 6  # to be shown turned by a quarter
    assert measure(picture("JPEG", exif=turned), "image/jpeg", field="f") == Image(40, 20, "image/jpeg")

    plain = picture("JPEG")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x1a\0\x05\0\0\xff\xff\0\0\xff\x00"
    broken = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[20:]
    with pytest.warns(UserWarning, match="Tag data|EXIF"):
        Pillow.open(io.BytesIO(broken))
    assert measure(broken, "image/jpeg", field="f") == Image(40, 20, "image/jpeg")


def test_broken_animation_data_of_a_png_is_ignored() -> None:
    pixels = chunk(b"IDAT", zlib.compress(bytes(41 * 20)))
    data = png(40, 20, chunk(b"acTL", bytes(8)), chunk(b"tEXt", b"\xff"), pixels)
    with pytest.warns(UserWarning, match="APNG"):
        Pillow.open(io.BytesIO(data))
    assert measure(data, "image/png", field="f") == Image(40, 20, "image/png")


def test_what_follows_the_end_of_a_jpeg_is_ignored() -> None:
    """Telephones append films to their pictures."""
    data = picture("JPEG", progressive=True) + b"\xff\xda\0\0" * 500
    assert measure(data, "image/jpeg", field="f") == Image(40, 20, "image/jpeg")


def _many_scans() -> bytes:
    data = picture("JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 100_000 + data[-2:]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("JPEG", _many_scans()),
        ("JPEG", picture("JPEG")[:2] + b"\xff\xe1\0\2" * 1_000_000 + picture("JPEG")[2:]),
        ("JPEG", picture("JPEG")[:2] + b"\xff" * 4_000_000 + picture("JPEG")[2:]),
        ("PNG", png(40, 20, chunk(b"IDAT", b"") * 300_000)),
        ("PNG", png(40, 20, chunk(b"tEXt", b"") * 300_000)),
        ("GIF", picture("GIF", mode="1")[:19] + b"\x21\xfe\0" * 1_000_000),
    ],
    ids=["scans", "segments", "padding", "pixel chunks", "text chunks", "extensions"],
)
def test_files_of_very_many_parts_are_refused_at_once(kind: str, data: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidRequest, match="Could not process image"):
        measure(data, TYPES[kind], field="f")
    assert time.perf_counter() - started < 20  # about 0.02 s; without the bound seconds to hours


def _mutated(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(out))
        match chance.randrange(5):
            case 0:
                out[at] = chance.randrange(256)
            case 1:
                out[at : at + 4] = chance.randbytes(4)
            case 2:
                del out[at : at + chance.randrange(1, 30)]
            case 3:
                out[at:at] = out[: chance.randrange(1, 40)]
            case 4:
                out[at : at + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xda"])
        out = out or bytearray(b"x")
    return bytes(out)


@each_format
def test_no_bytes_do_harm(kind: str) -> None:
    """500 mutations of each format: an Image or an InvalidRequest, no warning, and each at once."""
    chance = random.Random(kind)
    exif = Pillow.Exif()
    exif[0x011A] = 300
    frames = [Pillow.new("RGB", (30, 30), (shade, 0, 0)) for shade in (1, 2)]
    rich = {"exif": exif} if kind != "GIF" else {"comment": b"hello", "transparency": 1}
    seeds = [
        picture(kind, 24, 17, mode="RGB" if kind != "GIF" else "P"),
        picture(kind, 33, 9, mode="L", **rich),
        picture(kind, 16, 16, **({"progressive": True} if kind == "JPEG" else {"save_all": True})),
    ]
    if kind != "JPEG":
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:])
        seeds.append(out.getvalue())
    outcomes = set()
    for number in range(500):
        data = _mutated(seeds[number % len(seeds)], chance)
        started = time.perf_counter()
        try:
            image = measure(data, TYPES[kind], field="f")
        except InvalidRequest as error:
            outcomes.add(error.message.partition(": ")[2])
        else:
            assert 1 <= image.width <= 8000
            assert 1 <= image.height <= 8000
            outcomes.add("Image")
        assert time.perf_counter() - started < 20
    assert {"Image", "Could not process image"} <= outcomes


@pytest.mark.parametrize(
    ("size", "standard", "high"),
    [
        ((200, 200), 64, 64),
        ((1000, 1000), 1296, 1296),
        ((1092, 1092), 1521, 1521),
        ((1920, 1080), 1560, 2691),
        ((2000, 1500), 1564, 3888),
        ((3840, 2160), 1560, 4784),
        ((1075, 1520), 1551, 2145),
        ((1, 1), 1, 1),
        ((28, 29), 2, 2),
        ((8000, 1), 56, 92),
        ((1, 8000), 56, 92),
        ((8000, 8000), 1521, 4761),
    ],
)
def test_tokens_of_an_image(size: tuple[int, int], standard: int, high: int) -> None:
    """MSG-95; the first seven are the documentation's own."""
    assert image_tokens(*size, high_resolution=False) == standard
    assert image_tokens(*size, high_resolution=True) == high


@pytest.mark.parametrize(
    ("size", "high_resolution", "seen"),
    [
        ((1920, 1080), False, (1456, 819)),
        ((1920, 1080), True, (1920, 1080)),
        ((3840, 2160), False, (1456, 819)),
        ((3840, 2160), True, (2576, 1449)),
        ((1075, 1520), False, (924, 1307)),
        ((1, 8000), False, (1, 1568)),
    ],
)
def test_the_size_a_model_sees(size: tuple[int, int], high_resolution: bool, seen: tuple[int, int]) -> None:
    """MSG-95."""
    assert resized(*size, high_resolution=high_resolution) == seen


def test_no_size_exceeds_the_limits_or_is_enlarged() -> None:
    chance = random.Random(5)
    for _ in range(2000):
        width, height = (int(8000 ** chance.random()) for _ in range(2))
        for high_resolution, longest, most in [(False, 1568, 1568), (True, 2576, 4784)]:
            seen = resized(width, height, high_resolution=high_resolution)
            tokens = image_tokens(width, height, high_resolution=high_resolution)
            assert max(seen) <= longest
            assert 1 <= tokens <= most
            assert seen[0] <= width
            assert seen[1] <= height
            assert resized(height, width, high_resolution=high_resolution) == seen[::-1]
            if -(-width // 28) * -(-height // 28) <= most and max(width, height) <= longest:
                assert seen == (width, height)


def test_an_image_is_described() -> None:
    assert describe(Image(640, 480, "image/png")) == "a 640x480 PNG image"
    assert describe(Image(1, 8000, "image/webp")) == "a 1x8000 WebP image"


def test_pillow_is_imported_at_the_first_image_only() -> None:
    code = "import sys, dragoman.engines.offline.images; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
