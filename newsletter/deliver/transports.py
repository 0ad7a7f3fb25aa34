"""From the transport an edition leaves through to the endpoint that a connection is opened to."""

from newsletter.deliver.smtp import Endpoint
from newsletter.models import Transport
from newsletter.sealing import unseal
from newsletter.settings import Settings


def endpoint_of(transport: Transport, settings: Settings) -> Endpoint:
    return Endpoint(
        host=transport.host,
        port=transport.port,
        security=transport.security,
        ehlo_name=settings.mail_domain,
        username=transport.username,
        password=unseal(transport.sealed_password) if transport.sealed_password else None,
        dot_seconds=settings.dot_timeout_seconds,
        mechanism=transport.auth,
    )
