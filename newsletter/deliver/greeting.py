"""Whether a transport's server greets us, secures the connection and lets us in."""

import asyncio

from newsletter.deliver.diagnosis import Diagnosis, doubtful, fine, wrong
from newsletter.deliver.smtp import SmtpConnection
from newsletter.deliver.transports import endpoint_of
from newsletter.deliver.wire import Endpoint, SmtpError
from newsletter.errors import SettingError
from newsletter.models import Security, Transport
from newsletter.settings import Settings

SECONDS = 20.0
"""Somebody waits for it; mail waits longer."""


def check_greeting(transport: Transport, settings: Settings) -> Diagnosis:
    """By a real sign-in; nothing is sent."""
    subject = f"transport {transport.name}"
    remedy = "Look at the relay, or correct the transport's address and sign-in."
    try:
        endpoint = endpoint_of(transport, settings)
        extensions = asyncio.run(_greet(endpoint))
    except (SmtpError, SettingError) as error:
        return wrong(subject, str(error), remedy)
    except TimeoutError:
        return wrong(subject, f"It did not let us in within {SECONDS:.0f} seconds.", remedy)
    return _greeted(subject, endpoint, extensions)


async def _greet(endpoint: Endpoint) -> frozenset[str]:
    async with asyncio.timeout(SECONDS):
        connection = await SmtpConnection.open(endpoint)
    await connection.quit()
    return connection.extensions


def _greeted(subject: str, endpoint: Endpoint, extensions: frozenset[str]) -> Diagnosis:
    if endpoint.security is Security.NONE and endpoint.username is not None:
        remedy = "Set it to STARTTLS or TLS."
        return doubtful(subject, "Its password crosses the network in the clear.", remedy)
    if "PIPELINING" not in extensions:
        remedy = "Ask its operator for it: without it each message costs three round trips more."
        return doubtful(subject, "It does not offer PIPELINING.", remedy)
    signed_in = ", signed in" if endpoint.username is not None else ""
    return fine(subject, f"It greets ({endpoint.security}{signed_in}) and offers PIPELINING.")
