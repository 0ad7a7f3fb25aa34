"""A process of its own that sends what is due: `python -m tests.deliver.sending DATABASE_URL DIR`."""

import sys
from pathlib import Path

from newsletter.db import make_engine
from newsletter.deliver.sender import Sender
from tests.newsroom import settings_for

LEASE_SECONDS = 2.0


def main() -> None:
    url, state_dir = sys.argv[1:]
    settings = settings_for(Path(state_dir), lease_seconds=LEASE_SECONDS)
    with Sender(make_engine(url), settings) as sender:
        sender.drain(seconds=30)


if __name__ == "__main__":
    main()
