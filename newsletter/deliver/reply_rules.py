"""What a provider's words ask us to do for a while; the rules are in `reply_rules.toml`."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from newsletter.deliver.holds import Trip
from newsletter.deliver.outcome import Reply
from newsletter.models import HoldAction, HoldScope, RuleMatch

TABLE = Path(__file__).with_name("reply_rules.toml")
COUNTED_WITHIN = timedelta(hours=1)
MOST_READ = 1000
"""Characters of a reply that are looked at."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    text: re.Pattern[str]
    action: HoldAction
    value: str
    lasts: timedelta
    after: int
    """Replies within an hour that it takes."""

    def matches(self, reply: Reply) -> bool:
        return self.text.search(reply.text[:MOST_READ]) is not None


@cache
def rules_of(provider: str) -> tuple[Rule, ...]:
    return tuple(_rule(row) for row in _rows() if row["provider"] == provider)


def first_match(rules: Sequence[Rule], reply: Reply) -> Rule | None:
    return next((rule for rule in rules if rule.matches(reply)), None)


def trip_of(rule: Rule, reply: Reply, *, transport_id: int, route: int) -> Trip:
    asks = {
        HoldAction.SUSPEND: "to stop",
        HoldAction.RATE: f"for no more than {rule.value}",
        HoldAction.CONNECTIONS: f"for no more than {rule.value} connections",
    }[rule.action]
    minutes = int(rule.lasts.total_seconds() // 60)
    return Trip(
        HoldScope.ROUTE,
        str(route),
        rule.name,
        f"The provider's reply asks {asks}, for {minutes} minutes.",
        transport_id=transport_id,
        reply=reply.text,
        lasts=rule.lasts,
        action=rule.action,
        value=rule.value,
    )


def is_reached(
    session: Session, rule: Rule, *, transport_id: int, route: int, times: int, now: datetime
) -> bool:
    """Count `times` more matches of the rule; has it matched often enough within the hour?"""
    if times >= rule.after:
        return True
    of_rule = (
        RuleMatch.rule == rule.name,
        RuleMatch.transport_id == transport_id,
        RuleMatch.route == route,
    )
    session.execute(delete(RuleMatch).where(*of_rule, RuleMatch.at <= now - COUNTED_WITHIN))
    session.add(
        RuleMatch(rule=rule.name, transport_id=transport_id, route=route, at=now, times=times)
    )
    session.flush()
    matched = session.scalar(select(func.sum(RuleMatch.times)).where(*of_rule)) or 0
    return matched >= rule.after


@cache
def _rows() -> tuple[Mapping[str, Any], ...]:
    return tuple(tomllib.loads(TABLE.read_text(encoding="utf-8"))["rule"])


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        name=row["name"],
        text=re.compile(row["text"], re.IGNORECASE),
        action=HoldAction(row["action"]),
        value=row.get("value", ""),
        lasts=timedelta(minutes=row["minutes"]),
        after=row.get("after", 1),
    )
