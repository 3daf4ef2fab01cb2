"""What the chat model is taught: kinds of conversations, their shares, and in which order they come."""

from dataclasses import dataclass

from demo.training.ask import talks
from demo.training.ask.pool import Pool
from demo.training.ask.tokens import Encoder

CHUNK = 1400  # tokens, padded, that go through the model at once: few enough for a processor's cache
TWO = 0.5  # share of scenes chosen among those of two things


class Pooled:
    """A source of the pool's pictures, by their place in it."""

    def __init__(self, pool: Pool):
        self.pool, index = pool, pool.index
        self.by: dict[tuple[str, str], list] = {}
        self.two = [one for one in index["scene"] if len(one[1].scene.groups) == 2]
        plain = [one for one in index["scene"] if len(one[1].placed) == 1 and one[1].main.size != "small"]
        for place, drawn in index["single"] + plain:
            self.by.setdefault(("object", drawn.main.object), []).append((place, drawn))
            self.by.setdefault(("colour", drawn.main.colour), []).append((place, drawn))

    def scene(self, rng):
        """The place of any scene, and what is true of it; so with every method here.

        Two things are shown more often than they are drawn: only then does a question's noun matter."""
        return rng.choice(self.two if rng.random() < TWO else self.pool.index["scene"])

    def single(self, rng, **wanted):
        if not wanted:
            return rng.choice(self.pool.index["single"])
        ((name, value),) = wanted.items()
        return rng.choice(self.by[name, value])

    def sign(self, rng):
        return rng.choice(self.pool.index["sign"])

    def chart(self, rng):
        return rng.choice(self.pool.index["chart"])

    def pair(self, rng):
        return rng.choice(self.pool.index["pair"])

    def film(self, rng):
        return rng.choice(self.pool.index["film"])


def teach_names(source, rng):
    """Two or three invented names with one to three examples each, and a few more questions."""
    return _names(source, rng, rng.choice((2, 2, 3)), rng.choice((1, 2)), rng.choice((1, 2, 3)))


def drill_names(source, rng):
    """Two or three invented names, asked for again and again."""
    return _names(source, rng, rng.choice((2, 3)), 1, rng.randint(4, 10))


def _names(source, rng, ways: int, shots: int, more: int):
    by = rng.choice(("object", "object", "colour"))
    return talks.name_talk(source, rng, ways, shots, by, more, talks.NAMED if by == "object" else None)


@dataclass(frozen=True)
class Lesson:
    """A kind of conversation, its share of a batch, and until which share of the training it is given."""

    make: object
    share: float
    until: float = 1.0
    in_words: bool = False  # pictures are told in words: a name can be learned to be copied without eyes


SEEN = (
    Lesson(talks.scene_talk, 7),
    Lesson(talks.drill_talk, 8),
    Lesson(talks.bars_talk, 3),
    Lesson(talks.chart_talk, 0.5),
    Lesson(talks.sign_talk, 0.5),
    Lesson(talks.compare_talk, 2),
    Lesson(talks.motion_talk, 1.5),
    Lesson(talks.order_talk, 0.7),
)
TOLD = (
    *SEEN,
    Lesson(teach_names, 0.7),
    Lesson(talks.told_talk, 1.5, until=0.3, in_words=True),
    Lesson(talks.chart_talk, 0.5, until=0.3, in_words=True),
    Lesson(teach_names, 0.5, until=0.3, in_words=True),
)


# Mostly what the first training left weak. Names are copied out of words before they are out of pictures.
REFINED = (
    Lesson(talks.scene_talk, 6),
    Lesson(talks.drill_talk, 5),
    Lesson(talks.pair_talk, 3),
    Lesson(talks.box_talk, 1.5),
    Lesson(talks.bars_talk, 1),
    Lesson(talks.chart_talk, 2.5),
    Lesson(talks.sign_talk, 3.5),
    Lesson(talks.compare_talk, 2),
    Lesson(talks.motion_talk, 1.5),
    Lesson(talks.order_talk, 2),
    Lesson(teach_names, 2),
    Lesson(drill_names, 2),
    Lesson(drill_names, 5, until=0.75, in_words=True),
)


def some_talks(source, rng, tokens: int, encoder: Encoder, lessons=SEEN, done: float = 1.0):
    """Encoded conversations of about `tokens` in all, of the lessons that are given when `done` of the steps
    are done."""
    given = [lesson for lesson in lessons if done <= lesson.until]
    words = talks.Facts(False)
    encoded, total = [], 0
    while total < tokens:
        lesson = rng.choices(given, [one.share for one in given])[0]
        one = encoder.talk(lesson.make(words if lesson.in_words else source, rng))
        encoded.append(one)
        total += len(one[0])
    return encoded


def chunks(encoded):
    """The conversations in groups of like length."""
    group: list = []
    for one in sorted(encoded, key=lambda e: len(e[0])):
        if group and (len(group) + 1) * len(one[0]) > CHUNK:
            yield group
            group = []
        group.append(one)
    yield group
