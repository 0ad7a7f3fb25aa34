"""What the server does wrong, and when: rules as data, loadable from JSON.

A script is asked at every phase of a session. Rules are tried in order: each matching `delay` adds
its seconds, the first other matching rule decides. A phase without a matching rule goes well.

    {"seed": 7, "rules": [
      {"phase": "rcpt", "domain": "busy.example", "probability": 0.1,
       "action": {"do": "reply", "code": 450, "enhanced": "4.2.1", "text": "Try later"}},
      {"phase": "after-dot", "after": 49, "times": 1, "action": {"do": "close"}}]}
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from newsletter.errors import InputError


class Phase(StrEnum):
    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    """The first octets of content have come, the end has not."""
    DOT = "dot"
    """The content is complete and not yet accepted: whatever is answered, nothing is kept."""
    AFTER_DOT = "after-dot"
    """The content is kept and witnessed, its answer is not yet written."""
    RSET = "rset"
    QUIT = "quit"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reply(_Frozen):
    """Another answer. Below 400 the command still takes effect; 421 closes the connection."""

    do: Literal["reply"] = "reply"
    code: int = Field(ge=200, le=599)
    enhanced: str = Field(default="", pattern=r"^([245]\.\d{1,3}\.\d{1,3})?$")
    text: str = "Scripted"
    pad: int = Field(default=0, ge=0, le=100_000_000)
    """So many octets of filling behind the text, to make one endless line."""

    def line(self) -> bytes:
        words = " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)
        return words.encode() + b"x" * self.pad + b"\r\n"


class Close(_Frozen):
    """The connection ends without a word."""

    do: Literal["close"] = "close"


class Delay(_Frozen):
    """The answer comes later, and everything after it."""

    do: Literal["delay"] = "delay"
    seconds: float = Field(gt=0)


class Half(_Frozen):
    """The first half of the answer's line, then the end of the connection."""

    do: Literal["half"] = "half"


class Endless(_Frozen):
    """A multi-line answer without a last line."""

    do: Literal["endless"] = "endless"
    code: int = Field(default=250, ge=200, le=599)
    text: str = "and another thing"

    def line(self) -> bytes:
        return f"{self.code}-{self.text}\r\n".encode()


class Drip(_Frozen):
    """The proper answer, one octet at a time."""

    do: Literal["drip"] = "drip"
    seconds: float = Field(default=1.0, gt=0)
    """Between one octet and the next."""


class Extra(_Frozen):
    """The proper answer and then answers that nobody asked for."""

    do: Literal["extra"] = "extra"
    count: int = Field(default=1, ge=1, le=10_000)
    code: int = Field(default=250, ge=200, le=599)
    text: str = "Nobody asked"

    def lines(self) -> bytes:
        return f"{self.code} {self.text}\r\n".encode() * self.count


class Withhold(_Frozen):
    """EHLO does not announce this extension."""

    do: Literal["withhold"] = "withhold"
    extension: str = Field(pattern=r"^[A-Z0-9-]+$")


Action = Reply | Close | Delay | Half | Endless | Drip | Extra | Withhold
Outcome = Reply | Close | Half | Endless | Drip | Extra


class Rule(_Frozen):
    phase: Phase
    action: Annotated[Action, Field(discriminator="do")]
    recipient: str | None = None
    """Regular expression searched in each recipient known at that phase, without regard to case."""
    domain: str | None = None
    """A recipient's whole domain."""
    probability: float = Field(default=1.0, ge=0, le=1)
    after: int = Field(default=0, ge=0)
    """Leave the first so many matches alone."""
    times: int | None = Field(default=None, ge=1)
    """Then act so many times; for ever if absent. The n-th match alone: after n-1, times 1."""
    per_connection: bool = False
    """Count `after` and `times` anew on each connection."""

    @field_validator("recipient")
    @classmethod
    def _check_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            message = f"not a regular expression: {error}"
            raise ValueError(message) from error
        return value

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if isinstance(self.action, Withhold) and self.phase is not Phase.EHLO:
            message = "an extension can be withheld at phase ehlo only"
            raise ValueError(message)
        if self.phase is Phase.BODY and isinstance(self.action, Half | Drip | Extra):
            message = "nothing is answered at phase body: use reply, close, delay or endless"
            raise ValueError(message)
        return self

    def concerns(self, recipients: Sequence[str]) -> bool:
        if self.domain is None and self.recipient is None:
            return True
        return any(self._concerns(recipient) for recipient in recipients)

    def _concerns(self, recipient: str) -> bool:
        if self.domain and recipient.rpartition("@")[2].lower() != self.domain.lower():
            return False
        return not self.recipient or bool(re.search(self.recipient, recipient, re.IGNORECASE))


class Script(_Frozen):
    rules: tuple[Rule, ...] = ()
    seed: int = 0
    """The same seed and the same order of events give the same faults."""


def load_script(path: Path) -> Script:
    """Raises `InputError` naming the rule and the field that cannot be used."""
    try:
        return Script.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            "{path}: cannot read the script: {reason}", path=path, reason=error.strerror
        ) from error
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(str(part) for part in mistake['loc']) or 'script'}: "
            f"{mistake['msg'].removeprefix('Value error, ')}"
            for mistake in error.errors()
        ]
        raise InputError("\n".join(lines)) from error


class Performance:
    """One run of a script: what it has counted and drawn so far."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.phases = frozenset(rule.phase for rule in script.rules)
        self._matches: Counter[tuple[int, int]] = Counter()
        self._dice = [
            random.Random(f"{script.seed}:{number}")  # noqa: S311 - repeatable faults, no secrets
            for number in range(len(script.rules))
        ]

    def at(
        self, phase: Phase, *, connection: int, recipients: Sequence[str] = ()
    ) -> tuple[float, Outcome | None]:
        """Seconds to wait, and what to do instead of the proper answer (`None`: nothing)."""
        seconds = 0.0
        for number, rule in enumerate(self.script.rules):
            if rule.phase is not phase or isinstance(rule.action, Withhold):
                continue
            if not self._fires(number, rule, connection, recipients):
                continue
            if not isinstance(rule.action, Delay):
                return seconds, rule.action
            seconds += rule.action.seconds
        return seconds, None

    def withheld(self, connection: int) -> set[str]:
        return {
            rule.action.extension
            for number, rule in enumerate(self.script.rules)
            if isinstance(rule.action, Withhold) and self._fires(number, rule, connection, ())
        }

    def forget(self, connection: int) -> None:
        """A connection is over: its counters take no more room."""
        for number, rule in enumerate(self.script.rules):
            if rule.per_connection:
                self._matches.pop((number, connection), None)

    def _fires(self, number: int, rule: Rule, connection: int, recipients: Sequence[str]) -> bool:
        if not rule.concerns(recipients):
            return False
        if rule.probability < 1 and self._dice[number].random() >= rule.probability:
            return False
        key = (number, connection if rule.per_connection else 0)
        self._matches[key] += 1
        count = self._matches[key] - rule.after
        return count > 0 and (rule.times is None or count <= rule.times)
