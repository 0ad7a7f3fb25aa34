"""The child processes of a stack: started with its settings, logged to files, ended in order."""

import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from newsletter.errors import NewsletterError
from newsletter.settings import PROJECT_ROOT

STOP_SECONDS = 20.0
MOST_REVIVALS = 5

logger = logging.getLogger(__name__)


class Processes:
    """Children in the order they were started; leaving the block ends them in reverse."""

    def __init__(self, environment: Mapping[str, str], log_folder: Path) -> None:
        self._environment = dict(environment)
        self.folder = log_folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._arguments: dict[str, Sequence[str]] = {}
        self._revivals: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for name in reversed(self.children):
            self.children[name].terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def start(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Run `python -m …` of this very interpreter; what it says goes to `<name>.log`."""
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  our own modules
                [sys.executable, "-m", *arguments],
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the parent, which ends the children in order.
                start_new_session=True,
            )
        self.children[name] = child
        self._arguments[name] = arguments
        return child

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def revive(self) -> None:
        """Start children again that died. Raises `NewsletterError` for one that keeps dying."""
        for name, child in list(self.children.items()):
            if child.poll() is None:
                continue
            self._revivals[name] += 1
            if self._revivals[name] > MOST_REVIVALS:
                self.require_alive()
            logger.warning("process died", extra={"child": name, "code": child.returncode})
            self.start(name, self._arguments[name])

    def require_alive(self) -> None:
        """Raises `NewsletterError` with the end of the log of a child that has died."""
        for name, child in self.children.items():
            if child.poll() is not None:
                tail = self.log(name).read_text(errors="replace")[-2000:]
                raise NewsletterError(
                    "{name} ended with {returncode}:\n{tail}",
                    name=name,
                    returncode=child.returncode,
                    tail=tail,
                )
