"""The mail server for tests: whatever any test sends to it must be a message without fault."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from newsletter.checks.message import check_message
from newsletter.devmail.peer import DevMail, running_devmail
from newsletter.devmail.received import Received
from newsletter.devmail.script import Script
from newsletter.devmail.server import Manner


@contextmanager
def checked_devmail(
    *, script: Script | None = None, manner: Manner | None = None
) -> Iterator[DevMail]:
    """Fails at the end if a received message breaks a rule, also one that was forgotten since."""
    received: list[Received] = []
    with running_devmail(script=script, manner=manner, sinks=[received.append]) as peer:
        yield peer
    violations = [
        f"to {', '.join(mail.rcpt_to)}: {violation.requirement} {violation.message}"
        for mail in received
        for violation in check_message(mail.content)
    ]
    assert not violations, "\n".join(violations)


@pytest.fixture
def smtpd() -> Iterator[DevMail]:
    with checked_devmail() as peer:
        yield peer
