"""Files that are sent and received: kept outside of memory for as long as a request lasts."""

import hashlib
import io
from collections.abc import AsyncIterable, Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from newsletter.web.api.problems import RefusedError

IN_MEMORY_BYTES = 1 << 20
PIECE_BYTES = 64 << 10


def new_file() -> IO[bytes]:
    return cast("IO[bytes]", SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))


def require_kind(request: Request, kinds: Collection[str]) -> None:
    """Raises `RefusedError` for a body that says to be anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise RefusedError(415, "Send the file as one of: {kinds}.", kinds=", ".join(kinds))


async def receive(parts: AsyncIterable[bytes], file: IO[bytes], *, most_bytes: int) -> bytes:
    """Write what arrives to `file`; returns its digest. Raises `RefusedError` for too much of it."""
    digest = hashlib.blake2b(digest_size=32)
    size = 0
    async for part in parts:
        size += len(part)
        if size > most_bytes:
            raise RefusedError(
                413, "A file has at most {megabytes} MB.", megabytes=most_bytes >> 20
            )
        digest.update(part)
        file.write(part)
    file.seek(0)
    return digest.digest()


def download(write: Callable[[IO[bytes]], None], *, media_type: str, name: str) -> Response:
    """What `write` writes, all of it before the first byte is sent: a 200 is never half a file."""
    with ExitStack() as stack:
        file = stack.enter_context(new_file())
        write(file)
        file.seek(0)
        stack.pop_all()
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_pieces(file), media_type=media_type, headers=headers)


@contextmanager
def as_text(file: IO[bytes]) -> Iterator[IO[str]]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    yield text
    text.detach()


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece
