"""Cards of jobs, which are drawn once for all that they tell."""

import itertools
import json

import jinja2
import pytest
from markupsafe import Markup

from core.language import speaking
from web import cards
from web.cards import Cards, to_json

DRAWN = "{% macro card(job, rest) %}{{ number() }}: {{ job.name }}, {{ rest }}{% endmacro %}"


def _macro() -> jinja2.runtime.Macro:
    """A macro that tells how often it was called."""
    environment = jinja2.Environment(autoescape=True)
    environment.globals["number"] = itertools.count(1).__next__
    return environment.from_string(DRAWN).module.card  # type: ignore[attr-defined]


def test_a_card_is_drawn_once_until_something_that_it_tells_is_another() -> None:
    kept, macro, job = Cards(), _macro(), {"id": "a", "name": "<red>", "pictures": [1]}
    assert kept.draw(macro, job, 0) == kept.draw(macro, dict(job), 0) == Markup("1: &lt;red&gt;, 0")
    assert kept.draw(macro, job | {"pictures": [2]}, 0).startswith("2:")
    assert kept.draw(macro, job, 3).startswith("3:")
    with speaking("de"):
        assert kept.draw(macro, job, 0).startswith("4:")
    assert kept.draw(macro, job, 0).startswith("1:")


def test_no_more_cards_are_kept_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "KEPT", 2)
    kept, macro = Cards(), _macro()
    for number in (1, 2, 3):
        kept.draw(macro, {"name": str(number)}, 0)
    assert kept.draw(macro, {"name": "3"}, 0).startswith("3:")
    assert kept.draw(macro, {"name": "1"}, 0).startswith("4:")


def test_json_has_texts_of_templates_and_nothing_that_it_does_not_know() -> None:
    data = {"text": Markup("<b>é"), "n": [1, 2.5, None, True]}
    assert json.loads(to_json(data)) == data
    with pytest.raises(TypeError):
        to_json({"what": object()})
