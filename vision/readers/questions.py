"""Questions about drawings that are answered by measuring: what is asked, in English as people write it.
``vision.readers.scene`` measures, ``vision.readers.answers`` answers."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from vision.protocol import Turn
from vision.readers.scene import Scene, Thing, Vocabulary

Kind = Literal[
    "what", "colour", "count", "where", "there", "beside", "ground", "direction", "size", "sure", ""
]
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_IN_WORDS = r"\bin (?:a few|a couple of|short|simple|other|plain|your own|one|a single) (?:words?|sentence)\b"
_SPELLED = (
    (r"[\u2018\u2019`]", "'"),
    (r"\b(what|where|there|it|that|who|how|whereabout)s?'s\b", r"\1 is"),
    (r"\b(what|where|there|how|wat|that)s\b", r"\1 is"),
    (r"\b(?:whit|wot|wat)\b", "what"),
    (r"\bwhaur\b", "where"),
    (r"\b(?:hmny|hw many|how meny)\b|#(?= ?of)", "how many"),
    (r"\bwher\b|^were(?= is\b)", "where"),
    (r"\b(kind|sort)a\b", r"\1 of"),
    (r"\bor (?:what|am i\b.*)\W*$|\bboys and girls\b|\b(?:please )?answer yes or no\b", " "),
    (r"\ball over\b", "in"),
    (r"\bany signs? of\b", "any"),
    (r"\bover the (?:tele)?phone\b|[.!?,] go\W*$", " "),
    (r"\b(?:walk|run|talk) (?:me|us) through\b", "tell me"),
    (r"\b(?:whaddya|what've|wah)\b", "what do"),
    (r"\bwhe\b", "where is"),
    (r"\binna\b", "in"),
    (r"\b(?:di|yon)\b", "the"),
    (r"\bmi\b", "i"),
    (r"\bdeh\b", " "),
    (r"\b(\w+)in'(?= |$)", r"\1ing"),
    (r"\b(go|do|look|mov|head|fly|be|show)in\b", r"\1ing"),
    (r"\bteh\b", "the"),
    (r"\b(?:thre|ther)\b", "there"),
    (r"\b(?:colr|clr|coler|culor|colur|coulour|colou?rs?'s)\b", "colour"),
    (r"\bbg\b", "background"),
    (r"\bd'(?=you\b)", "do "),
    (r"\bo'", "of "),
    (r"\b(?:aye|nah|nope|yep|yeah)\b", "yes"),
    (r"\b(?:to the )?best of your knowledge\b|\bif (?:you do not|you don't) mind\b|\bat first glance\b", " "),
    (r"\bif (?:it|that) (?:is not|isn't) too much (?:trouble|to ask)\b|\breal(?:ly)? quick\b", " "),
    (r"\bfor the record\b|\bif it(?: is|'s) (?:no|not any) trouble\b", " "),
    (r"\bif you (?:please|can|could|would)\b", " "),
    (r"\b(?:am|would) i (?:be )?(?:right|correct) in (?:thinking|saying)(?: that)?\b", "is"),
    (r"\bu\b", "you"),
    (r"\bpls\b", "please"),
    (r"\bdir\b", "direction"),
    (r"\b(?:pos|loc)\b", "position"),
    (r"\bcol\b", "colour"),
    (r"\b(?:num|no\.|#) ?of\b|^# ?|\bnumbers of\b|\bhead count (?:on|of)\b|\bfigure for\b", "number of "),
    (r"\bwhere'd\b", "where did"),
    (r"\by ?/ ?n\b|\b(?:true or false|yes or no)\b", " "),
    (
        r"\b(?:sir|madam|ma'am|hon|hun|honey|sugar|sweetie|darling|bud|buddy|dude|bro|eh|um|uh|lol|rq)\b"
        r"|\breckon\b",
        " ",
    ),
    (r"\br\b", "are"),
    (r"\b(?:m8|mate)\b", " "),
    (r"\bhappen to\b", " "),
    (r"\b(?:any|have you any|have you an|got any) (?:idea|clue|guess)(?: about| as to| of)?\b", "tell me"),
    (r"\bhave i (?:got it )?right\b|\bam i right\b|\bis (?:that|it) so\b", " right so "),
    (_IN_WORDS, " "),
    (r"\b(?:short|brief|quick)(?= (?:description|account|summary)\b)", " "),
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
    (r"\btak(?:e|es|ing|in) place\b", "background"),
    (r"[^\w\s]", " "),
)
SIDES = {  # words → side
    word: side
    for side, words in (
        ("left", "left"),
        ("right", "right"),
        ("above", "above over"),
        ("below", "below under underneath beneath"),
        ("beside", "beside near alongside"),
    )
    for word in words.split()
}
_PARTS = {"left": "left", "right": "right", "top": "upper", "upper": "upper", "bottom": "lower"}
_PARTS |= {"lower": "lower", "middle": "middle", "centre": "middle", "center": "middle", "corner": ""}
_KINDS: tuple[tuple[Kind, str], ...] = (  # the first that is found is what is asked
    (
        "sure",
        r"\b(?:are you (?:really |quite |very )?(?:sure|certain)|^(?:really|sure|certain)$|how sure|(?:is"
        r"|are) (?:that|this|it|you) (?:right|correct|true)$)(?:\b|$)",
    ),
    ("what", r"\bgoing on\b(?!.*\b(?:behind|background|back)\b)|\bhappen\w*\b"),
    ("where", r"\bwherea\w+\b"),
    (
        "direction",
        r"\b(?:directions?|moves|moved|moving|movement|motion|travel\w*|(?:which|what) way)\b"
        r"|\bwhere\b(?!.*\b(?:drawn|put|placed|painted)\b).* to$"
        r"|\b(?:walk\w*|advanc\w*|animating|hanging a|runs?|running|roll\w*|bounc\w*|swim\w*)\b|\bpath\b"
        r"|\bcourse\b|\bwander\w*\b|\bwhere .*\boff to\b|\bmaking (?:for|its way)\b|\bbreaking\b"
        r"|\bleaves? by\b",
    ),
    (
        "count",
        r"\bhow (?:many|much)\b|\bcount(?:ing)?\b|\bnumber\b|\bamount\b|\bmore than one\b|\btally\b"
        r"|\bquantity\b|\bfrequency\b|\bcardinality\b|\btotal\b"
        r"|\b(?:one|two|three) (?:\w+ )?or (?:two|three|four|more|several)\b",
    ),
    (
        "ground",
        r"\bbackground\b|\bbackdrop\b|\bbacking\b|\bbehind\b|\bsurround\w*\b|\baround\b|\bdecor\b|\bstage\b"
        r"|\bterrain\b|\blie of the land\b|\bin front of(?: what| which|$)|\bat back\b|\bthe back with\b"
        r"|\bin back of\b|\b(?:at|in|out) the (?:very )?back\b"
        r"|\bback (?:part|of the (?:picture|paper|page|image|drawing))\b|\bscenery\b|\blandscape\b|\bground\b"
        r"|\bsetting\b|\benvironment\b|\bset against\b"
        r"|\b(?:kind|sort|type) of (?:an? )?(?:place|scene|spot|country)\b|\bround the\b"
        r"|\b(?:stand|sit|li|ly|float|rest)(?:s|es|ing|ting|e)? on(?: top of)?$"
        r"|\b(?:on|above) (?:what|which)$",
    ),
    ("colour", r"\bcolou?r(?:s|ed)?\b|\bhue\b|\bshade\b|\btint\b|\bpigment\b|\bcrayon\b"),
    (
        "direction",
        r"\b(?:move|go(?! on\b| and\b)|goes|going(?! to (?:see|be|find|show))|went|doing|fly|flying|flies)\b"
        r"|\bhead(?:s|ed|ing)?\b(?! count)|\bdrift\w*",
    ),
    (
        "where",
        r"\b(?:direct|point|guide) (?:me|us)\b|\bquadrant\b|\bplacement\b|\bbearing\b|\bhigh or low\b"
        r"|\b(?:left|right|top|bottom|middle|centre)\b.* or .*\b(?:left|right|top|bottom|middle|centre)\b",
    ),
    ("size", r"\b(?:big|bigger|biggest|large|larger|small|smaller|tiny|huge)\b"),
    (
        "where",
        r"\bwhere\w*\b|\bposition\w*\b|\blocat\w*\b|\bplaced\b|\bplace (?:does|of)\b"
        r"|\b(?:which|what) (?:\w+ (?:or )?)?(?:part|bit|side|corner|area|half|third|quarter|edge|end|region"
        r"|spot|place)\b",
    ),
)
_PLACE = re.compile(  # where nothing is named that may be there
    r"\b(?:wherea?\w*|(?:which|what) place|location)\b.*"
    r"\b(?:scene|set|happens?|happening|plays?|takes?|taking|located|supposed|background|say|they all)\b"
    r"|\bwhere (?:is|was) this\b"
    r"|\b(?:what|which) (?:for a )?(?:place|world|scene|country|map|biome|venue|location|terrain|manor)\b"
    r"|\b(?:kind|sort|type|class) of (?:an? )?(?:place|scene|country|location|terrain|waters|land)\b"
    r"|\bscene type\b|\bvenue\b|\bor where\b"
    r"|\bwhere (?:am i|are we|are they|is every(?:body|one)|would (?:i|we) be)\b"
)
_ASKS = re.compile(
    r"\b(?:what|which|describe\w*|explain\w*|identify|depicted|contents?|recogni[sz]e|description|list|itemi[sz]e"
    r"|inventory|summar\w+|write (?:\w+ )?(?:a|an) (?:caption|alt))\b"
)
_TELL = re.compile(r"\b(?:tell|say|name|show|see|write|give|spell|state)\b")
_WH = re.compile(r"\b(?:what|which|where\w*|how|who|whether|describe|tell|count|list|name|locate)\b")
_ALL = re.compile(
    r"\b(?:objects|things|everything|contents|alt text|tldr|subject matter)\b|^objects?\b|^caption\b"
)
_YES_NO = re.compile(
    r"^(?:(?:so|and|but|then|hey|hi|please|well|also"
    r"|(?:can you |could you )?(?:tell|say)(?: me)? (?:if|whether)"
    r"|do you (?:know|think)(?: if| whether)?|would you say) )*"
    r"(?:is|are|was|were|do|does|did|can|could|has|have|any|there|would|might|may|isn|aren|will|if|whether|a|an)\b"
)
_ORDER = re.compile(
    r"^(?:please )?(?:can|could|would|will) you (?:please )?"
    r"(?:kindly )?(?:tell|say|describe|count|name|identify|give|locate|show|list|inform|state|point|direct)\b"
    r"(?! (?:me )?(?:if|whether))"
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
_ASKED = frozenset(  # words that what is asked about follows, with or without "a", "the" …
    """is are was were do does did has have of many much which what about with see sees spot find there and or
    show shows showing contain contains include includes any""".split()
)
_VERBS = frozenset("is are was were do does did has have of can".split())  # "what season is it"
# what says nothing of a thing, and what follows a person who isn't asked about
_EMPTY = frozenset("wee single little young old nice dear whole entire very actual".split())
_DRAWS = frozenset("draw draws drew paint make see sees".split())
_BEFORE_SIDE = frozenset("the a on upper lower top bottom far or more its".split())  # not "I left my glasses"
_BEHIND_SIDE = frozenset("or side part half corner edge hand and".split())
_ABOUT = re.compile(r"^(?:and|or|what about|how about|then|but|also|now)\b")
_KNOWN = frozenset(  # words that change nothing, or whose meaning is in the patterns
    """
    a able about above absence account across actually advance after again all along alongside also alt
    altogether am among amount an and animating animation answer any anybody anyone anything anywhere apart
    appear appears approximately are area aren around art artwork as ask at attached attachment back backdrop
    background be bearing because been begin beginning behind being believe below beneath beside besides big
    bigger biggest biome bit boast both bottom briefly but by call called calls can cannot canvas cardinality
    carefully cartoon center centre certain certainly chance check choose chose chosen class clear clearly
    clip clue colour coloured colours come comes composition confirm contain contained containing contains
    content contents corner correct could count counting country crayon create created curious currently deny
    depict depicted depicts describe describes description did different direction disclosed do does doesn
    doing doodle down draw drawing drawings drawn drew drift drifting drifts dry each edge element elements
    else end english entire enumerate environment even ever every everybody everything everywhere exactly
    exhibit exist exists explain eyes feature features figure figures file find finds flies floating fly
    flying for found frame frames frequency from front gave get gets gif give given go goes going got
    grateful greets ground guess guv had half hand happen happening happens has have having head headed
    heading heads hello help here hey hi hidden hide hiding high hm hmm hold holds how hue huge i idea
    identify if illustrated illustration image images img in include included includes including
    inconvenience inform inside intend intended into inventory is isn it item itemise itemize items its
    jumped just keep kind kindly know known knows land landscape large larger left let lie lies like likely
    list little locate located location look looking looks low lower lying made make many matter maybe me
    mean means meant mention middle might mine more motif motion move moved movement moves moving much my
    name named near nearby need no not notice now number object objects obliged observe obviously of off oh
    ok okay on one ones only opinion or other our out outside over page paint painted painting paper part
    patience per photo pic pick picked picture pictured pictures piece place placed placement please plus
    point portray portrayed position positioned possibly post posted presence present probably provide put
    quadrant quantity quarter quick quickly quite rather read really recognise recognised recognize region
    represent represented represents resting right roughly same saw say scene scenery screen see seeing seen
    select send sent set setting several shade share sheet short shortly should show showing shown shows side
    sideways simply sits sitting size sketch sketched small smaller so some somebody someone something
    somewhere sorry sort specify spot spotted stand standing stands start state stuff subject supposed
    supposedly sure surround surrounded surrounding surroundings surrounds take tally tell terrain than thank
    thanks that the their them theme then there these they thing things think third this those tint tiny tldr
    to today together top topic total totals toward towards track travel traveling travelling travels tried
    trouble true truly try trying turn turned type under underneath understand up upload uploaded upper us
    use used venue verify very via video view visible wait want was waters way ways we well went were what
    whatever where whereabouts whether which while whole will with without wonder wondering words work would
    wrong yeah yes you your
    """.split()
) | set(NUMBERS)


_NO_TEXT = re.compile(
    rf"{_IN_WORDS}|\balt[- ]text\b|\bspell it out\b|\bin words\b|\bone word\b|\bsigns? of\b"
    r"|(?<!\bwhat )(?<!\bit )\bsays\b",
    re.IGNORECASE,
)
_TEXT = re.compile(
    r"\b(written|text|says|read|(?:any|the|these|those|what|which) words?|letters|sign|spell\w*)\b"
    r"|\b(does|do|did|what) (it|they|that|this|the \w+) say\b",
    re.IGNORECASE,
)


def asks_for_text(question: str) -> bool:
    """Return whether a question is about what is written in a picture."""
    return _TEXT.search(_NO_TEXT.sub(" ", question)) is not None


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
    of before. is_where: it says "where"."""

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
    is_where: bool = False


