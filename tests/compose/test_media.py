"""S-21: pictures are decoded, stripped and encoded anew."""

import io
import struct
import zlib

import pytest
from PIL import Image
from sqlalchemy import Engine, func, select

from newsletter.compose.media import (
    LARGEST_BYTES,
    WIDEST,
    content_of_media,
    keep_picture,
    media_url,
    reencode,
)
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import MediaContent
from tests.newsroom import MORNING


@pytest.fixture
def store() -> str:
    return "sqlite"


def saved(image: Image.Image, kind: str, **more: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def a_photograph(width: int = 1600, height: int = 1200) -> Image.Image:
    return Image.effect_noise((width, height), 80).convert("RGB")


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims this size, and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0"))


def test_a_photograph_becomes_a_jpeg_no_wider_than_a_letter_needs() -> None:
    picture = reencode(saved(a_photograph(3000, 1500), "JPEG"))

    assert (picture.extension, picture.width, picture.height) == ("jpg", WIDEST, WIDEST // 2)
    assert picture.content.startswith(b"\xff\xd8")


def test_a_small_picture_is_never_made_larger() -> None:
    picture = reencode(saved(a_photograph(300, 200), "JPEG"))

    assert (picture.width, picture.height) == (300, 200)


def test_what_the_camera_wrote_down_is_gone() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Spy Camera"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    raw = saved(a_photograph(), "JPEG", exif=exif, comment=b"taken at home")
    assert b"Spy Camera" in raw

    content = reencode(raw).content

    assert b"Spy Camera" not in content
    assert b"taken at home" not in content
    with Image.open(io.BytesIO(content)) as again:
        assert dict(again.getexif()) == {}


def test_a_picture_that_was_held_sideways_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    picture = reencode(saved(a_photograph(400, 200), "JPEG", exif=exif))

    assert (picture.width, picture.height) == (200, 400)


def test_what_shines_through_stays_a_png() -> None:
    logo = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
    logo.paste((200, 10, 10, 255), (20, 20, 80, 80))

    picture = reencode(saved(logo, "PNG"))

    assert picture.extension == "png"
    with Image.open(io.BytesIO(picture.content)) as again:
        assert again.convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_chart_stays_sharp() -> None:
    chart = Image.new("RGB", (900, 500), "white")
    chart.paste((29, 78, 137), (100, 100, 300, 400))

    picture = reencode(saved(chart, "PNG"))

    assert picture.extension == "png"
    with Image.open(io.BytesIO(picture.content)) as again:
        assert again.convert("RGB").getpixel((200, 200)) == (29, 78, 137)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_a_moving_picture_the_first_one_is_kept(kind: str) -> None:
    frames = [Image.new("RGB", (90, 60), colour) for colour in ("red", "green", "blue")]

    picture = reencode(saved(frames[0], kind, save_all=True, append_images=frames[1:]))

    assert picture.was_moving
    with Image.open(io.BytesIO(picture.content)) as again:
        assert getattr(again, "n_frames", 1) == 1
        red, _, blue = again.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
        assert red > 200 > 60 > blue


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_colour_is_read(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"

    picture = reencode(saved(Image.new(mode, (40, 30)), kind))

    assert (picture.width, picture.height) == (40, 30)


POLYGLOT = b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)//"


NOT_FIT = {
    "nothing": b"",
    "a drawing with a script": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a page": b"<html><script>alert(1)</script>",
    "a document": b"%PDF-1.7",
    "a script that begins like a picture": b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)//",
    "no more than its first bytes": b"\xff\xd8\xff\xe0 not a JPEG",
    "another format": saved(Image.new("RGB", (10, 10)), "BMP"),
    "yet another": saved(Image.new("RGB", (10, 10)), "TIFF"),
    "half of one": saved(a_photograph(200, 200), "PNG")[:500],
    "far too many points": png_of(50_000, 50_000),
    "too many points": png_of(8000, 6000),
    "too many bytes": bytes(LARGEST_BYTES + 1),
}


@pytest.mark.parametrize("what", NOT_FIT)
def test_what_is_no_picture_or_too_much_of_one_is_refused(what: str) -> None:
    with pytest.raises(InputError):
        reencode(NOT_FIT[what])


def test_code_behind_a_picture_is_left_behind() -> None:
    raw = saved(Image.new("RGB", (30, 30), "red"), "GIF") + b"<?php system('id'); ?>"

    assert b"php" not in reencode(raw).content


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\pictures\\harbour.jpg", "harbour.jpg"),
        ("x.php.png", "x.php.png"),
        ("a\0b\r\nc.png", "ab c.png"),
        ("", "picture"),
        ("x" * 500, "x" * 119 + "…"),
    ],
)
def test_a_file_name_is_only_a_word_for_people(engine: Engine, given: str, kept: str) -> None:
    picture = reencode(saved(a_photograph(60, 40), "JPEG"))

    with transaction(engine) as session:
        media = keep_picture(session, picture, name=given, by="Ada", now=MORNING)

    assert media.name == kept


def test_the_same_picture_is_kept_once(engine: Engine) -> None:
    raw = saved(a_photograph(60, 40), "JPEG")

    for name in ("one.jpg", "two.jpg"):
        with transaction(engine) as session:
            media = keep_picture(session, reencode(raw), name=name, by="Ada", now=MORNING)

    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(MediaContent)) == 1
        content = content_of_media(session, media.key, "jpg")
        assert content == reencode(raw).content
        assert content_of_media(session, media.key, "png") is None
    assert media.name == "one.jpg"
    assert media_url(media, "https://n.example") == f"https://n.example/media/{media.key}.jpg"
