"""Questions about drawings that are answered by measuring: what is asked, in English as people write it, and
the answer in words. ``vision.readers.scene`` measures."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from vision.images.ops import place
from vision.protocol import Turn
from vision.readers.scene import PERHAPS, STILL, Scene, Thing, Vocabulary

Kind = Literal[
    "what", "colour", "count", "where", "there", "beside", "ground", "direction", "size", "sure", ""
]
SURE = 0.93  # chance of a name from which on it is told flatly
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SPELLED = (
    (r"[\u2018\u2019`]", "'"),
    (r"\b(what|where|there|it|that|who|how|whereabout)s?'s\b", r"\1 is"),
    (r"\bwhats\b", "what is"),
    (r"\bwheres\b", "where is"),
    (r"\btheres\b", "there is"),
    (r"\bu\b", "you"),
    (r"\bwat\b", "what"),
    (r"\bpls\b", "please"),
    (r"\br\b", "are"),
    (r"\b(?:m8|mate)\b", " "),
    (r"\bhappen to\b", " "),
    (r"\bin (?:a few|short|simple|other) words\b|\b(?:short|brief|quick)(?= description\b)", " "),
    (r"\bdis\b", "this"),
    (r"\bem\b", "them"),
    (r"^(there is\b(?!.*\b(?:the|upper|lower|or) right).*) right\W*$", r"\1 right so"),
    (r"[,.;] (?:right|correct|yes|no|or not|isn't it|isn't there|ok)\W*$", " right so"),
    (r"\bcan't\b", "can not"),
    (r"\bwon't\b", "will not"),
    (r"n't\b", " not"),
    (r"\bright so\b", "isn"),
    (r"'(?:s|re|ve|d|ll|m)\b", " "),
    (r"\bcolor", "colour"),
    (r"\bgrey\b", "gray"),
    (r"\bnext to\b", "beside"),
    (r"\bwho or what\b", "what"),
    (r"\b(?:am i|is it) (?:right|correct|true) (?:that|in)\b", "is"),
    (r"\b(?:what|how) about\b", "and"),
    (r"\bon top of\b", "above"),
    (r"\btake place\b", "background"),
    (r"[^\w\s]", " "),
)
_SIDES = {
    "left": "left",
    "right": "right",
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
    "underneath": "below",
    "beneath": "below",
    "beside": "beside",
    "near": "beside",
    "alongside": "beside",
}
_PARTS = {
    "left": "left",
    "right": "right",
    "top": "upper",
    "upper": "upper",
    "bottom": "lower",
    "lower": "lower",
    "middle": "middle",
    "centre": "middle",
    "center": "middle",
    "corner": "",
}
_KINDS: tuple[tuple[Kind, str], ...] = (  # the first that is found is what is asked
    (
        "sure",
        r"\b(?:are you (?:really |quite |very )?(?:sure|certain)|^(?:really|sure|certain)$|how sure"
        r"|(?:is|are) (?:that|this|it|you) (?:right|correct|true)$)(?:\b|$)",
    ),
    ("what", r"\bgoing on\b|\bhappen\w*\b"),
    ("where", r"\bwherea\w+\b"),
    (
        "direction",
        r"\b(?:directions?|move[sd]?|moving|movement|motion|go(?:es|ing)?|went|head(?:s|ed|ing)?|doing"
        r"|travel\w*|fly|flying|flies|drift\w*|(?:which|what) way)\b"
        r"|\bwhere\b(?!.*\b(?:drawn|put|placed|painted)\b).* to$",
    ),
    ("count", r"\bhow (?:many|much)\b|\bcount\b|\bnumber\b|\bamount\b|\bmore than one\b"),
    (
        "ground",
        r"\bbackground\b|\bbackdrop\b|\bbehind\b|\bsurround\w*\b|\baround\b|\bin front of (?:what|which)\b",
    ),
    (
        "ground",
        r"\bscenery\b|\blandscape\b|\bground\b|\bsetting\b|\benvironment\b"
        r"|\b(?:kind|sort|type) of place\b|\bwhat place is (?:this|it|that)\b",
    ),
    (
        "ground",
        r"\b(?:stand|sit|li|ly|float|rest)(?:s|es|ing|ting|e)? on(?: top of)?$|\bwhere (?:is this|are we)$",
    ),
    ("colour", r"\bcolou?r(?:s|ed)?\b|\bhue\b|\bshade\b"),
    ("size", r"\b(?:big|bigger|biggest|large|larger|small|smaller|tiny|huge)\b"),
    ("where", r"\bwhere\w*\b|\bposition\w*\b|\blocat\w*\b|\bplaced\b|\bplace (?:does|of)\b"),
    (
        "where",
        r"\b(?:which|what) (?:\w+ (?:or )?)?"
        r"(?:part|bit|side|corner|area|half|third|quarter|edge|end|region|spot|place)\b",
    ),
)
_ASKS = re.compile(
    r"\b(?:what|which|describe\w*|explain\w*|identify|depicted|contents?|recogni[sz]e|description)\b"
)
_TELL = re.compile(r"\b(?:tell|say|name|show|see)\b")
_YES_NO = re.compile(
    r"^(?:(?:so|and|but|then|hey|hi|please|well|also"
    r"|(?:can you |could you )?(?:tell|say)(?: me)? (?:if|whether)"
    r"|do you (?:know|think)(?: if| whether)?|would you say) )*"
    r"(?:is|are|was|were|do|does|did|can|could|has|have|any|there|would|might|isn|aren|will|if|whether|a|an)\b"
)
_ORDER = re.compile(
    r"^(?:please )?(?:can|could|would|will) you (?:please )?"
    r"(?:tell|say|describe|count|name|identify|give|locate|show|list)\b(?! (?:me )?(?:if|whether))"
)
_HEADED = frozenset(  # words that a noun follows
    """a an any the my your his her our some many much no this that these those another of with or see count
    contain contains show shows there and two three four five six""".split()
)
_ITS = frozenset("what which it this that of is are does did".split())  # that what is asked follows
_OF_PICTURES = frozenset(  # that have what words before them say, and no object of its own
    """number count amount colour picture image drawing part side place position direction background
    way""".split()
)
_WHOSE = frozenset("my your his her our their this that".split())
_SPEAKER = frozenset("you i we please to they".split())  # words that a verb follows
_DRAWS = frozenset(
    "draw draws drew paint make see sees".split()
)  # what follows a person who isn't asked about
_ABOUT = re.compile(r"^(?:and|or|what about|how about|then|but|also|now)\b")
_KNOWN = frozenset(  # words that change nothing, or whose meaning is in the patterns
    """
    a about above across actually after again all along alongside also altogether am among amount an
    and animation any anybody anyone anything anywhere apart appear appears approximately are area
    aren around art artwork as ask at attached attachment back backdrop background be because been
    begin beginning behind being believe below beneath beside besides big bigger biggest bit both
    bottom briefly but by call called calls can cannot canvas cartoon center centre certain
    certainly chance check choose chose chosen clear clearly clip clue colour coloured colours come
    comes contain contained contains content contents corner correct could count create created
    curious currently depict depicted depicts describe describes description did different direction
    do does doesn doing doodle down draw drawing drawings drawn drew drift drifting drifts each edge
    else end entire environment ever every everybody everything everywhere exactly exist exists
    explain eyes feature features figure file find finds flies floating fly flying for found frame
    frames from front gave get gets gif give given go goes going got ground guess had half hand
    happen happening happens has have having head headed heading heads hello help here hey hi hidden
    hide hm hmm hold holds how hue huge i idea identify if illustrated illustration image images in
    include included includes including inside intend intended into is isn it its just keep kind
    know known knows landscape large larger left let lie lies like likely list little locate located
    location look looking looks lower lying made make many maybe me mean means meant mention middle
    might mine more motif motion move moved movement moves moving much my name named near nearby
    need no not notice now number object objects obviously of off oh ok okay on one ones only
    opinion or other our out over page paint painted painting paper part per photo pic pick picked
    picture pictured pictures piece place placed please plus point portray portrayed position
    positioned possibly post posted present probably provide put quarter quickly quite rather read
    really recognise recognised recognize region represent represented represents resting right
    roughly same say scene scenery screen see seen select send sent setting several shade share
    sheet shortly should show showing shown shows side sideways simply sits sitting size sketch
    sketched small smaller so some somebody someone something somewhere sort spot spotted stand
    standing stands start state stuff subject supposed supposedly sure surround surrounded
    surrounding surroundings surrounds take tell than thank thanks that the their them theme then
    there these they thing things think third this those tiny to today together top topic total
    toward towards travel traveling travelling travels tried true try trying turn turned type under
    underneath understand up upload uploaded upper us use used very via video view visible want was
    way ways we well went were what where whereabouts whether which while whole will with without
    wonder wondering work would wrong yeah yes you your
    """.split()
) | set(NUMBERS)


@dataclass(frozen=True)
class Meant:
    """An object as a question calls it. name: "" for any, such as in "the red one"."""

    name: str = ""
    colour: str = ""

    def fits(self, thing: Thing) -> bool:
        """Return whether a thing may be meant."""
        return self.name in ("", thing.name) and self.colour in ("", thing.colour)


@dataclass(frozen=True)
class Question:
    """What is asked. things: that are named, those of ``side`` last. yes_no: it can be answered by yes or no.
    colours: said of a thing ("is it red?"). count: "are there two …?". side: of the last thing. part: of the
    picture. grounds: that are asked for. unknown: words that nothing here knows. its: about what was spoken
    of before."""

    kind: Kind = ""
    things: tuple[Meant, ...] = ()
    yes_no: bool = False
    colours: tuple[str, ...] = ()
    count: int | None = None
    side: str = ""
    part: tuple[str, ...] = ()
    grounds: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    its: bool = False


@dataclass(frozen=True)
class Measurer:
    """Understands questions by a card's words, and answers them. things, colours, places: words → what the
    pack calls it. says: a ground → words behind an object."""

    things: Mapping[str, str]
    colours: Mapping[str, str]
    places: Mapping[str, str]
    says: Mapping[str, str]
    plurals: Mapping[str, str]

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Measurer | None:
        """Return what a card's "asks" says of words, None where its pack can't measure ("grounds")."""
        told = card.get("asks")
        if not isinstance(told, Mapping) or "grounds" not in told:
            return None
        groups = told["groups"]
        return cls(
            groups["thing"],
            groups["colour"],
            groups["place"],
            told["grounds"],
            {one: groups["things"][one] for one in set(groups["thing"].values())},
        )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the pack's readers are to tell apart."""
        names, colours = dict.fromkeys(self.things.values()), dict.fromkeys(self.colours.values())
        return Vocabulary(tuple(names), tuple(colours), self.says)

    # Understanding

    def understand(self, text: str, before: Question | None = None) -> Question:
        """Return what a question asks. before: what was asked before it."""
        asked = text.lower()
        for pattern, instead in _SPELLED:
            asked = re.sub(pattern, instead, asked)
        words = asked.split()
        asked = " ".join(words)
        found = self._read(words)
        kind: Kind = next((kind for kind, pattern in _KINDS if re.search(pattern, asked)), "")
        yes_no = bool(_YES_NO.match(asked)) and not (
            _ORDER.match(asked) or re.search(r"\b(?:what|which|who|how|where\w*)\b", asked)
        )
        if (
            kind == "count"
            and found.count is not None
            and not re.search(r"\bhow\b|\bcount\b|\bnumber\b", asked)
        ):
            kind = ""
        if kind in ("colour", "where", "ground") and yes_no and not re.search(r"tell|say|name|locate", asked):
            kind = "" if kind != "ground" or found.grounds else kind
        if (
            kind == "where"
            and found.side
            and found.things
            and not re.search(r"\bwhere|\bposition|\blocat(?:e|ion)\b", asked)
        ):
            kind = ""
        if not kind and (found.side or found.part) and (found.things or found.part or found.its):
            kind = "beside"
        if not kind and yes_no and not found.things and _ASKS.search(asked):
            kind, yes_no = "what", False  # "can you identify this?"
        if not kind and (yes_no or (found.things and "there" in words) or re.search(r"\bif\b", asked)):
            kind = "there"
        if not kind and (_ASKS.search(asked) or (_TELL.search(asked) and not found.things)):
            kind = "what"
        found = replace(found, kind=kind, yes_no=yes_no, unknown=self._unknown(found, kind, words))
        if before is not None and kind != "sure" and (not kind or _ABOUT.match(asked)):
            found = self._continued(found, before)
        elif not kind and (found.things or found.unknown):
            found = replace(found, kind="there")
        return found

    def follow(
        self, turns: Sequence[Turn], pictures: Sequence[str]
    ) -> tuple[Question, Question | None, dict[Question, str]]:
        """Return what the last of a conversation's turns asks, what was asked before it of the same pictures
        (SHA-256), and how those questions were answered."""
        before: Question | None = None
        answers, of = dict[Question, str](), tuple[str, ...]()
        for turn in turns[:-1]:
            of = turn.pictures or of
            if tuple(of) != tuple(pictures):
                before = None
            elif turn.role == "user":
                before = self.understand(turn.text, before)
            elif before is not None:
                answers[before] = turn.text
        return self.understand(turns[-1].text, before), before, answers

    def boxes(self, text: str, scene: Scene) -> str:
        """Return the boxes of what is named in a request for boxes, all where nothing is, as a chat model
        tells them: JSON, in thousandths."""
        asked = self.understand(text)
        found = [thing for thing in scene.things if any(one.fits(thing) for one in asked.things)]
        if not asked.things and not asked.unknown:
            found = list(scene.things)
        return json.dumps(
            [
                {
                    "bbox_2d": [round(1000 * side) for side in thing.box],
                    "label": f"{thing.colour} {thing.name}",
                }
                for thing in found
            ]
        )

    def _continued(self, found: Question, before: Question) -> Question:
        """Return a question such as "and the tree?" as what was asked before it, of something else."""
        kind = found.kind
        if kind in ("", "there", "what", "beside") or (kind == before.kind):
            if found.part and before.kind in ("what", "there", "beside", "where", "count", ""):
                return replace(
                    found, kind="beside", things=found.things or (before.things[-1:] if before.side else ())
                )
            if found.side and before.things and not found.things:
                return replace(found, kind="beside", things=before.things[-1:])
            if found.kind == "" or (found.kind == "there" and not found.yes_no):
                things = found.things or before.things
                return replace(before, things=things, unknown=found.unknown, colours=found.colours, its=False)
        return found

    def _unknown(self, found: Question, kind: Kind, words: Sequence[str]) -> tuple[str, ...]:
        """Return those words that nothing here knows and that a question is about: names of objects, and all
        where it isn't clear without them what is asked."""
        named, kept = bool(found.things) or found.its or kind == "ground", list[str]()
        for word in found.unknown:
            at = words.index(word)
            before, after = words[at - 1] if at else "", ""
            if at + 1 < len(words):
                _, sort, what = self._phrase(words, at + 1)
                after = what if sort == "word" else sort
            if after in _DRAWS:
                continue
            verb = before in _SPEAKER or (not at and len(words) > 2 and not word.endswith("s"))
            noun = before in (_HEADED - _WHOSE if found.things else _HEADED) and after not in (
                "thing",
                *_OF_PICTURES,
            )
            bare = kind in ("", "size", "sure") or (kind == "there" and not verb)
            noun = noun or (kind == "what" and before in _ITS)
            if noun or bare or not (named or verb):
                kept.append(word)
        return tuple(kept)

    def _read(self, words: Sequence[str]) -> Question:
        """Return the things, colours, sides … that are named, in whatever order."""
        things, colours, grounds, parts = list[Meant](), list[str](), list[str](), list[str]()
        strange, side, count, its, colour, at = list[int](), "", None, False, "", 0
        sided = False
        while at < len(words):
            size, sort, what = self._phrase(words, at)
            word = words[at]
            if sort == "thing":
                things.append(Meant(what, colour))
                colour = ""
            elif sort == "colour":
                if colour:
                    colours.append(colour)
                colour = what
            elif sort == "place":
                grounds.append(what)
            elif word in ("one", "ones", "thing", "things", "object", "objects") and colour:
                things.append(Meant("", colour))
                colour = ""
            elif word.isdigit() or word in NUMBERS[2:]:
                count = int(word) if word.isdigit() else NUMBERS.index(word)
            elif word in ("it", "its", "they", "them", "their", "that", "this", "these"):
                its = True
            elif word not in _KNOWN:
                strange.append(at)
            if sort == "word" and word in _SIDES:
                after = words[at + 1 : at + 2]
                if word not in ("left", "right") or after in (["of"], ["from"], ["to"]):
                    side, sided = _SIDES[word], True
                else:
                    parts.append(word)
            elif sort == "word" and word in _PARTS and _PARTS[word]:
                parts.append(_PARTS[word])
            at += size
        if colour:
            colours.append(colour)
        parts = list(dict.fromkeys(parts))
        return Question(
            "",
            tuple(dict.fromkeys(things)),
            False,
            tuple(colours),
            count,
            side if sided else "",
            tuple(parts),
            tuple(dict.fromkeys(grounds)),
            tuple(dict.fromkeys(words[at] for at in strange)),
            its,
        )

    def _phrase(self, words: Sequence[str], at: int) -> tuple[int, str, str]:
        """Return how many words from one on belong together, of which sort they are, and what they mean."""
        for size in (3, 2, 1):
            phrase = " ".join(words[at : at + size])
            if len(words) >= at + size:
                for sort, group in (("thing", self.things), ("colour", self.colours), ("place", self.places)):
                    if phrase in group:
                        return size, sort, group[phrase]
        word = words[at]
        if (
            word not in _KNOWN
            and len(word) >= 5
            and (near := difflib.get_close_matches(word, self.things, 1, 0.88))
        ):
            return 1, "thing", self.things[near[0]]
        return 1, "word", word

    # Answering

    def answer(
        self, asked: Question, scene: Scene, before: Question | None = None, *, short: bool = False
    ) -> str | None:
        """Return the answer, None where nothing here measures it."""
        if asked.unknown:
            names = " or ".join(f"“{word}”" for word in asked.unknown[:3])
            return f"I don't know {names}, so I can't tell. {self.limits(scene)}"
        meant = asked.things
        if not meant and asked.its and before is not None:  # what that found beside something, or named
            found = self._besides(before, scene) if before.kind == "beside" and not before.yes_no else None
            meant = (
                before.things[-1:] if found is None else tuple(Meant(one.name, one.colour) for one in found)
            )
        if not asked.kind:
            return None
        told: dict[str, Callable[[Question, Scene], str | None]] = {
            "what": self._what,
            "colour": self._colour,
            "count": self._count,
            "where": self._where,
            "there": self._there,
            "beside": self._beside,
            "ground": self._ground,
            "direction": self._direction,
            "size": self._size,
            "sure": self._sure,
        }
        said = told[asked.kind](replace(asked, things=meant), scene)
        return said if not short or said is None else shortened(said)

    def limits(self, scene: Scene | None = None) -> str:
        """Return a sentence that says what this pack knows, and what it sees."""
        names = sorted(self.vocabulary.names)
        count = (
            NUMBERS[len(names)]
            if len(names) < len(NUMBERS)
            else {11: "eleven", 12: "twelve"}.get(len(names), len(names))
        )
        knows = f"I only know drawings of {count} objects: {', '.join(names[:-1])} and {names[-1]}."
        return knows if scene is None or not scene.things else f"{knows} What I see: {self.shown(scene)}."

    def called(self, thing: Thing, count: int = 1) -> str:
        """Return what a thing is called: "a red house", "something red, perhaps a house"."""
        if thing.sure >= SURE:
            return (
                article(f"{thing.colour} {thing.name}")
                if count == 1
                else (f"{_number(count)} {thing.colour} {self.plurals.get(thing.name, thing.name + 's')}")
            )
        what = f"something {thing.colour}" if count == 1 else f"{_number(count)} {thing.colour} objects"
        if thing.sure < PERHAPS:
            return f"{what} that I can't name"
        perhaps = article(thing.name) if count == 1 else self.plurals.get(thing.name, thing.name + "s")
        return f"{what}, perhaps {perhaps}"

    def listed(self, things: Sequence[Thing]) -> str:
        """Return several things, those of one kind together."""
        return _and([self.called(of[0], len(of)) for of in _alike(things)])

    def shown(self, scene: Scene) -> str:
        """Return all that is in a picture, in a line: "a red house in the snow"."""
        if not scene.things:
            return f"nothing that I know, {self.says[scene.ground]}"
        of = _alike(scene.things)
        if len(of) == 2 and all(len(one) == 1 for one in of):
            first, second = (one[0] for one in of)
            if _side(first, second) in ("below", "right"):
                first, second = second, first
            said = f"{self.called(first)} {_RELATION[_side(first, second)]} {self.called(second)}"
            return f"{said}, {self.says[scene.ground]}"
        return f"{self.listed(scene.things)} {self.says[scene.ground]}"

    def is_doubtful(self, scene: Scene) -> bool:
        """Return whether anything in a picture can't be named for sure."""
        return not scene.things or any(thing.sure < SURE for thing in scene.things)

    def _what(self, asked: Question, scene: Scene) -> str | None:
        if asked.grounds and not asked.things:
            return self._there(asked, scene)
        some = [*asked.things, *(Meant("", colour) for colour in asked.colours)]
        if some and all(one.colour and not one.name for one in some):  # "what is the red thing?"
            found = [thing for thing in scene.things if any(one.fits(thing) for one in some)]
            return _capital(f"{self.listed(found)}.") if found else self._none(some[0], scene)
        said = self.shown(scene)
        if scene.moves:
            said += f". {self._direction(replace(asked, things=()), scene)}".rstrip(".")
        doubt = f" I'm not sure: {_lower(self.limits())}" if self.is_doubtful(scene) else ""
        return _capital(f"{said}.{doubt}")

    def _colour(self, asked: Question, scene: Scene) -> str | None:
        found = self._found(asked, scene)
        if isinstance(found, str):
            return found
        of = _alike(found)
        if len(of) == 1:
            return _capital(f"{self._the(of[0])} {'is' if len(of[0]) == 1 else 'are'} {of[0][0].colour}.")
        parts = [f"{self._the(one)} {'is' if len(one) == 1 else 'are'} {one[0].colour}" for one in of]
        if len({one[0].name for one in of}) == 1:
            parts = [f"{_number(len(one))} {'is' if len(one) == 1 else 'are'} {one[0].colour}" for one in of]
        said = _and(parts)
        return _capital(f"{said}.")

    def _count(self, asked: Question, scene: Scene) -> str | None:
        wanted = asked.things[:1] if not asked.side else asked.things[:-1][:1]
        if not wanted:
            if asked.grounds:
                return None
            count = len(scene.things)
            return f"I count {_number(count)} {'object' if count == 1 else 'objects'}" + (
                f": {self.listed(scene.things)}." if count else "."
            )
        found = [thing for thing in scene.things if wanted[0].fits(thing)]
        if not found:
            return self._none(wanted[0], scene)
        count, doubt = len(found), min(thing.sure for thing in found) < SURE
        name = " ".join(filter(None, (wanted[0].colour, self._plural(wanted[0].name or "object", count))))
        return f"I count {_number(count)} {name}" + (
            ", but I'm not sure that it is one." if doubt and count == 1 else "."
        )

    def _where(self, asked: Question, scene: Scene) -> str | None:
        found = self._found(asked, scene)
        if isinstance(found, str):
            return found
        parts = [f"{self._the([thing])} is {at_place(thing)}" for thing in found]
        if len(found) > 1 and len({thing.name for thing in found}) == 1:
            parts = [
                f"{'one' if n == 0 else 'another'} is {at_place(thing)}" for n, thing in enumerate(found)
            ]
        said = _and(parts)
        return _capital(f"{said}.")

    def _there(self, asked: Question, scene: Scene) -> str | None:
        fitting = [[thing for thing in scene.things if meant.fits(thing)] for meant in asked.things]
        if asked.things and not any(fitting):
            return self._none(asked.things[0], scene, no="No")
        if asked.grounds:  # "is it night?", "is the house in the snow?"
            return f"{_yes(scene.ground in asked.grounds)}: {_lower(self._ground(asked, scene))}"
        if asked.colours and (asked.things or asked.its or len(scene.things) == 1):  # "is the house red?"
            of = [thing for some in fitting for thing in some] or list(scene.things)
            said = self._colour(replace(asked, colours=()), scene) or ""
            right = bool(of) and all(thing.colour in asked.colours for thing in of)
            return said if len(asked.colours) > 1 else f"{_yes(right)}: {_lower(said)}"
        if asked.colours:  # "is there anything red?"
            return self._there(replace(asked, colours=(), things=(Meant("", asked.colours[0]),)), scene)
        if not asked.things:
            return None if asked.yes_no else self._what(asked, scene)
        there = [bool(some) and asked.count in (None, len(some)) for some in fitting]
        told = [
            f"{self.listed(some)}, {at_place(some[0])}" if len(some) == 1 else self.listed(some)
            for some in fitting
            if some
        ]
        return f"{_yes(any(there))}, I see {_and(told)}."

    def _besides(self, asked: Question, scene: Scene) -> list[Thing] | None:
        """Return what is on a side of something, or in a part of the picture; None where that isn't clear."""
        if not asked.side:
            some = list[Thing]()
            for thing in scene.things:
                x, y = thing.middle
                fits = {"left": x < 0.42, "right": x > 0.58, "upper": y < 0.42, "lower": y > 0.58}
                fits["middle"] = 0.3 < x < 0.7 and 0.3 < y < 0.7
                some += [thing] if all(fits.get(part, True) for part in asked.part) else []
            return some
        if not asked.things and len(scene.things) != 1:
            return None
        of = asked.things[-1] if asked.things else Meant(scene.things[0].name)
        ends = sorted((thing for thing in scene.things if of.fits(thing)), key=_area)
        if not ends:
            return None
        sides = ("left", "right") if asked.side == "beside" else (asked.side,)
        return [one for one in scene.things if one is not ends[-1] and _side(one, ends[-1]) in sides]

    def _beside(self, asked: Question, scene: Scene) -> str | None:
        for meant in asked.things:
            if not any(meant.fits(thing) for thing in scene.things):
                return self._none(meant, scene, no="No" if asked.yes_no else "None")
        found = self._besides(asked, scene)
        if found is None:
            return None
        if not asked.side and asked.things and asked.yes_no:  # "is the house on the left?"
            yes = any(asked.things[0].fits(thing) for thing in found)
            return f"{_yes(yes)}: {_lower(self._where(asked, scene) or '')}"
        said = self.listed(found) if found else "nothing"
        if len(asked.things) > 1:  # "is the house left of the tree?"
            yes = any(asked.things[0].fits(thing) for thing in found)
            return f"{_yes(yes)}: {_RELATION[asked.side]} the {asked.things[-1].name} is {said}."
        if not found:
            return f"{'No' if asked.yes_no else 'Nothing'}: I see only {self.shown(scene)}."
        return f"Yes, {said}." if asked.yes_no else _capital(f"{said}.")

    def _ground(self, asked: Question, scene: Scene) -> str:
        if scene.ground in self.vocabulary.colours:
            return f"The background is {scene.ground}."
        return f"It is {self.says[scene.ground]}."

    def _direction(self, asked: Question, scene: Scene) -> str | None:
        if not scene.moves:
            return "This is a single picture, so I can't see anything move."
        pairs = [
            (thing, move)
            for thing, move in zip(scene.things, scene.moves, strict=True)
            if not asked.things or any(meant.fits(thing) for meant in asked.things)
        ]
        if not pairs:
            if asked.things and scene.things:
                pairs = list(zip(scene.things, scene.moves, strict=True))
            else:
                return f"I see nothing that I know move. {self.limits()}"
        said = _and([f"{self._the([thing])} {_moves(move)}" for thing, move in pairs])
        return _capital(f"{said}.")

    def _size(self, asked: Question, scene: Scene) -> str | None:
        if not scene.things:
            return None
        found = sorted(scene.things, key=_area, reverse=True)
        parts = [f"{self._the([thing])} takes {max(1, round(100 * _area(thing)))} %" for thing in found]
        return _capital(f"{_and(parts)} of the picture.")

    def _sure(self, asked: Question, scene: Scene) -> str | None:
        parts = [f"{thing.colour} {thing.name}, {thing.sure:.0%} sure" for thing in scene.things]
        seen = "; ".join(parts) or "nothing that I know"
        return f"I looked again and see: {seen}. {self.limits()}"

    def _found(self, asked: Question, scene: Scene) -> list[Thing] | str:
        """Return the things that are meant: those named, else all of a picture; or that there is none."""
        found = [thing for thing in scene.things if any(meant.fits(thing) for meant in asked.things)]
        if not asked.things:
            found = list(scene.things)
        if found:
            return found
        return (
            self._none(asked.things[0], scene)
            if asked.things
            else f"I see nothing that I know. {self.limits()}"
        )

    def _none(self, meant: Meant, scene: Scene, no: str = "None") -> str:
        """Return that something isn't there, or may be."""
        doubtful = [thing for thing in scene.things if thing.sure < SURE]
        name = " ".join(filter(None, (meant.colour, meant.name or "object")))
        if doubtful and not meant.colour:
            return f"{no}, I see no {name}; but I can't name all that I see: {self.shown(scene)}."
        return f"{no}, I see no {name}, only {self.shown(scene)}."

    def _the(self, things: Sequence[Thing]) -> str:
        thing = things[0]
        if thing.sure < PERHAPS:
            return f"the {thing.colour} object" if len(things) == 1 else f"the {thing.colour} objects"
        return f"the {self._plural(thing.name, len(things))}"

    def _plural(self, name: str, count: int) -> str:
        return name if count == 1 else self.plurals.get(name, name + "s")


