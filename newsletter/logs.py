"""How log records look: structured, and formatted in one place for every process (structlog)."""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from newsletter.settings import Settings

_OF_A_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def set_up_logging(settings: Settings, *, mask: Callable[[str], str]) -> None:
    """Send every record of the standard library's loggers to standard error in one format.

    `mask` makes of any text what a log may have: a library's error may quote an address (S-26).
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_extra,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The prettier ones show local variables, and with them addresses and passwords (I8).
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                partial(_mask_texts, mask),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # A line for each doorbell, every two seconds, tells nobody anything.
    for chatty in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _add_extra(_logger: Any, _method: str, event: structlog.typing.EventDict) -> dict[str, Any]:
    record: logging.LogRecord = event["_record"]
    fields = {name: value for name, value in record.__dict__.items() if name not in _OF_A_RECORD}
    return {**event, **fields}


def _mask_texts(
    mask: Callable[[str], str], _logger: Any, _method: str, event: structlog.typing.EventDict
) -> dict[str, Any]:
    return {
        name: mask(value) if isinstance(value, str) and "@" in value else value
        for name, value in event.items()
    }
