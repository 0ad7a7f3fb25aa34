"""Signing in to a server: PLAIN (RFC 4616), LOGIN, and XOAUTH2 with an access token.

Both clients drive it: it yields a line to say and is sent the server's reply.
"""

import base64
from collections.abc import Generator

from newsletter.deliver.outcome import Reply
from newsletter.deliver.wire import Endpoint

Talk = Generator[str, Reply, Reply]


def sign_in(endpoint: Endpoint, offered: str) -> Talk:
    """Returns the reply that ends it; `offered` is what EHLO says behind AUTH."""
    mechanism = endpoint.mechanism or _best_of(offered.upper().split())
    username, password = endpoint.username or "", endpoint.password or ""
    match mechanism:
        case "login":
            return (yield from _login(username, password))
        case "xoauth2":
            return (yield from _xoauth2(username, password))
        case _:
            return (yield "AUTH PLAIN " + _base64(f"\0{username}\0{password}"))


def _best_of(offered: list[str]) -> str:
    return "login" if "LOGIN" in offered and "PLAIN" not in offered else "plain"


def _login(username: str, password: str) -> Talk:
    reply = yield "AUTH LOGIN"
    for answer in (username, password):
        if reply.code == 334:
            reply = yield _base64(answer)
    return reply


def _xoauth2(username: str, token: str) -> Talk:
    reply = yield "AUTH XOAUTH2 " + _base64(f"user={username}\1auth=Bearer {token}\1\1")
    if reply.code == 334:
        # What is wrong stands in this challenge; the refusal comes once it was answered.
        reply = yield ""
    return reply


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
