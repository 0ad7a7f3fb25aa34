"""`newsletter figures check` and `newsletter seed`, on a database of their own."""

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, update

from newsletter.cli.figures import command as figures
from newsletter.cli.seed import command as seed
from newsletter.db import transaction
from newsletter.errors import StateError
from newsletter.models import EditionFigures

pytestmark = pytest.mark.usefixtures("own_database", "own_bells")
SMALL = ["--subscribers", "300", "--editions", "5"]


def test_a_seeded_newsroom_has_the_figures_that_its_rows_say_until_somebody_changes_them(
    engine: Engine,
) -> None:
    made = CliRunner().invoke(seed, SMALL)
    right = CliRunner().invoke(figures, ["check"])
    with transaction(engine) as session:
        session.execute(
            update(EditionFigures).where(EditionFigures.edition_id == 5).values(opens=1)
        )

    wrong = CliRunner().invoke(figures, ["check"])
    mended = CliRunner().invoke(figures, ["check", "5", "--mend"])
    again = CliRunner().invoke(figures, ["check", "5"])

    assert made.exit_code == right.exit_code == mended.exit_code == again.exit_code == 0
    assert "300 subscribers and 5 editions" in made.output
    assert wrong.exit_code == 1
    assert "edition 5, opens: stored 1, counted " in wrong.output
    assert "Figures mended: 1." in mended.output
    assert again.output == right.output == "All figures are what their rows say.\n"


def test_a_database_that_holds_something_is_not_seeded() -> None:
    CliRunner().invoke(seed, SMALL)

    again = CliRunner().invoke(seed, SMALL)

    assert isinstance(again.exception, StateError)
    assert "holds lists already" in str(again.exception)
