"""Whatever goes wrong, a person at the command line reads a message and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def newsletter(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "newsletter", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "NEWSLETTER_DATABASE_URL: write it as postgresql://"),
        ("postgresql://nobody@127.0.0.1:1/none", "newsletter db upgrade"),
        ("sqlite:////{folder}/empty.db", "newsletter db upgrade"),
    ],
)
def test_a_database_that_is_of_no_use_is_a_message(tmp_path: Path, url: str, said: str) -> None:
    done = newsletter(
        "list", "show", NEWSLETTER_DATABASE_URL=url.replace("{folder}", str(tmp_path))
    )

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sample_secret_in_production_is_a_message() -> None:
    done = newsletter("list", "show", NEWSLETTER_ENV="production")

    assert done.returncode == 2
    assert "newsletter secret" in done.stderr
    assert "Traceback" not in done.stderr
