"""S-26: whatever a library writes into a log, no address stands in it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.addresses import mask_addresses
from newsletter.logs import set_up_logging
from tests.newsroom import settings_for


@pytest.fixture(autouse=True)
def _the_root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_s26_addresses_are_masked_in_messages_fields_and_tracebacks(
    log_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(settings_for(tmp_path, log_format=log_format), mask=mask_addresses)
    logger = logging.getLogger("some.library")

    logger.warning("could not reach %s", "ada@readers.example", extra={"to": "bo@readers.example"})
    try:
        message = (
            'Key (address_key)=(cy@readers.example) already exists, said "dee@readers.example"'
        )
        raise ValueError(message)
    except ValueError:
        logger.exception("insert failed")

    written = capsys.readouterr().err
    assert "could not reach a***@r***.example" in written
    assert "b***@r***.example" in written
    assert "(address_key)=(c***@r***.example)" in written
    for name in ("ada", "bo", "cy", "dee"):
        assert f"{name}@" not in written


def test_a_masked_record_is_still_one_json_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(settings_for(tmp_path, log_format="json"), mask=mask_addresses)

    logging.getLogger("some.library").warning(
        'said "ada@readers.example"\nand left', extra={"edition_id": 7}
    )

    record = json.loads(capsys.readouterr().err)
    assert record["event"] == 'said "a***@r***.example"\nand left'
    assert record["edition_id"] == 7
