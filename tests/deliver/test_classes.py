import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.deliver.classes import TABLE, classes_in_words, classify
from newsletter.deliver.outcome import Reply
from newsletter.models import ReplyClass

RAW = tomllib.loads(TABLE.read_text(encoding="utf-8"))
LINES = [
    (layer, rule["line"], ReplyClass(rule["class"]))
    for layer in ("words", "status", "code")
    for rule in RAW[layer]
]
SPOKEN = re.compile(r"(\d{3}) (?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)")


def reply(line: str) -> Reply:
    match = SPOKEN.fullmatch(line)
    assert match is not None
    return Reply(int(match[1]), match[2], match[3])


@pytest.mark.parametrize(("layer", "line", "expected"), LINES)
def test_b02_each_rules_own_line_is_of_its_class(
    layer: str, line: str, expected: ReplyClass
) -> None:
    assert classify(reply(line)) is expected


@pytest.mark.parametrize(("layer", "line", "expected"), LINES)
def test_b02_no_line_belongs_to_two_classes(layer: str, line: str, expected: ReplyClass) -> None:
    spoken_for = classes_in_words(reply(line))

    assert spoken_for == ({expected} if layer == "words" else set())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("552 1 Requested mail action aborted, mailbox not found", ReplyClass.HARD_BAD_MAILBOX),
        ("550 5.2.1 The account is DisabledUser p=1", ReplyClass.HARD_DISABLED),
        ("552 5.2.2 The account is OverQuotaPerm p=1", ReplyClass.HARD_DISABLED),
        ("550 5.2.1 is getting mail at a rate, ReceivingRatePerm", ReplyClass.BLOCK_RATE),
        ("553 5.0.3 blocked, see DNSBL at example.org", ReplyClass.BLOCK_REPUTATION),
        ("554 HL:ITC 163 mx8 too many bad addresses", ReplyClass.BLOCK_REPUTATION),
        ("421 4.3.2 Too many connections from your host", ReplyClass.BLOCK_RATE),
        ("452 4.5.3 Domain has no room for more, please wait", ReplyClass.BLOCK_RATE),
        ("450 4.2.1 You are sending too fast", ReplyClass.BLOCK_RATE),
        ("550 4.2.2 Not enough room, and a 4 behind the 5", ReplyClass.SOFT_MAILBOX_FULL),
        ("450 5.1.1 Nobody here, and a 5 behind the 4", ReplyClass.HARD_BAD_MAILBOX),
        ("550 5.4.6 Went around in circles", ReplyClass.SOFT_SYSTEM),
        ("554 5.5.1 No", ReplyClass.UNKNOWN),
        ("550 No", ReplyClass.UNKNOWN),
    ],
)
def test_b02_quirks(line: str, expected: ReplyClass) -> None:
    assert classify(reply(line)) is expected


def test_yes_has_no_class_and_neither_has_silence() -> None:
    assert classify(Reply(250, "2.0.0", "mailbox full of joy")) is None
    assert classify(None) is None


@given(
    code=st.integers(400, 599),
    status=st.none() | st.from_regex(r"[45]\.\d{1,3}\.\d{1,3}", fullmatch=True),
    text=st.text(),
)
def test_every_refusal_has_a_class(code: int, status: str | None, text: str) -> None:
    assert classify(Reply(code, status, text)) is not None
