"""The witness: one JSON line per accepted message, written before the client is told so."""

import fcntl
import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from newsletter.devmail.headers import header_text
from newsletter.devmail.received import Received
from newsletter.errors import InputError

_write_json = json.JSONEncoder(separators=(",", ":")).encode
_LONGEST_LINE = 1_048_576


class Witness:
    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        """Continue the file's order numbers; a torn last line, left by a power cut, is cut off."""
        self._fsync = fsync
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise InputError(
                "{path}: cannot keep the witness log there: {reason}",
                path=path,
                reason=error.strerror,
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._order = self._last_order()
        except (BlockingIOError, ValueError, KeyError) as error:
            os.close(self._file)
            reason = "in use" if isinstance(error, BlockingIOError) else "no witness log"
            raise InputError(
                "{path}: {reason}; name another file", path=path, reason=reason
            ) from error

    def __call__(self, received: Received) -> None:
        self._order += 1
        line = {
            "order": self._order,
            "at": received.at.isoformat(),
            "mail_from": received.mail_from,
            "rcpt_to": received.rcpt_to,
            "message_id": header_text(received.content, "Message-ID"),
            "size": len(received.content),
            "sha256": hashlib.sha256(received.content).hexdigest(),
            "connection": received.connection,
        }
        os.write(self._file, _write_json(line).encode() + b"\n")
        if self._fsync:
            os.fdatasync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _last_order(self) -> int:
        size = os.fstat(self._file).st_size
        start = max(0, size - _LONGEST_LINE)
        tail = os.pread(self._file, size - start, start)
        whole = tail.rfind(b"\n") + 1
        os.ftruncate(self._file, start + whole)
        if not whole:
            return 0
        last = tail[:whole].splitlines()[-1]
        return int(json.loads(last)["order"])
