"""Other senders of the same messages to the same server: smtplib, and Postfix's smtp-source."""

import json
import resource
import shutil
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from newsletter.errors import NewsletterError

SMTP_SOURCE = ("/usr/sbin/smtp-source", "/usr/lib/postfix/sbin/smtp-source")


@dataclass(frozen=True, slots=True)
class Sent:
    messages: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def send_with_smtplib(letter: Path, *, server: Server, messages: int, connections: int) -> Sent:
    """In a process of its own, over so many connections, a thread each, all of them reused."""
    numbers = (str(server.port), str(messages), str(connections))
    done = subprocess.run(  # noqa: S603  this very module
        [sys.executable, "-m", __name__, str(letter), server.host, *numbers],
        stdout=subprocess.PIPE,
        check=True,
    )
    return Sent(**json.loads(done.stdout))


def find_smtp_source() -> str | None:
    return shutil.which("smtp-source") or next(
        (path for path in SMTP_SOURCE if Path(path).exists()), None
    )


def send_with_smtp_source(
    program: str, *, server: Server, messages: int, connections: int, size_bytes: int
) -> Sent:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603  a program the operator installed
        [
            program,
            *("-s", str(connections), "-m", str(messages), "-l", str(size_bytes), "-d"),
            *("-f", "bench@bench.example", "-t", "reader@readers.example"),
            f"inet:{server}",
        ],
        env=_libraries_beside(Path(program)) or None,
        check=False,
        capture_output=True,
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise NewsletterError(
            "smtp-source failed: {errors}", errors=done.stderr.decode(errors="replace")[-300:]
        )
    cpu = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return Sent(messages, seconds, cpu, 0.0)


def _libraries_beside(program: Path) -> dict[str, str]:
    """For a program that was unpacked from Debian's package and not installed."""
    folder = program.resolve().parent.parent / "lib" / "postfix"
    return {"LD_LIBRARY_PATH": str(folder)} if folder.is_dir() else {}


def _run(letter: Path, server: Server, messages: int, connections: int) -> Sent:
    content = letter.read_bytes()
    numbers = count(1)
    lanes = [
        threading.Thread(target=_lane, args=(content, server, numbers, messages))
        for _ in range(connections)
    ]
    before = time.process_time()
    began = time.perf_counter()
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Sent(messages, seconds, time.process_time() - before, peak)


def _lane(content: bytes, server: Server, numbers: "count[int]", messages: int) -> None:
    with smtplib.SMTP(server.host, server.port) as client:
        while (number := next(numbers)) <= messages:
            client.sendmail("bench@bench.example", f"reader{number}@readers.example", content)


def _main(arguments: Sequence[str]) -> None:
    letter, host, port, messages, connections = arguments
    sent = _run(Path(letter), Server(host, int(port)), int(messages), int(connections))
    sys.stdout.write(json.dumps(asdict(sent)))


if __name__ == "__main__":
    _main(sys.argv[1:])
