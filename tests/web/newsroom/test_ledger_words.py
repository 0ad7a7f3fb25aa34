"""The pages have words for all that the ledger can say."""

import pytest

from newsletter.models import DeliveryState, Reason
from newsletter.web.newsroom import pages


@pytest.mark.parametrize("state", DeliveryState)
def test_every_state_of_a_delivery_has_words(state: DeliveryState) -> None:
    assert _said("state_words", state.name.lower())
    assert _said("state_words", state.name.lower()) in _said("state_pill", state.name.lower())


def test_every_reason_has_words_of_its_own() -> None:
    said = {_said("reason_words", reason.name.lower()) for reason in Reason}

    assert "" not in said
    assert len(said) == len(Reason)


def _said(macro: str, name: str) -> str:
    template = pages._environment().get_template("components/deliveries.html")
    words = getattr(template.module, macro)(name)
    return str(words).strip()
