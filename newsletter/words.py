"""Sentences for people: English as they stand in the code, ready to be said in another language.

The literal of a sentence stands in the call that makes it, be it `Words("…")`, an error or a notice,
since that is where translators' tools look for it.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Self


class Words(str):
    """Reads as the English sentence, and keeps the template and the values that it was made of.

    The places of a template are those of `str.format`. Without values nothing is filled: a text that
    comes from elsewhere may hold braces, and is taken as it is.
    """

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> Self:
        if isinstance(template, cls) and not values:
            return template
        words = super().__new__(cls, template.format(**values) if values else template)
        words.template = str(template)
        words.values = values
        return words

    @classmethod
    def lines(cls, several: Iterable["Words"]) -> Self:
        """One below the other."""
        values = {f"line_{number}": each for number, each in enumerate(several)}
        return cls("\n".join(f"{{{name}}}" for name in values), **values)

    def then(self, template: str, /, **values: object) -> Self:
        """Both sentences, with a blank between them."""
        return type(self)("{first} {second}", first=self, second=Words(template, **values))

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        return (self.template,), self.values


def in_language(words: str, translate: Callable[[str], str]) -> str:
    """`words` by what `translate` makes of a template; values that are words are translated as well.

    English where the translation names a place that the template does not have.
    """
    if not words:
        # A catalogue answers the empty text with what it says of itself.
        return ""
    if not isinstance(words, Words):
        return translate(words)
    template = translate(words.template)
    if not words.values:
        return template
    values = {name: _value_in_language(value, translate) for name, value in words.values.items()}
    try:
        return template.format(**values)
    except (LookupError, ValueError, AttributeError, TypeError):
        return str(words)


def _value_in_language(value: object, translate: Callable[[str], str]) -> object:
    """An error that is told of within another one brings its words along, as a state has its own."""
    words = getattr(value, "words", value)
    return in_language(words, translate) if isinstance(words, Words | StrEnum) else value