_RELATION = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
    "beside": "beside",
}


def article(words: str) -> str:
    """Return "a red house", "an orange cat"."""
    return f"{'an' if words[:1] in 'aeiou' else 'a'} {words}"


def shortened(said: str) -> str:
    """Return an answer in a few words: its first sentence, without what begins every such sentence."""
    first = re.split(r"(?<=[a-z])[.;:,] ", said, maxsplit=1)[0].rstrip(".")
    return re.sub(r"^(?:I count |The background is |[Tt]he [\w ]+? (?:is|are) )", "", first)


def at_place(thing: Thing) -> str:
    """Return where a thing is: "on the left", "in the upper left", "in the middle"."""
    where = place(*thing.middle)
    return (
        f"{'on' if where in ('left', 'right') else 'at' if where in ('top', 'bottom') else 'in'} the {where}"
    )


def _alike(things: Sequence[Thing]) -> list[list[Thing]]:
    """Return things in groups of one name and colour, of which the surest tells how sure the name is."""
    groups = dict[tuple[str, str], list[Thing]]()
    for thing in sorted(things, key=lambda thing: -thing.sure):
        name = thing.name if thing.sure >= PERHAPS else ""
        groups.setdefault((name, thing.colour), []).append(thing)
    return sorted(groups.values(), key=lambda group: things.index(group[0]))


def _side(one: Thing, other: Thing) -> str:
    """Return on which side of another thing one is."""
    (x0, y0), (x1, y1) = one.middle, other.middle
    if abs(x0 - x1) >= abs(y0 - y1):
        return "left" if x0 < x1 else "right"
    return "above" if y0 < y1 else "below"


def _area(thing: Thing) -> float:
    left, top, right, bottom = thing.box
    return (right - left) * (bottom - top)


def _moves(move: tuple[float, float]) -> str:
    x, y = move
    if max(abs(x), abs(y)) < STILL:
        return "stands still"
    words = list[str]()
    if abs(y) > abs(x) / 2:
        words.append("down" if y > 0 else "up")
    if abs(x) > abs(y) / 2:
        words.append("to the right" if x > 0 else "to the left")
    return f"moves {' and '.join(words)}"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def _number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _yes(right: bool) -> str:
    return "Yes" if right else "No"


def _capital(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}"


def _lower(said: str) -> str:
    return said if said.startswith("I ") or said.startswith("I'") else f"{said[:1].lower()}{said[1:]}"
