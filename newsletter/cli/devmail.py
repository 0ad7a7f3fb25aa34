"""`newsletter devmail`: a mail server that keeps what it gets and relays nothing, with its page."""

import ssl
from contextlib import ExitStack
from pathlib import Path

import click
import uvloop

from newsletter.devmail.received import Sink
from newsletter.devmail.run import Ports, serve
from newsletter.devmail.script import load_script
from newsletter.devmail.server import Manner, SmtpServer
from newsletter.devmail.session import Credentials, Terms
from newsletter.devmail.store import Counter, Store
from newsletter.devmail.web import create_app
from newsletter.devmail.witness import Witness
from newsletter.errors import InputError
from newsletter.settings import get_settings

PORT = click.IntRange(0, 65_535)


@click.command("devmail")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--smtp-port", type=PORT, default=1025, show_default=True, help="0 takes a free one.")
@click.option("--web-port", type=PORT, default=8025, show_default=True, help="0 takes a free one.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the mail is kept  [default: devmail in the state directory]",
)
@click.option("--no-store", is_flag=True, help="Count the mail and throw it away.")
@click.option(
    "--script",
    "script_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file of the faults to commit.",
)
@click.option(
    "--witness",
    "witness_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append one JSON line per accepted message.",
)
@click.option("--witness-fsync", is_flag=True, help="Let each line reach the disk before the 250.")
@click.option("--delay", default=0.0, metavar="MS", help="Milliseconds each answer is late.")
@click.option("--auth", metavar="USER:PASSWORD", help="Take mail only after AUTH with these.")
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PEM file of certificate and key; offers STARTTLS.",
)
@click.option("--implicit-tls", is_flag=True, help="TLS from the first octet instead.")
@click.option(
    "--web-name", "web_names", multiple=True, help="Another host name the page answers under."
)
def command(
    *,
    host: str,
    smtp_port: int,
    web_port: int,
    directory: Path | None,
    no_store: bool,
    script_file: Path | None,
    witness_file: Path | None,
    witness_fsync: bool,
    delay: float,
    auth: str | None,
    tls_cert: Path | None,
    implicit_tls: bool,
    web_names: tuple[str, ...],
) -> None:
    """Receive mail, show it in a browser, pass none of it on."""
    settings = get_settings()
    manner = _manner(delay, auth, tls_cert, is_implicit_tls=implicit_tls)
    script = load_script(script_file) if script_file else None
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if witness_file:
            sinks.append(stack.enter_context(Witness(witness_file, fsync=witness_fsync)))
        mailbox: Store | Counter
        if no_store:
            mailbox = Counter()
        else:
            mailbox = stack.enter_context(Store(directory or settings.state_dir / "devmail"))
        sinks.append(mailbox)
        server = SmtpServer(sinks=sinks, script=script, manner=manner)
        app = create_app(mailbox, base_url=settings.base_url, host_names=frozenset(web_names))
        uvloop.run(
            serve(
                server,
                app,
                host=host,
                ports=Ports(smtp_port, web_port),
                flush=mailbox.flush,
                ready=lambda ports: _announce(host, ports),
            )
        )


def _announce(host: str, ports: Ports) -> None:
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"smtp://{shown}:{ports.smtp}")
    click.echo(f"http://{shown}:{ports.web}/")


def _manner(
    delay: float, auth: str | None, tls_cert: Path | None, *, is_implicit_tls: bool
) -> Manner:
    if delay < 0:
        raise InputError("--delay: a delay is not negative")
    if is_implicit_tls and tls_cert is None:
        raise InputError("--implicit-tls: needs a certificate; give --tls-cert FILE")
    return Manner(
        terms=Terms(
            credentials=_credentials(auth) if auth is not None else None,
            starttls=tls_cert is not None and not is_implicit_tls,
        ),
        tls=_tls(tls_cert) if tls_cert else None,
        is_implicit_tls=is_implicit_tls,
        round_trip_seconds=delay / 1000,
    )


def _credentials(auth: str) -> Credentials:
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise InputError("--auth: write it as USER:PASSWORD")
    return Credentials(user, password)


def _tls(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(file)
    except OSError as error:
        raise InputError(
            "--tls-cert: {file}: no certificate with its key: {reason}",
            file=file,
            reason=error.strerror,
        ) from error
    return context
