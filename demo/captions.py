"""Puts a `Scene` into words and reads them: a rich grammar (synonyms, free order, dropped parts, words from
outside) whose every word knows what it speaks of, one canonical sentence that can be read back, and the
tokenizers of both.

Of the two tokenizers CLIP's is a byte-level BPE in which every word of the grammar is one token and any other
text falls back to smaller pieces down to bytes; the captioner's is a plain list of words.
"""

import json
import random
import re
import string
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, CLIPTokenizer

from demo import world
from demo.world import (
    CANONICAL_COUNT,
    CANONICAL_RELATION,
    CANONICAL_STYLE,
    COLOUR_WORDS,
    COLOURS,
    COUNT_WORDS,
    FILLER,
    KINDS,
    OBJECT_WORDS,
    OBJECTS,
    PLACE_WORDS,
    PLACES,
    PLURALS,
    POSITION_WORDS,
    PREFIXES,
    RELATION_WORDS,
    REVERSE,
    SIZE_WORDS,
    STYLE_WORDS,
    STYLES,
    Group,
    Scene,
    compose,
)


@dataclass(frozen=True)
class Word:
    """A word of a caption and what it speaks of: `object`, `colour` (of a group, by index) or nothing."""

    text: str
    role: str = ""
    group: int = -1


@dataclass(frozen=True)
class Caption:
    """`words` in order, and what of the scene they tell: a colour dropped from the words is not told."""

    words: tuple[Word, ...]
    colour_told: tuple[bool, ...]  # by group
    order: tuple[int, ...]  # groups as they are named
    background_told: bool
    style_told: bool
    place_told: bool

    @property
    def text(self) -> str:
        return join(word.text for word in self.words)


def join(words) -> str:
    """Words to a sentence: commas and full stops lean on the word before them."""
    return re.sub(r" ([,.])", r"\1", " ".join(w for w in words if w))


def plural(word: str) -> str:
    head, _, last = word.rpartition(" ")
    last = PLURALS.get(last) or (last + "es" if last.endswith(("s", "x", "sh", "ch")) else last + "s")
    return f"{head} {last}".strip()


def _article(text: str) -> str:
    return "an" if text[:1] in "aeiou" else "a"


def _plain(text: str) -> list[Word]:
    return [Word(w) for w in re.findall(r"[^\s,]+|,", text)]


def _group_words(group: Group, index: int, rng, colour_told: bool) -> list[Word]:
    noun = rng.choice(OBJECT_WORDS[group.object])
    if group.count > 1:
        noun = plural(noun)
    colour = rng.choice(COLOUR_WORDS[group.colour]) if colour_told else ""
    size = rng.choice(SIZE_WORDS[group.size]) if rng.random() < 0.75 else ""
    count = rng.choice(COUNT_WORDS[group.count])
    behind = bool(colour) and rng.random() < 0.07  # "a house that is red", "a house in red"
    front = " ".join(x for x in (size, "" if behind else colour, noun) if x)
    if count == "a":
        count = _article(front)
    *before, last = noun.split()
    colour_words = [Word(w) for w in colour.split()[:-1]] + [
        Word(w, "colour", index) for w in colour.split()[-1:]
    ]
    words = _plain(f"{count} {size}")
    if not behind:
        words += colour_words
    words += [Word(w) for w in before] + [Word(last, "object", index)]
    if behind:
        words += (
            _plain(rng.choice(("in", "colored", "painted", "that is" if group.count == 1 else "that are")))
            + colour_words
        )
    return words


def _background_words(background: str, rng) -> list[Word]:
    if background in PLACES:
        return _plain(rng.choice(PLACE_WORDS[background]))
    colour = rng.choice(COLOUR_WORDS[background]) if rng.random() < 0.3 else background
    form = rng.choice(
        (
            "on {a} {c} background",
            "on {a} {c} background",
            "on {c}",
            "against {a} {c} background",
            "{c} background",
        )
        + ("with {a} {c} background", "on {a} {c} backdrop", "{c} backdrop", "in front of {a} {c} wall")
    )
    return _plain(form.format(a=_article(colour), c=colour))


def _subject(scene: Scene, rng, told) -> tuple[list[Word], tuple[int, ...], bool]:
    """The words about the objects, the order in which they are named, and whether their place is told."""
    if not scene.groups:
        return [], (), False
    phrases = [_group_words(group, i, rng, told[i]) for i, group in enumerate(scene.groups)]
    if len(phrases) == 1:
        place = rng.choice(POSITION_WORDS[scene.place]) if rng.random() < 0.7 else ""
        words = phrases[0] + _plain(place)
        if place and rng.random() < 0.1:
            words = _plain(place) + [Word(",")] + phrases[0]
        return words, (0,), bool(place) and scene.place != "any"
    first, second = phrases
    chance = rng.random()
    if chance < 0.75:
        swap = chance > 0.55
        relation = rng.choice(RELATION_WORDS[REVERSE[scene.place] if swap else scene.place])
        middle = _plain(relation)
        order = (1, 0) if swap else (0, 1)
        return (
            (second + middle + first if swap else first + middle + second),
            order,
            relation not in ("next to", "beside"),
        )
    swap = rng.random() < 0.5
    middle = _plain(rng.choice(("and", "and", "and", ",", "with", "together with")))
    return (second + middle + first if swap else first + middle + second), ((1, 0) if swap else (0, 1)), False


def _typo(word: str, rng) -> str:
    i = rng.randrange(len(word) - 1)
    return rng.choice(
        (
            word[:i] + word[i + 1 :],
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
            word[:i] + word[i] + word[i:],
        )
    )


def _with_noise(words: list[Word], rng) -> list[Word]:
    """Filler words before, after or between, as in real prompts; now and then a nonsense word or a slip of
    the key."""
    words = list(words)
    if rng.random() < 0.04:
        i = rng.randrange(len(words))
        if len(words[i].text) > 4 and not words[i].role:
            words[i] = Word(_typo(words[i].text, rng))
    filler = [Word(rng.choice(FILLER)) for _ in range(rng.choice((1, 2, 2, 3, 4, 6, 9)))]
    if rng.random() < 0.15:
        filler.append(
            Word("".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 8))))
        )
    if rng.random() < 0.5:
        filler = [part for word in filler for part in (word, Word(","))][:-1]
    chance = rng.random()
    if chance < 0.35:
        return words + [Word(",")] + filler
    if chance < 0.55:
        return filler + words
    if chance < 0.7:
        return words + filler
    if chance < 0.85:
        return filler[: len(filler) // 2] + words + [Word(",")] + filler[len(filler) // 2 :]
    nouns = [i for i, word in enumerate(words) if word.role]  # an adjective in front of a noun or its colour
    i = rng.choice(nouns) if nouns else 0
    return words[:i] + filler[:1] + words[i:]


def describe(scene: Scene, rng: random.Random, noise: float = 0.2, drop: float = 0.08) -> Caption:
    """A random caption. `noise`: share of captions with foreign words. `drop`: share of groups whose colour
    is untold."""
    told = tuple(rng.random() >= drop for _ in scene.groups)
    subject, order, place_told = _subject(scene, rng, told)
    background = _background_words(scene.background, rng) if not subject or rng.random() < 0.92 else []
    style = rng.choice(STYLE_WORDS[scene.style])
    if scene.style != "flat" and rng.random() < 0.05:
        style = ""
    if not subject:
        words = background
    elif background and rng.random() < 0.14:
        words = background + ([Word(",")] if rng.random() < 0.7 else []) + subject
    else:
        words = subject + ([Word(",")] if background and rng.random() < 0.2 else []) + background
    if style:
        form = rng.random()
        if form < 0.55:
            words = words + [Word(",")] + _plain(style)
        elif form < 0.7:
            words = words + _plain(f"in {style} style")
        elif form < 0.9:
            words = _plain(f"{_article(style) + ' ' if rng.random() < 0.5 else ''}{style} of") + words
        else:
            words = _plain(style) + [Word(",")] + words
    elif rng.random() < 0.3:
        words = _plain(rng.choice(PREFIXES)) + words
    if rng.random() < noise:
        words = _with_noise(words, rng)
    words = [word for i, word in enumerate(words) if word.text != "," or i and words[i - 1].text != ","]
    return Caption(tuple(words), told, order, bool(background), bool(style), place_told)


# The canonical sentence
# --------------------------------------------------------------------------------------------


def _canonical_group(group: Group) -> str:
    size = "" if group.size == "medium" else group.size + " "
    noun = plural(group.object) if group.count > 1 else group.object
    count = CANONICAL_COUNT[group.count] if group.count > 1 else _article(size + group.colour)
    return f"{count} {size}{group.colour} {noun}"


def background_phrase(background: str) -> str:
    if background in PLACES:
        return PLACE_WORDS[background][0]
    return f"on {_article(background)} {background} background"


def canonical(scene: Scene) -> str:
    """One fixed sentence for a scene, such as `two red cats above a blue star at night, pixel art`."""
    text = background_phrase(scene.background)
    groups = [_canonical_group(group) for group in scene.groups]
    if len(groups) == 2:
        text = f"{groups[0]} {CANONICAL_RELATION[scene.place]} {groups[1]} {text}"
    elif groups:
        text = f"{groups[0]} {text}"
    return text + CANONICAL_STYLE[scene.style]


@dataclass(frozen=True)
class Reading:
    """What a canonical sentence says; None where it says nothing readable."""

    groups: tuple[tuple[int, str | None, str | None], ...]  # count, colour, object
    relation: str | None
    background: str | None
    style: str


def parse(text: str) -> Reading:
    """Reads a canonical sentence back; reads what it can of any other text and never fails."""
    text = re.sub(r"\s*,\s*", ", ", text.strip().lower())
    style = next((s for s, ending in CANONICAL_STYLE.items() if ending and ending[2:] in text), "flat")
    text = text.split(",")[0].strip()
    background = None
    if match := re.search(r"on an? (\w+) background$", text):
        background, text = match[1], text[: match.start()]
    else:
        for place in PLACES:
            if text.endswith(PLACE_WORDS[place][0]):
                background, text = place, text.removesuffix(PLACE_WORDS[place][0])
    parts, relation = [text], None
    for name, phrase in CANONICAL_RELATION.items():
        if f" {phrase} " in text:
            parts, relation = text.split(f" {phrase} ", 1), name
            break
    counts = {word: count for count, word in CANONICAL_COUNT.items()}
    nouns = {form: thing for thing in OBJECTS for form in (thing, plural(thing))}
    groups = []
    for words in filter(None, (part.split() for part in parts)):
        colour = next((w for w in words if w in COLOURS), None)
        thing = next((nouns[w] for w in words if w in nouns), None)
        groups.append((counts.get(words[0], 1), colour, thing))
    return Reading(tuple(groups), relation, background if background in COLOURS + PLACES else None, style)


LENGTH = 77  # tokens, as in Stable Diffusion
SIZE = 3000  # tokens at most
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""  # of CLIP
START, END = "<|startoftext|>", "<|endoftext|>"
DECODE = "[DEC]"  # begins a caption of BLIP's decoder


# little words of English that mean nothing to the drawn world and are no news to a reader
LITTLE = (
    "as be been can colour coloured color create could do for from generate has have her here his into its"
    " make me my no not off onto our out paint render shall should show so some than their them there these"
    " they this those us was we were what where which while will within without would you your"
).split()


def known_words() -> list[str]:
    """Return every word that the model knows or that needs no remark; the pack's settings name them."""
    return sorted({*grammar_words(), *LITTLE})


def grammar_words() -> list[str]:
    """Every word that a caption can hold, sorted, filler included."""
    rng = random.Random("vocabulary")
    found = set(world.FILLER)
    for table in (world.OBJECT_WORDS, world.COLOUR_WORDS, world.PLACE_WORDS, world.STYLE_WORDS):
        for phrase in (phrase for phrases in table.values() for phrase in phrases):
            found.update(phrase.split())
    for phrases in world.OBJECT_WORDS.values():
        found.update(word for phrase in phrases for word in plural(phrase).split())
    for _ in range(20_000):
        scene = compose(rng, rng.choice(KINDS))
        found.update(canonical(scene).replace(",", " ").split())
        found.update(word.text for word in describe(scene, rng, noise=0).words)
    return sorted(found - {","})


def build_clip(folder: Path) -> CLIPTokenizer:
    """Trains the BPE on the grammar's words and on some plain English, and writes it in CLIP's two-file
    form."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix="", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    english = [topics[key] for key in sorted(topics)]
    corpus = english + [" ".join(grammar_words())] * 3000
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(alphabet) - 2,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    merges = [
        pair if isinstance(pair, list) else pair.split(" ")
        for pair in json.loads(tokenizer.to_str())["model"]["merges"]
    ]
    tokens = dict.fromkeys(
        alphabet + [letter + "</w>" for letter in alphabet] + [a + b for a, b in merges] + [START, END]
    )
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8"
    )
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    return CLIPTokenizer.from_pretrained(folder)


def compact(folder: Path):
    """Writes every tokenizer under `folder` without blanks, and leaves out what its tokenizer.json says,
    too."""
    for path in folder.rglob("tokenizer.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(
            json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
        )
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
            (path.parent / name).unlink(missing_ok=True)


def build_bert(folder: Path) -> BertTokenizer:
    """Whole words of the grammar without its filler; single characters for anything else."""
    characters = string.ascii_lowercase + string.digits
    pieces = (
        set(grammar_words()) - set(world.FILLER)
        | set(characters)
        | {"##" + c for c in characters}
        | set(".,!?-':")
    )
    pieces |= {"is", "this", "it", "there", "are", *OBJECTS, *COLOURS, *PLACES, *STYLES}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", DECODE, *sorted(pieces)]) + "\n")
    return BertTokenizer(str(path), bos_token=DECODE)


class Encoder:
    """Fast token ids for captions: every word is tokenized once. `tokenizer` is the CLIP one."""

    def __init__(self, tokenizer: CLIPTokenizer):
        self.tokenizer = tokenizer
        self.start, self.end = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.word = cache(self._word)

    def _word(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def words(self, texts: list[str], length: int) -> tuple[list[int], list[int]]:
        """`length` ids, padded as the pipeline pads them, and the position of each word's last token (-1: cut
        off)."""
        ids, ends = [self.start], []
        for text in texts:
            ids.extend(self.word(text))
            ends.append(len(ids) - 1 if len(ids) < length else -1)
        ids = ids[: length - 1]
        return ids + [self.end] * (length - len(ids)), ends

    def text(self, text: str, length: int = LENGTH) -> list[int]:
        return self.words(re.findall(r"[^\s,]+|,", text), length)[0]
