"""A stranger at the forms: an app behind a proxy, and the fields as a browser sends them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from httpx2 import Response
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.audience.answers import answer_requests
from newsletter.clock import utc_now
from newsletter.settings import Settings
from newsletter.web.app import create_app
from tests.web.served import SECRET, tokens

PROXY = "10.0.0.1"
_networks = count()


def settings_for(redis_url: str, state_dir: Path, **changes: Any) -> Settings:
    return Settings.model_validate(
        {
            "redis_url": redis_url,
            "state_dir": state_dir,
            "secret_keys": ((0, SECRET),),
            "base_url": "https://news.courier.example",
            "trusted_proxies": PROXY,
        }
        | changes
    )


@contextmanager
def opened(engine: Engine, settings: Settings, *, peer: str = PROXY) -> Iterator[TestClient]:
    app = create_app(settings=settings, engine=engine)
    with TestClient(app, follow_redirects=False, client=(peer, 40_000)) as client:
        yield client


def filled(
    address: str = "ada@readers.example",
    *,
    seconds: float = 30,
    lists: Sequence[str] = (),
    **more: str,
) -> dict[str, str]:
    """The fields of a form that was shown `seconds` ago, with the boxes of `lists` ticked."""
    shown_at = utc_now() - timedelta(seconds=seconds)
    fields = {
        "address": address,
        "form": tokens().form(shown_at),
        "website": "",
        "zone": "Europe/Paris",
        "language": "en-GB",
    }
    return fields | {f"list-{slug}": "1" for slug in lists} | more


def send(
    client: TestClient,
    path: str,
    fields: dict[str, str],
    *,
    ip: str | None = None,
    **headers: str,
) -> Response:
    """From a network of its own, unless `ip` says otherwise."""
    number = next(_networks)
    from_where = ip or f"11.{number // 250 % 250}.{number % 250}.9"
    return client.post(path, data=fields, headers={"X-Forwarded-For": from_where} | headers)


def answer(engine: Engine, settings: Settings) -> int:
    return answer_requests(engine, settings=settings, now=utc_now())