@dataclass(frozen=True)
class Measurer:
    """Understands questions by a card's words. things, colours, places: words → what the
    pack calls it. says: a ground → words behind an object. others: names of what it doesn't know."""

    things: Mapping[str, str]
    colours: Mapping[str, str]
    places: Mapping[str, str]
    says: Mapping[str, str]
    plurals: Mapping[str, str]
    others: frozenset[str] = frozenset()

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
            frozenset(told.get("others", "").split()),
        )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the pack's readers are to tell apart."""
        names, colours = dict.fromkeys(self.things.values()), dict.fromkeys(self.colours.values())
        return Vocabulary(tuple(names), tuple(colours), self.says)

    def understand(self, text: str, before: Question | None = None) -> Question:
        """Return what a question asks. before: what was asked before it. Of several sentences, or what stands
        between commas, the first counts that asks something and says it whole."""
        asked = text.lower()
        for pattern, instead in _SPELLED[:-1]:
            asked = re.sub(pattern, instead, asked)
        whole = self._understood(asked, before)
        parts = [part for part in re.split(r"[.!?;:,\u2014]+| - ", asked) if part.strip()]
        is_clear = whole.kind not in ("", "there", "size", "sure") and not whole.unknown
        if len(parts) < 2 or is_clear or self._names(whole.unknown):
            return whole
        for part in parts:
            one = self._understood(part, before) if _WH.search(part) or _YES_NO.match(part) else Question()
            if one.kind and not one.unknown and (one.things or not whole.things or one.its):
                if not one.things and len(whole.things) == 1 and one.kind not in ("what", "ground"):
                    one = replace(one, things=whole.things, its=False)
                return one
        return whole

    def _names(self, words: Sequence[str]) -> bool:
        """Whether any of some words names a thing, though none that is known."""
        forms = (form for word in words for form in (word, word.removesuffix("s"), word.removesuffix("es")))
        return not self.others.isdisjoint(forms)

    def _understood(self, asked: str, before: Question | None) -> Question:
        pattern, instead = _SPELLED[-1]
        words = re.sub(pattern, instead, asked).split()
        asked = " ".join(words)
        found = self._read(words)
        kind: Kind = next((kind for kind, pattern in _KINDS if re.search(pattern, asked)), "")
        yes_no = bool(_YES_NO.match(asked)) and not (
            _ORDER.match(asked) or re.search(r"\b(?:what|which|who|how|where\w*)\b", asked)
        )
        if not found.things and kind in ("where", "what", "") and _PLACE.search(asked):
            kind = "ground"
        is_open = len(found.colours) > 1 or (len(found.part) > 1 and " or " in asked)
        if is_open:
            kind, yes_no = kind or ("colour" if len(found.colours) > 1 else "where"), False
        counts = re.search(r"\bhow\b|\bcount\b|\bnumber\b|\b(?:one|two|three) (?:\w+ )?or\b", asked)
        if kind == "count" and found.count is not None and not counts:
            kind = ""
        said = {"colour": found.colours, "where": found.part or found.side, "ground": found.grounds}
        if kind in said and yes_no and not is_open:
            kind = "" if said[kind] else kind
        places = re.search(r"\bwhere|\bposition\b|\blocat(?:e|ion)\b", asked)
        if kind == "where" and not is_open and found.side and found.things and not places:
            kind = ""
        beside = found.things or found.part or found.its or self._names(found.unknown)
        if not kind and (found.side or found.part) and beside:
            kind = "beside"
        if not kind and yes_no and not found.things and _ASKS.search(asked):
            kind, yes_no = "what", False  # "can you identify this?"
        if not kind and not found.things and _ALL.search(asked):
            kind, yes_no = "what", False
        wonders = re.search(r"\b(?:if|whether)\b(?!.*\b(?:what|which)\b)", asked)
        if not kind and (yes_no or (found.things and "there" in words) or wonders):
            kind = "there"
        if not kind and (_ASKS.search(asked) or (_TELL.search(asked) and not found.things)):
            kind = "what"
        unknown, is_where = self._unknown(found, kind, words), "where" in words
        found = replace(found, kind=kind, yes_no=yes_no, unknown=unknown, is_where=is_where)
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
        """Return the boxes that a request names, else all, as chat models tell them: JSON, in thousandths."""
        asked = self.understand(text)
        found = [thing for thing in scene.things if any(one.fits(thing) for one in asked.things)]
        if not asked.things and not asked.unknown:
            found = list(scene.things)
        told = [([round(1000 * side) for side in one.box], f"{one.colour} {one.name}") for one in found]
        return json.dumps([{"bbox_2d": box, "label": label} for box, label in told])

    def _continued(self, found: Question, before: Question) -> Question:
        """Return a question such as "and the tree?" as what was asked before it, of something else."""
        kind = found.kind
        if kind in ("", "there", "what", "beside") or (kind == before.kind):
            if found.part and before.kind in ("what", "there", "beside", "where", "count", ""):
                things = found.things or (before.things[-1:] if before.side else ())
                return replace(found, kind="beside", things=things)
            if found.side and before.things and not found.things:
                return replace(found, kind="beside", things=before.things[-1:])
            if found.kind == "" or (found.kind == "there" and not found.yes_no):
                things = found.things or before.things
                return replace(before, things=things, unknown=found.unknown, colours=found.colours, its=False)
        return found

    def _unknown(self, found: Question, kind: Kind, words: Sequence[str]) -> tuple[str, ...]:
        """Return those words that nothing here knows and that a question is about: what is asked of, what is
        said of a thing, and all where it isn't clear without them what is asked."""
        named, kept = bool(found.things) or found.its or kind == "ground", list[str]()
        for word in found.unknown:
            at = words.index(word)
            before, after = words[at - 1] if at else "", ""
            if at + 1 < len(words):
                _, sort, what = self._meant(words, at + 1)
                after = sort or what
            if after in _DRAWS or word in _EMPTY:
                continue
            is_name = self._names([word])
            is_headed = before in _HEADED - _WHOSE
            head = words[at - 2] if is_headed and at > 1 and before not in _ASKED else before
            is_asked = head in _ASKED and after not in ("thing", *_OF_PICTURES)
            if kind in ("", "size", "sure"):
                is_about = True
            elif kind == "what":
                is_about = (before in _ITS and after in _VERBS) or (is_name and is_asked and head != "there")
            elif after == "thing" and is_headed:  # "a wooden house"
                is_about = True
            elif kind == "there" and before in self.things and words[0] in _VERBS and words[1] != "there":
                is_about = True  # "is the house wooden?"
            elif named:
                is_about = is_name and (is_asked or not found.things)
            else:
                is_about = is_asked or is_name
            kept += [word] if is_about else []
        return tuple(kept)

    def _read(self, words: Sequence[str]) -> Question:
        """Return the things, colours, sides … that are named, in whatever order."""
        things, colours, grounds, parts = list[Meant](), list[str](), list[str](), list[str]()
        strange, side, count, its, colour, at = list[str](), "", None, False, "", 0
        while at < len(words):
            size, sort, what = self._meant(words, at)
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
                strange.append(word)
            if not sort and word in SIDES:
                after = words[at + 1 : at + 2]
                if word not in ("left", "right") or after in (["of"], ["from"], ["to"]):
                    side = SIDES[word]
                elif _BEFORE_SIDE.intersection(words[at - 1 : at]) or _BEHIND_SIDE.intersection(after):
                    parts.append(word)
            elif not sort and _PARTS.get(word):
                parts.append(_PARTS[word])
            at += size
        if colour:
            colours.append(colour)
        return Question(
            "",
            tuple(dict.fromkeys(things)),
            False,
            tuple(colours),
            count,
            side,
            tuple(dict.fromkeys(parts)),
            tuple(dict.fromkeys(grounds)),
            tuple(dict.fromkeys(strange)),
            its,
        )

    def phrase(self, words: Sequence[str], at: int) -> tuple[int, str, str]:
        """Return how many words from one on are a phrase, its sort ("" = none of ours), and its meaning."""
        for size in (3, 2, 1):
            said = " ".join(words[at : at + size])
            for sort, known in (("thing", self.things), ("colour", self.colours), ("place", self.places)):
                if said in known and len(words) >= at + size:
                    return size, sort, known[said]
        return 1, "", words[at] if at < len(words) else ""

    def _meant(self, words: Sequence[str], at: int) -> tuple[int, str, str]:
        """Return ``phrase``; a long word that is almost a thing's name means that."""
        size, sort, word = self.phrase(words, at)
        if not sort and word not in _KNOWN and len(word) >= 5:
            if near := difflib.get_close_matches(word, self.things, 1, 0.88):
                return 1, "thing", self.things[near[0]]
        return size, sort, word
