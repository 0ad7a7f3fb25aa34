"""What somebody changed in a form, and at which of its fields they went wrong.

Each field comes with what it was when the form was shown: only what differs is written, so that
nobody takes back what somebody else changed meanwhile, or what the form does not show (S-09).
"""

from collections.abc import Collection, Mapping

from newsletter.errors import InputError
from newsletter.web.newsroom.forms import Form
from newsletter.web.newsroom.pages import said, translated

WAS = "was-"


def changed(form: Form, names: Collection[str]) -> dict[str, str]:
    """By field what was typed, where that is not what it was; an unticked box is empty."""
    typed = typed_in(form, names)
    return {
        name: typed[name]
        for name in names
        if form.has(name) or form.has(WAS + name)
        if typed[name] != form.get(WAS + name)
    }


def typed_in(form: Form, names: Collection[str]) -> dict[str, str]:
    return {name: form.get(name) for name in names}


def shown_before(form: Form, names: Collection[str]) -> dict[str, str]:
    """What the fields were, for the form to be shown once more."""
    return {name: form.get(WAS + name) for name in names}


def mistakes(error: InputError, names: Collection[str]) -> Mapping[str, str]:
    """The advice by the field that it is about; by the empty name what is about no field of these."""
    name = (error.field or "").lower().replace(" ", "_").replace("-", "_")
    return {name: sentence(error)} if name in names else {"": said(error)}


def by_field(error: InputError | None) -> dict[str, str]:
    """The advice by the name of its field, as the error has it; without a name where it has none."""
    return {} if error is None else {error.field or "": translated(error.words)}


def sentence(error: InputError) -> str:
    """The advice as it stands below its field."""
    advice = translated(error.words)
    return f"{advice[:1].upper()}{advice[1:].rstrip('.')}."
