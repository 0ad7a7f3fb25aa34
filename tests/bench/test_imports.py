"""The benchmarks of imports and exports run whole, and their figures add up."""

import json

import pytest
from click.testing import CliRunner

from newsletter.cli import bench


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_small_import_tells_all_its_figures(store: str) -> None:
    done = CliRunner().invoke(bench.command, ["import", "--rows=200", f"--store={store}", "--json"])

    figures = json.loads(done.stdout)
    assert (figures["rows"], figures["store"]) == (200, store)
    assert figures["ratio_to_copy"] > 0
    assert figures["again_ratio_to_copy"] > 0
    assert figures["peak_rss_mb"] > 30


def test_a_small_export_tells_all_its_figures() -> None:
    done = CliRunner().invoke(bench.command, ["export", "--rows=200", "--store=sqlite", "--json"])

    figures = json.loads(done.stdout)
    assert figures["rows"] == 200
    assert figures["ratio_to_copy"] > 0
    assert figures["peak_rss_mb"] > 30


def test_an_import_killed_at_half_ends_exact() -> None:
    command = ["import", "--kill", "--rows=30000", "--store=sqlite", "--json"]

    done = CliRunner().invoke(bench.command, command)

    figures = json.loads(done.stdout)
    assert 10_000 < figures["killed_at_line"] < 30_000
    assert figures["mailable"] == figures["unchanged_again"] == 30_000
    assert figures["mailable_of_the_three"] == 0
