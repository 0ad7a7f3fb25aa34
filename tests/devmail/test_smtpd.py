import smtplib

import pytest

from tests.smtpd import checked_devmail


def send_a_faulty_message_and_forget_it() -> None:
    with checked_devmail() as peer:
        with smtplib.SMTP(peer.host, peer.port) as client:
            client.sendmail("desk@news.example", ["ada@example.com"], b"Subject: Hi\r\n\r\nHi\r\n")
        peer.forget()


def test_a_faulty_message_fails_the_test_that_sent_it() -> None:
    with pytest.raises(AssertionError, match=r"to ada@example\.com: \S+ "):
        send_a_faulty_message_and_forget_it()
