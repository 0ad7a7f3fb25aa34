"""Pictures that editors upload: decoded, stripped of all they tell besides, and encoded anew (S-21)."""

import hashlib
import io
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PureWindowsPath
from typing import Any

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.compose.plain_words import line_of
from newsletter.db import insert_or_ignore
from newsletter.errors import InputError
from newsletter.models import Media, MediaContent
from newsletter.models.media import KEY_CHARACTERS
from newsletter.words import Words

LARGEST_BYTES = 10 * 1024 * 1024
MOST_PIXELS = 40_000_000
WIDEST = 1120
"""Twice the width that a letter shows a picture at."""
TALLEST = 4 * WIDEST

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF")
_FEW_COLOURS = 256
_QUALITY = 82
_LONGEST_NAME = 120
_NOT_READ = Words(
    "This is no picture that we can read; choose a JPEG, PNG, GIF, WebP or AVIF file."
)

# One at a time in a process: forty million pixels take 160 MB.
_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class Picture:
    """As mail shows it; `was_moving` says that only the first of its frames was kept."""

    content: bytes
    extension: str
    width: int
    height: int
    was_moving: bool


def reencode(raw: bytes) -> Picture:
    """No wider than mail can use, upright, in sRGB, and without anything the camera wrote down.

    Raises `InputError` for what is no picture, or too large a one.
    """
    if len(raw) > LARGEST_BYTES:
        raise InputError(
            "The file is larger than {megabytes} MB; make it smaller.",
            megabytes=LARGEST_BYTES // 1024 // 1024,
        )
    with _turn, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is stricter
        try:
            return _reencoded(raw)
        except (UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise InputError(_NOT_READ) from error
        # Decoders answer damaged files with whatever their libraries raise.
        except (OSError, SyntaxError, ValueError, EOFError, MemoryError, IndexError) as error:
            raise InputError(
                "The picture is damaged; save it again, or choose another one."
            ) from error


def keep_picture(session: Session, picture: Picture, *, name: str, by: str, now: datetime) -> Media:
    """The same picture is kept once, whoever uploads it again."""
    digest = hashlib.blake2b(picture.content, digest_size=KEY_CHARACTERS // 2)
    key = digest.hexdigest()
    session.execute(
        insert_or_ignore(session, MediaContent), {"key": key, "content": picture.content}
    )
    session.execute(
        insert_or_ignore(session, Media),
        {
            "key": key,
            "extension": picture.extension,
            "width": picture.width,
            "height": picture.height,
            "size_bytes": len(picture.content),
            "name": _file_name(name),
            "created_at": now,
            "created_by": by,
        },
    )
    return session.get_one(Media, key)


def media_url(media: Media, base_url: str) -> str:
    """The address for a letter, which is read far away."""
    return f"{base_url}/media/{media.key}.{media.extension}"


def content_of_media(session: Session, key: str, extension: str) -> bytes | None:
    """None: there is no such picture."""
    return session.scalar(
        select(MediaContent.content)
        .join(Media, Media.key == MediaContent.key)
        .where(Media.key == key, Media.extension == extension)
    )


def recent_media(session: Session, *, words: str = "", most: int) -> Sequence[Media]:
    """The newest first."""
    query = select(Media).order_by(Media.created_at.desc(), Media.key).limit(most)
    if words:
        query = query.where(Media.name.icontains(words, autoescape=True))
    return session.scalars(query).all()


def _reencoded(raw: bytes) -> Picture:
    with Image.open(io.BytesIO(raw), formats=_FORMATS) as opened:
        width, height = opened.size
        if width * height > MOST_PIXELS:
            raise InputError(
                "The picture has {width} × {height} points, more than 40 million.",
                width=width,
                height=height,
            )
        was_moving = getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO"
        # A JPEG is decoded at half or a quarter of its size where that is enough.
        opened.draft("RGB", (2 * WIDEST, 2 * TALLEST))
        image: Image.Image = ImageOps.exif_transpose(opened)
        image = _in_srgb(image)
    image = _flattened(image)
    image.thumbnail((WIDEST, TALLEST), Image.Resampling.LANCZOS, reducing_gap=3.0)
    content, extension = _encoded(image)
    return Picture(content, extension, image.width, image.height, was_moving)


def _in_srgb(image: Image.Image) -> Image.Image:
    """A picture of another colour space looks dull where its profile is gone."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "RGBA", "CMYK", "L"}:
        return image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode=mode,
        )
    except ImageCms.PyCMSError:  # a profile that fits another kind of picture
        return image
    return image if converted is None else converted


def _flattened(image: Image.Image) -> Image.Image:
    """RGBA where something shines through, else RGB; nothing that the file carried besides."""
    has_alpha = "transparency" in image.info or "A" in image.getbands()
    flat = image.convert("RGBA" if has_alpha else "RGB")
    if has_alpha and flat.getchannel("A").getextrema()[0] == 255:  # nothing does
        flat = flat.convert("RGB")
    flat.info = {}
    return flat


def _encoded(image: Image.Image) -> tuple[bytes, str]:
    """PNG for drawings and what is transparent, JPEG for photographs."""
    if image.mode == "RGBA":
        return _saved(image, "PNG", optimize=True), "png"
    photograph = _saved(image, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    if image.getcolors(_FEW_COLOURS) is None:
        return photograph, "jpg"
    few = image.quantize(_FEW_COLOURS, dither=Image.Dither.NONE)
    drawing = _saved(few, "PNG", optimize=True)
    # A photograph in black and white has few colours too.
    return (drawing, "png") if len(drawing) < len(photograph) else (photograph, "jpg")


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _file_name(name: str) -> str:
    """The last part of a path, whichever way its slashes lean."""
    return line_of(PureWindowsPath(name).name, longest=_LONGEST_NAME) or "picture"
