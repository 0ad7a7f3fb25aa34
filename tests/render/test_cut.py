import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import RenderError
from newsletter.render.cut import GREETING, OPEN, Cut, Sentinels, link_number, link_slot


def test_a_text_is_cut_at_its_stand_ins() -> None:
    sentinels = Sentinels({})
    text = f"a{sentinels(GREETING)}b{sentinels(OPEN)}{sentinels(GREETING)}"

    cut = sentinels.cut(text)

    assert cut == Cut(("a", "b", "", ""), (GREETING, OPEN, GREETING))


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.sampled_from([GREETING, OPEN, None]))))
def test_joining_the_pieces_of_a_cut_gives_the_cut(pieces: list[tuple[str, None]]) -> None:
    cut = Cut.joined(pieces)

    assert Cut.joined(cut.pieces()) == cut
    assert len(cut.statics) == len(cut.slots) + 1


def test_a_lost_stand_in_is_an_error() -> None:
    sentinels = Sentinels({})
    text = sentinels(GREETING) + sentinels(OPEN)

    with pytest.raises(RenderError, match="lost or moved"):
        sentinels.assert_kept(text, sentinels(GREETING))


def test_a_link_slot_knows_its_number() -> None:
    assert link_number(link_slot(17)) == 17
    assert link_number(GREETING) is None
