"""What the demo's image model has never learned is told of any prompt before it is sent, and nothing else."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from demo.world import KINDS, compose, describe, known_words, plural
from tests.studio.conftest import ALICE, open_studio

PROMPTS = 200
STRANGE = """dragon castle astronaut bicycle pizza horse elephant robot wizard violin lighthouse bridge train
Einstein Tokyo Anna Mozart Berlin Beyoncé Hokusai Gaudí dogs birds children mountains rivers skyscrapers
Schloss Drache rouge château perro montaña дом кошка 猫 城堡 ドラゴン قلعة hosue flwoer purpel catt drgaon
sunglasses umbrella guitar teapot typewriter watermelon cyberpunk steampunk baroque bauhaus linocut sepia
running jumping holding wearing eating behind between inside golden-hourish seventeen twelve 17 1920s
🐉 🏰 sky-scraper o'clock Xylophone QUILT cobblestone""".split()
SPELLED: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    str.title,
    str.capitalize,
    lambda text: f"({text})!",
    lambda text: text.replace(" ", "-", 1),
    lambda text: text.replace(" ", ", ", 1) + ".",
    lambda text: f"“{text}”",
    lambda text: f"{text} --ar 3:2 --s 250 --no rain",
    lambda text: f"{text}::2 little stars::0.5 --chaos 10",
)


def prompts() -> Iterator[tuple[str, set[str]]]:
    """Yield prompts of what the model was taught, half of them with strangers among the words, and these."""
    rng = random.Random("told")
    for number in range(PROMPTS):
        words = [word.text for word in describe(compose(rng, rng.choice(KINDS)), rng, noise=0).words]
        words = [one for one in words if one not in (",", ".", "")] + [plural("cottage"), "cat's", "2"]
        strange = rng.sample(STRANGE, rng.randint(1, 3)) if number % 2 else []
        for one in strange:
            words.insert(rng.randint(0, len(words)), one)
        yield SPELLED[number % len(SPELLED) if not strange else 0](" ".join(words)), set(strange)


async def test_unknown_words_are_told_before_a_prompt_is_sent(tmp_path: Path) -> None:
    strangers = {part for one in STRANGE for part in one.casefold().replace("'", "-").split("-")}
    assert not strangers & set(known_words()) - {"sky", "golden", "o"}
    put, told, wrong = 0, 0, list[str]()
    async with open_studio(tmp_path) as opened:
        for text, strange in prompts():
            marks = await opened.studio.own.marks(ALICE, text)
            found = [mark.text for mark in marks if mark.kind == "word"]
            put, told = put + len(strange), told + sum(any(word in one for word in found) for one in strange)
            wrong += [word for word in found if not any(word in one for one in strange)]
    assert wrong == [] and told >= 0.99 * put and put > 150, (told, put)
