"""`newsletter suppression` and `newsletter privacy` as an admin at a terminal meets them."""

import json
import stat
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from newsletter.addresses import parse_address
from newsletter.audience.suppression import is_suppressed
from newsletter.cli import privacy, suppression
from newsletter.db import get_engine, reading
from newsletter.errors import NotFoundError, StateError
from newsletter.models import Subscriber
from tests.newsroom import add_list, add_readers, leave

pytestmark = [
    pytest.mark.parametrize("store", ["sqlite"]),
    pytest.mark.usefixtures("own_database"),
]
ADA = "ada@readers.example"
ALWAYS = ("--since=2020-01-01T00:00+00:00", "--until=2100-01-01T00:00+00:00")


def newsletter_suppression(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(suppression.command, arguments, input=stdin)


def newsletter_privacy(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(privacy.command, arguments, input=stdin)


def test_an_address_is_suppressed_shown_and_lifted_with_a_reason() -> None:
    added = newsletter_suppression("add", ADA, "--reason=bounced")
    again = newsletter_suppression("add", ADA, "--json")
    newsletter_suppression("add", "bo@readers.example", "--reason=bounced")
    lifted = newsletter_suppression("lift", "bo@readers.example", "--reason=wrote to us")
    shown = newsletter_suppression("show", "bo@readers.example")

    assert added.output == "a***@r***.example is suppressed.\n"
    assert json.loads(again.output) == {"address": "a***@r***.example", "is_new": False}
    assert "may be mailed again; it was suppressed as bounced" in lifted.output
    assert "is not suppressed" in shown.output
    assert "wrote to us" in shown.output


def test_an_address_may_be_suppressed_for_one_list() -> None:
    list_id = add_list(get_engine())

    newsletter_suppression("add", ADA, "--list=harbour")

    with reading() as session:
        assert is_suppressed(session, parse_address(ADA), list_id=list_id)
        assert not is_suppressed(session, parse_address(ADA), list_id=list_id + 1)


def test_a_complaint_is_not_lifted_by_an_admin() -> None:
    newsletter_suppression("add", ADA, "--reason=complained")

    refused = newsletter_suppression("lift", ADA, "--reason=they like us")

    assert isinstance(refused.exception, StateError)
    assert "newsletter subscriber invite" in str(refused.exception)


def test_suppressions_are_imported_listed_and_exported(tmp_path: Path) -> None:
    add_list(get_engine())
    brought = newsletter_suppression(
        "import", "-", "--list=harbour", "--json", stdin="ada@readers.example\nnobody@\n"
    )
    listed = newsletter_suppression("list", "--list=harbour", "--json")
    out = tmp_path / "list.csv"
    exported = newsletter_suppression("export", f"--out={out}")

    report = json.loads(brought.output)
    assert (report["new"], report["rejected"], report["problems"][0]["line"]) == (1, 1, 2)
    (entry,) = json.loads(listed.output)["suppressions"]
    assert (entry["list"], entry["reason"]) == ("harbour", "imported")
    assert exported.stderr == "1 entries.\n"
    assert entry["hash"] in out.read_text()


def test_an_accident_is_only_counted_until_somebody_says_why() -> None:
    newsletter_suppression("add", ADA, "--reason=bounced")
    newsletter_suppression("add", "bo@readers.example", "--reason=complained")

    seen = newsletter_suppression("undo", *ALWAYS)
    done = newsletter_suppression("undo", *ALWAYS, "--because=wrong file", "--json")

    assert "1 would be lifted; do it with --because" in seen.output
    assert json.loads(done.output) == {
        "found": {"bounced": 1, "complained": 1},
        "liftable": 1,
        "lifted": 1,
    }


def test_a_provider_that_there_is_not_is_named() -> None:
    refused = newsletter_suppression("undo", *ALWAYS, "--route=gooogle")

    assert isinstance(refused.exception, NotFoundError)
    assert "newsletter route list names them" in str(refused.exception)


def test_all_that_is_known_goes_into_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    add_readers(get_engine(), add_list(get_engine()), ["Ada"])
    out = tmp_path / "ada.zip"

    exported = newsletter_privacy("export", ADA, f"--out={out}")

    assert exported.output.startswith("2 rows about a***@r***.example")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert zipfile.ZipFile(out).namelist() == ["data.json", "profile.csv", "subscriptions.csv"]
    assert [each.name for each in tmp_path.glob("tmp*")] == []


def test_erasing_asks_first_and_says_what_became_of_it() -> None:
    add_readers(get_engine(), add_list(get_engine()), ["Ada"])

    declined = newsletter_privacy("erase", ADA, stdin="n\n")
    done = newsletter_privacy("erase", ADA, stdin="y\n")

    assert declined.exit_code == 1
    assert done.stdout == "a***@r***.example is erased, and suppressed everywhere.\n"
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 0
    shown = newsletter_suppression("show", ADA, "--json")
    (entry,) = json.loads(shown.output)["suppressions"]
    assert (entry["reason"], entry["source"]) == ("on request", "erasure: command line")


def test_what_is_due_is_told_before_it_goes() -> None:
    list_id = add_list(get_engine())
    (ada,) = add_readers(get_engine(), list_id, ["Ada"])
    leave(get_engine(), list_id, ada)

    told = newsletter_privacy("retention", "--dry-run", "--json")
    done = newsletter_privacy("retention")

    assert json.loads(told.output)["people"] == 0
    assert "people who left every list deleted" in done.output


def test_consents_are_counted_and_who_has_none_is_named() -> None:
    add_readers(get_engine(), add_list(get_engine()), ["Ada"])

    counted = newsletter_privacy("consents", "--list=harbour")
    named = newsletter_privacy("consents", "--list=harbour", "--without-evidence", "--json")

    assert counted.output == "        1  without evidence\n"
    (person,) = json.loads(named.output)["subscribers"]
    assert person["address"] == ADA
