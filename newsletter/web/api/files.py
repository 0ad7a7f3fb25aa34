"""Files that are sent and received: kept outside of memory for as long as a request lasts."""

import hashlib
from collections.abc import AsyncIterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.responses import Response, StreamingResponse

from newsletter.web.api.problems import Refused

IN_MEMORY_BYTES = 1 << 20
PIECE_BYTES = 64 << 10


def new_file() -> "SpooledTemporaryFile[bytes]":
    return SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115  # who asks for it closes it


async def receive(parts: AsyncIterable[bytes], file: IO[bytes], *, most_bytes: int) -> bytes:
    """Write what arrives to `file`; returns its digest. Raises `Refused` for too much of it."""
    digest = hashlib.blake2b(digest_size=32)
    size = 0
    async for part in parts:
        size += len(part)
        if size > most_bytes:
            raise Refused(413, f"A file has at most {most_bytes >> 20} MB.")
        digest.update(part)
        file.write(part)
    file.seek(0)
    return digest.digest()


def download(file: IO[bytes], *, media_type: str, name: str) -> Response:
    """Closes `file` when it has been sent."""
    file.seek(0)
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_pieces(file), media_type=media_type, headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece
