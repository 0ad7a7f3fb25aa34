"""One thing that was looked at, what was found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`remedy` is empty where nothing needs to be done."""

    subject: str
    health: Health
    finding: str
    remedy: str = ""


def fine(subject: str, finding: str) -> Diagnosis:
    return Diagnosis(subject, Health.OK, finding)


def doubtful(subject: str, finding: str, remedy: str) -> Diagnosis:
    return Diagnosis(subject, Health.WARNING, finding, remedy)


def wrong(subject: str, finding: str, remedy: str) -> Diagnosis:
    return Diagnosis(subject, Health.ERROR, finding, remedy)
