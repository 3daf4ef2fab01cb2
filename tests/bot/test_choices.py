"""What is offered, and stands on buttons and in windows, is as long as Discord takes it, in UTF-16 units."""

import discord

from bot.projects.views import ProjectButton
from bot.ui.messages import length
from bot.ui.modals import Window
from bot.ui.replies import choices

LONG = "🐈" * 90  # 180 units


def test_one_choice_that_is_too_long_does_not_take_the_others_away() -> None:
    made = choices([(LONG, "cat"), ("house", LONG), *((f"boat {n}", str(n)) for n in range(40))])
    assert len(made) == 25 and [choice.value for choice in made[:2]] == ["cat", "0"]
    assert [made[0].name, made[1].name] == ["🐈" * 50, "boat 0"]


def test_titles_labels_and_options_of_windows_and_buttons_fit() -> None:
    window = Window(LONG, "remix", "abcdefghijkm", 0)
    window.add_text(LONG, "prompt", LONG, hint=LONG, most=100)
    window.add_choice(LONG, "strength", {"a": LONG, "b": "b"})
    window.add_choice(LONG, "project", {f"{number}": LONG for number in range(11)})
    window.add_upload(LONG, "clip", LONG).add_tick(LONG, "together", LONG)
    texts = [(window.title, 45)]
    for item in window.walk_children():
        if isinstance(item, discord.ui.Label):
            texts += [(item.text, 45), (item.description or "", 100)]
        if isinstance(item, discord.ui.TextInput):
            texts += [(item.default, 100), (item.placeholder, 100)]
        if isinstance(item, discord.ui.Select | discord.ui.RadioGroup):
            texts += [(option.label, 100) for option in item.options]
    assert len(texts) == 26
    texts.append((ProjectButton("abcdefghijkm", "train", label=LONG).item.label, 80))
    assert all(length(text) <= most for text, most in texts)
