"""The drill as a user runs it, on both stores, and what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from newsletter.drill.faults import FAULTS
from newsletter.drill.rig import Store
from newsletter.drill.run import Report, Result, chosen_faults
from newsletter.errors import InputError
from newsletter.settings import PROJECT_ROOT

PATIENCE_SECONDS = 280.0
READERS = 120
KEYS = {"fault", "seeds", "lost", "twice", "uncertain", "recover_seconds"}


def drill(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "newsletter", "drill", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def folder_of(ended: "subprocess.CompletedProcess[str]") -> Path:
    named = re.search(r"Starting everything in (\S+)", ended.stderr)
    assert named is not None
    return Path(named[1])


@pytest.mark.parametrize(("store", "faults"), [("sqlite", "F-10,F-15"), ("postgres", "F-15")])
def test_a_small_drill_loses_nobody_and_mails_nobody_twice(store: str, faults: str) -> None:
    ended = drill(
        *("--store", store, "--faults", faults, "--readers", str(READERS)),
        *("--seeds", "1", "--seed", "7", "--json"),
    )

    assert ended.returncode == 0, ended.stderr
    figures: dict[str, Any] = json.loads(ended.stdout)
    assert set(figures) == {"store", "faults"}
    assert figures["store"] == store
    lines = {line["fault"]: line for line in figures["faults"]}
    assert list(lines) == faults.split(",")
    assert all(set(line) == KEYS for line in lines.values())
    played = [line for line in lines.values() if line["seeds"] is not None]
    assert sum(line["seeds"] for line in played) == 1
    assert all(line["lost"] == line["twice"] == 0 for line in played)
    assert all(line["recover_seconds"] >= 0 for line in played)
    assert (lines["F-15"]["seeds"] is None) is (store == "sqlite")
    assert not folder_of(ended).exists()


def test_a_fault_that_is_not_known_is_refused_before_anything_starts() -> None:
    ended = drill("--faults", "F-10,F-99")

    assert ended.returncode == 2
    assert "no fault F-99" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Starting" not in ended.stderr


def test_faults_are_chosen_by_number_once_each_and_in_order() -> None:
    assert [fault.ident for fault in chosen_faults("f-16, F-10,F-16")] == ["F-16", "F-10"]
    assert chosen_faults("all") == FAULTS


@pytest.mark.parametrize("wanted", ["", ",", "F-99", "10"])
def test_a_choice_of_no_fault_names_those_there_are(wanted: str) -> None:
    with pytest.raises(InputError, match="F-34"):
        chosen_faults(wanted)


def test_a_report_adds_up_the_seeds_of_each_fault() -> None:
    faults = chosen_faults("F-10,F-11,F-15")
    report = Report(Store.SQLITE, faults)
    report.results += [
        Result("F-10", 1, 100, 0, 1, 2, 3.5, ()),
        Result("F-10", 2, 100, 1, 0, 4, 1.5, ()),
    ]

    assert report.to_json() == {
        "store": "sqlite",
        "faults": [
            {"fault": "F-10", "seeds": 2, "lost": 1, "twice": 1, "uncertain": 6}
            | {"recover_seconds": 3.5},
            {"fault": "F-11", "seeds": 0, "lost": 0, "twice": 0, "uncertain": 0}
            | {"recover_seconds": None},
            dict.fromkeys(KEYS) | {"fault": "F-15"},
        ],
    }


def test_every_fault_is_documented() -> None:
    page = (PROJECT_ROOT / "docs" / "reliability.md").read_text()

    assert [fault.ident for fault in FAULTS if f"| {fault.ident} |" not in page] == []
