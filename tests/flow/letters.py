"""What a received mail says."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

from newsletter.devmail.received import Received

_TOKENS = re.compile(r"https?://[^\s\"'<>]+?/(?:c|o|u|p|v|w)/([A-Za-z0-9_-]{16,})")


def subject_of(mail: Received) -> str:
    return str(_message(mail)["Subject"])


def text_of(mail: Received) -> str:
    """Without the ends of its lines, which may stand in a headline too."""
    return " ".join(_body(mail, "plain").split())


def tokens_in(mail: Received) -> set[str]:
    """Of the links in either part, and of the header's."""
    header = _message(mail)["List-Unsubscribe"]
    return set(_TOKENS.findall(f"{_body(mail, 'plain')} {_body(mail, 'html')} {header}"))


def _message(mail: Received) -> EmailMessage:
    return message_from_bytes(mail.content, policy=policy.default)


def _body(mail: Received, kind: str) -> str:
    part = _message(mail).get_body((kind,))
    assert part is not None
    return str(part.get_content())
