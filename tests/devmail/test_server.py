import base64
import datetime
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from newsletter.clock import utc_now
from newsletter.devmail.peer import DevMail, running_devmail
from newsletter.devmail.script import (
    Action,
    Close,
    Delay,
    Drip,
    Endless,
    Extra,
    Half,
    Phase,
    Reply,
    Rule,
    Script,
    Withhold,
)
from newsletter.devmail.server import Manner
from newsletter.devmail.session import Credentials, Limits, Terms

LETTER = b"Subject: Hi\r\n\r\nGood morning\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(utc_now() - datetime.timedelta(days=1))
        .not_valid_after(utc_now() + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def client_side(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def scripted(phase: Phase, action: Action) -> Script:
    return Script(rules=(Rule(phase=phase, action=action),))


@contextmanager
def raw(peer: DevMail) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with (
        socket.create_connection((peer.host, peer.port), timeout=10) as connection,
        connection.makefile("rb") as answers,
    ):
        yield connection, answers


def send(peer: DevMail, recipient: str = "ada@example.com") -> None:
    with smtplib.SMTP(peer.host, peer.port, timeout=10) as client:
        client.sendmail("desk@news.example", [recipient], LETTER)


def converse(peer: DevMail) -> bytes:
    """Everything the server says to a client that says all it has to say, then listens."""
    with raw(peer) as (connection, answers):
        connection.sendall(
            b"EHLO x\r\nMAIL FROM:<desk@news.example>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"
        )
        said = b""
        while line := answers.readline():
            said += line
            if line.startswith(b"354"):
                connection.sendall(LETTER + b".\r\nRSET\r\nQUIT\r\n")
        return said


def test_smtplib_delivers() -> None:
    with running_devmail() as peer:
        send(peer)
        send(peer, "bo@example.com")

        first, second = peer.wait_for(2)

        assert first.mail_from == "desk@news.example"
        assert first.rcpt_to == ("ada@example.com",)
        assert first.content == LETTER
        assert first.mail_parameters == (f"SIZE={len(LETTER)}",)
        assert second.connection == peer.connections == 2
        assert first.at.utcoffset() == datetime.timedelta()
        peer.forget()
        assert peer.messages() == []
        with pytest.raises(TimeoutError, match="0 of 1"):
            peer.wait_for(1, timeout_seconds=0.01)


def test_a_large_message_comes_whole() -> None:
    letter = b"Subject: Long\r\n\r\n" + b"".join(b".%076d\r\n" % n for n in range(20_000))
    with running_devmail() as peer:
        with smtplib.SMTP(peer.host, peer.port) as client:
            client.sendmail("desk@news.example", ["ada@example.com"], letter)

        assert peer.messages()[0].content == letter


def test_starttls_and_authentication(certificate: Path) -> None:
    terms = Terms(starttls=True, credentials=Credentials("desk", "s3cret"))
    with running_devmail(manner=Manner(terms=terms, tls=server_side(certificate))) as peer:
        with smtplib.SMTP("localhost", peer.port) as client:
            client.starttls(context=client_side(certificate))
            client.login("desk", "s3cret")
            client.sendmail("desk@news.example", ["ada@example.com"], LETTER)
        with smtplib.SMTP("localhost", peer.port) as client:
            client.starttls(context=client_side(certificate))
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("desk", "guess")

        assert len(peer.messages()) == 1


def test_tls_from_the_first_octet(certificate: Path) -> None:
    manner = Manner(tls=server_side(certificate), is_implicit_tls=True)
    with running_devmail(manner=manner) as peer:
        with smtplib.SMTP_SSL("localhost", peer.port, context=client_side(certificate)) as client:
            client.sendmail("desk@news.example", ["ada@example.com"], LETTER)

        assert len(peer.messages()) == 1


def test_a_client_that_cannot_shake_hands_does_no_harm(certificate: Path) -> None:
    manner = Manner(terms=Terms(starttls=True), tls=server_side(certificate))
    with running_devmail(manner=manner) as peer:
        with raw(peer) as (connection, answers):
            connection.sendall(b"EHLO x\r\nSTARTTLS\r\n")
            while not answers.readline().startswith(b"220 2.0.0"):
                pass
            connection.sendall(b"MAIL FROM:<in@clear.example>\r\n")
            answers.read()

        send(peer)
        assert len(peer.messages()) == 1


def test_too_many_connections_are_turned_away() -> None:
    manner = Manner(terms=Terms(limits=Limits(connections=1)))
    with running_devmail(manner=manner) as peer, raw(peer) as (_, answers):
        assert answers.readline().startswith(b"220 ")
        with raw(peer) as (_, more):
            assert more.read() == b"421 4.7.0 Too many connections\r\n"


@pytest.mark.parametrize(
    ("phase", "answered"),
    [
        (Phase.CONNECT, []),
        (Phase.BANNER, []),
        (Phase.EHLO, [b"220"]),
        (Phase.MAIL, [b"220", b"250"]),
        (Phase.RCPT, [b"220", b"250", b"250"]),
        (Phase.DATA, [b"220", b"250", b"250", b"250"]),
        (Phase.BODY, [b"220", b"250", b"250", b"250", b"354"]),
        (Phase.DOT, [b"220", b"250", b"250", b"250", b"354"]),
        (Phase.AFTER_DOT, [b"220", b"250", b"250", b"250", b"354"]),
        (Phase.RSET, [b"220", b"250", b"250", b"250", b"354", b"250"]),
        (Phase.QUIT, [b"220", b"250", b"250", b"250", b"354", b"250", b"250"]),
    ],
)
def test_the_connection_drops_at_any_phase_f16(phase: Phase, answered: list[bytes]) -> None:
    with running_devmail(script=scripted(phase, Close())) as peer:
        try:
            said = converse(peer)
        except ConnectionError:
            said = b""

        codes = [line[:3] for line in said.splitlines() if line[3:4] != b"-"]
        is_kept = phase in {Phase.AFTER_DOT, Phase.RSET, Phase.QUIT}
        assert codes in (answered, [])
        assert len(peer.messages()) == is_kept


@pytest.mark.parametrize(
    "phase", [Phase.BANNER, Phase.EHLO, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT]
)
def test_421_is_said_and_ends_the_connection_at_any_phase_f18(phase: Phase) -> None:
    busy = Reply(code=421, enhanced="4.3.2", text="Shutting down")
    with running_devmail(script=scripted(phase, busy)) as peer:
        said = converse(peer)

        assert said.endswith(b"421 4.3.2 Shutting down\r\n")
        assert peer.messages() == []


def test_starttls_and_auth_can_fail_f16(certificate: Path) -> None:
    terms = Terms(starttls=True, credentials=Credentials("desk", "s3cret"))
    manner = Manner(terms=terms, tls=server_side(certificate))
    with running_devmail(manner=manner) as peer:
        peer.script = scripted(Phase.STARTTLS, Reply(code=454, enhanced="4.7.0", text="No TLS"))
        with smtplib.SMTP("localhost", peer.port) as client:
            assert client.docmd("EHLO x")[0] == 250
            assert client.docmd("STARTTLS") == (454, b"4.7.0 No TLS")

        peer.script = scripted(Phase.AUTH, Reply(code=535, enhanced="5.7.8", text="No"))
        with smtplib.SMTP("localhost", peer.port) as client:
            client.starttls(context=client_side(certificate))
            client.ehlo()
            secret = base64.b64encode(b"\0desk\0s3cret").decode()
            assert client.docmd("AUTH", f"PLAIN {secret}")[0] == 535


def test_a_refusal_can_pick_its_recipients_and_change_while_running() -> None:
    rule = Rule(
        phase=Phase.RCPT,
        domain="full.example",
        action=Reply(code=452, enhanced="4.2.2", text="Mailbox full"),
    )
    with running_devmail(script=Script(rules=(rule,))) as peer:
        send(peer)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(peer, "ada@full.example")

        peer.script = Script()
        send(peer, "ada@full.example")

        assert refused.value.recipients == {"ada@full.example": (452, b"4.2.2 Mailbox full")}
        assert [mail.rcpt_to for mail in peer.messages()] == [
            ("ada@example.com",),
            ("ada@full.example",),
        ]


def test_refused_at_the_dot_is_not_kept_and_refused_after_it_is_f17() -> None:
    no = Reply(code=554, enhanced="5.7.1", text="No")
    with running_devmail(script=scripted(Phase.DOT, no)) as peer:
        with pytest.raises(smtplib.SMTPDataError):
            send(peer)
        assert peer.messages() == []

        peer.script = scripted(Phase.AFTER_DOT, no)
        with pytest.raises(smtplib.SMTPDataError):
            send(peer)
        assert len(peer.messages()) == 1


def test_half_a_reply_line_f17() -> None:
    with running_devmail(script=scripted(Phase.AFTER_DOT, Half())) as peer:
        said = converse(peer)

        assert said.endswith(b"\r\n250 2.0.0 ")
        assert len(peer.messages()) == 1


def test_one_octet_at_a_time_f19() -> None:
    with running_devmail(script=scripted(Phase.DOT, Drip(seconds=0.005))) as peer:
        started = time.monotonic()
        said = converse(peer)

        assert b"\r\n250 2.0.0 Accepted\r\n" in said
        assert said.endswith(b"221 2.0.0 Bye\r\n")
        assert time.monotonic() - started >= 0.05


def test_an_endless_reply_ends_with_the_client_f19() -> None:
    with running_devmail(script=scripted(Phase.MAIL, Endless())) as peer:
        with raw(peer) as (connection, answers):
            connection.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n")
            flood = answers.read(3_000_000)
        peer.script = Script()
        send(peer)

        assert flood.count(b"250-and another thing\r\n") > 100_000
        assert len(peer.messages()) == 1


def test_one_line_without_end_f19() -> None:
    long = Reply(code=250, text="Grüße ", pad=1_000_000)
    with running_devmail(script=scripted(Phase.MAIL, long)) as peer:
        said = converse(peer)

        assert "250 Grüße xxx".encode() in said
        assert max(map(len, said.splitlines())) > 1_000_000


def test_extra_replies_f19() -> None:
    with running_devmail(script=scripted(Phase.RCPT, Extra(count=2))) as peer:
        said = converse(peer)

        assert said.count(b"250 Nobody asked\r\n") == 2


def test_a_body_can_be_interrupted_f16() -> None:
    with running_devmail(script=scripted(Phase.BODY, Reply(code=421, text="Enough"))) as peer:
        with raw(peer) as (connection, answers):
            connection.sendall(b"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n")
            connection.sendall(b"DATA\r\n")
            while not answers.readline().startswith(b"354"):
                pass
            connection.sendall(b"Subject: never")

            assert answers.read() == b"421 Enough\r\n"
        assert peer.messages() == []


def test_an_extension_can_be_withheld() -> None:
    script = scripted(Phase.EHLO, Withhold(extension="CHUNKING"))
    with running_devmail(script=script) as peer, smtplib.SMTP(peer.host, peer.port) as client:
        client.ehlo()

        assert not client.has_extn("chunking")
        assert client.has_extn("pipelining")
        assert client.docmd("BDAT 0")[0] == 502


def seconds(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def test_a_delay_holds_back_its_answer_and_those_behind_it() -> None:
    with running_devmail(script=scripted(Phase.MAIL, Delay(seconds=0.1))) as peer:
        said = b""

        def talk() -> None:
            nonlocal said
            said = converse(peer)

        assert 0.1 <= seconds(talk) < 5
        assert said.endswith(b"221 2.0.0 Bye\r\n")


def test_a_round_trip_costs_once_per_pipelined_group() -> None:
    with running_devmail(manner=Manner(round_trip_seconds=0.05)) as peer:
        # The envelope with its EHLO; content with RSET and QUIT.
        assert 0.1 <= seconds(lambda: converse(peer)) < 1
        # Banner, EHLO, MAIL, RCPT, DATA, content, QUIT.
        assert seconds(lambda: send(peer)) >= 0.35


def test_delayed_connections_do_not_wait_for_each_other() -> None:
    with running_devmail(manner=Manner(round_trip_seconds=0.2)) as peer:
        clients = [socket.create_connection((peer.host, peer.port)) for _ in range(10)]

        def greet() -> None:
            for client in clients:
                assert client.recv(100).startswith(b"220 ")
                client.close()

        assert seconds(greet) < 1
