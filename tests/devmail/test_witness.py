import hashlib
import json
import smtplib
from pathlib import Path

import pytest

from newsletter.clock import utc_now
from newsletter.devmail.peer import running_devmail
from newsletter.devmail.received import Received
from newsletter.devmail.script import Close, Phase, Rule, Script
from newsletter.devmail.witness import Witness
from newsletter.errors import InputError

LETTER = b"Subject: Hi\r\nMessage-ID:\r\n <1.2@news.example>\r\n\r\nMessage-ID: <not@this.one>\r\n"


def received(number: int = 1) -> Received:
    return Received(
        mail_from="desk@news.example",
        rcpt_to=("ada@example.com", "jürgen@example.com"),
        content=LETTER,
        connection=number,
        at=utc_now(),
    )


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_one_line_per_accepted_message(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "witness.jsonl"
    mail = received(7)

    with Witness(file) as witness:
        witness(mail)

    assert lines(file) == [
        {
            "order": 1,
            "at": mail.at.isoformat(),
            "mail_from": "desk@news.example",
            "rcpt_to": ["ada@example.com", "jürgen@example.com"],
            "message_id": "<1.2@news.example>",
            "size": len(LETTER),
            "sha256": hashlib.sha256(LETTER).hexdigest(),
            "connection": 7,
        }
    ]


def test_a_client_that_hears_nothing_is_witnessed_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "witness.jsonl"
    script = Script(rules=(Rule(phase=Phase.AFTER_DOT, action=Close()),))

    with Witness(file) as witness, running_devmail(script=script, sinks=[witness]) as peer:
        with (
            smtplib.SMTP(peer.host, peer.port) as client,
            pytest.raises(smtplib.SMTPServerDisconnected),
        ):
            client.sendmail("desk@news.example", ["ada@example.com"], LETTER)
        written = lines(file)

    assert [line["rcpt_to"] for line in written] == [["ada@example.com"]]


def test_the_order_goes_on_after_a_restart_and_a_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "witness.jsonl"
    with Witness(file, fsync=True) as witness:
        witness(received())
        witness(received())
    with file.open("ab") as torn:
        torn.write(b'{"order":3,"at":"20')

    with Witness(file) as witness:
        witness(received())

    assert [line["order"] for line in lines(file)] == [1, 2, 3]


def test_a_file_that_is_no_witness_log_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n")

    with pytest.raises(InputError, match="no witness log"):
        Witness(file)

    assert file.read_text() == "my notes\n"


def test_two_witnesses_do_not_share_a_file(tmp_path: Path) -> None:
    with (
        Witness(tmp_path / "witness.jsonl"),
        pytest.raises(InputError, match="in use"),
    ):
        Witness(tmp_path / "witness.jsonl")
