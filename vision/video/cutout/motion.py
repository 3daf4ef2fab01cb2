"""How an object is to move: read from the words of a prompt, or chosen by the object that they name."""

import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass

AMOUNT: Mapping[str | None, float] = {"low": 0.5, None: 1.0, "high": 1.5}  # of a motion, by ``--motion``
SLOWLY, QUICKLY = 0.6, 1.4
ACROSS = 0.36  # of a side: how far an object goes that has the room
GROWTH = 0.9  # log2 of how many times larger an object becomes
TURN, SPIN = 40.0, 360.0  # degrees, of what turns and of what spins


@dataclass(frozen=True)
class Motion:
    """What happens from the first frame to the last. across, down: shares of the picture's sides. growth:
    log2 of the object's size. turn: degrees clockwise. dusk: 1 = day to night, -1 = night to day."""

    across: float = 0.0
    down: float = 0.0
    growth: float = 0.0
    turn: float = 0.0
    dusk: float = 0.0

    @property
    def is_still(self) -> bool:
        """Whether nothing happens."""
        return self == Motion()

    def times(self, amount: float) -> "Motion":
        """Return ``amount`` of the motion; the light changes all the same."""
        return Motion(
            self.across * amount, self.down * amount, self.growth * amount, self.turn * amount, self.dusk
        )

    def backwards(self) -> "Motion":
        """Return the motion that undoes this one."""
        return Motion(-self.across, -self.down, -self.growth, -self.turn, -self.dusk)


@dataclass(frozen=True)
class Reading:
    """What a prompt says. words: without those about motion. motion: None where it tells nothing."""

    words: str
    motion: Motion | None


_MOVES = (
    r"(?:mov|roll|sail|driv|fl(?:oat|y|ie)|drift|slid|swim|swimm|walk|runn?|go|travel|jump|cross|glid|hover|com"
    r"|head|rush|bounc|creep|crawl|driv|rid|pass|float|danc)(?:e?s|es|ing|e)?"
)
_HOW = r"(?:very )?(?P<how>slowly|gently|softly|slightly|quickly|fast|rapidly|swiftly)"
_JOIN = r"(?:^|(?<=[\s,.;]))(?:(?:,?\s*(?:and|then|while it|which|that|who|it|is|are)\s+)*)"
_SOMEHOW = _HOW.replace("?P<how>", "?:")
_LEAD = rf"(?:(?:the )?camera\s+)?(?:{_SOMEHOW}\s+)?"
_AFTER = rf"(?:\s+{_HOW})?(?=$|[\s,.;!])"


def _toward(side: str) -> str:
    """A pattern of going to a side; what lies "to the left of" something doesn't move."""
    to = rf"(?:(?:in)?to|towards?|over to|off to) the {side}(?! of\b)(?: side)?|{side}wards?"
    return rf"(?:{_MOVES}\s+(?:{_SOMEHOW}\s+)?(?:along |away )?(?:{to}|{side})|{side}wards?)"


_SPINS = r"(?:rotat|spin|spinn|whirl|tumbl)(?:es?|s|ing)"
_LEFT, _RIGHT = Motion(across=-ACROSS), Motion(across=ACROSS)
_UP, _DOWN = Motion(down=-ACROSS), Motion(down=ACROSS)
_RULES: tuple[tuple[str, Motion], ...] = (
    (rf"(?:{_MOVES}\s+)?(?:{_SOMEHOW}\s+)?from (?:the )?right to (?:the )?left", _LEFT),
    (rf"(?:{_MOVES}\s+)?(?:{_SOMEHOW}\s+)?from (?:the )?left to (?:the )?right", _RIGHT),
    (rf"(?:{_MOVES}\s+)?(?:{_SOMEHOW}\s+)?from (?:the )?(?:bottom|below) to (?:the )?top", _UP),
    (rf"(?:{_MOVES}\s+)?(?:{_SOMEHOW}\s+)?from (?:the )?(?:top|above) to (?:the )?bottom", _DOWN),
    (_toward("left"), _LEFT),
    (_toward("right"), _RIGHT),
    (
        rf"(?:{_MOVES}\s+(?:{_SOMEHOW}\s+)?up(?:wards?)?(?! to\b)|upwards?|(?:ris|climb|ascend)(?:e?s|ing)?"
        r"|tak(?:es|ing) off|lift(?:s|ing)? off)",
        _UP,
    ),
    (
        rf"(?:{_MOVES}\s+(?:{_SOMEHOW}\s+)?down(?:wards?)?|downwards?|(?:fall|sink|descend|drop)(?:p?ing|s)"
        r"(?: down)?)(?! (?:snow|leaves|rain))",
        _DOWN,
    ),
    (
        r"(?:grow(?:s|ing)?|(?:gets?|getting|becom(?:es|ing)) (?:bigger|larger)|expand(?:s|ing)?"
        r"|swell(?:s|ing)?|(?:com(?:es|ing)|mov(?:es|ing)) (?:closer|nearer)|approach(?:es|ing)"
        r"|zoom(?:s|ing)? in)",
        Motion(growth=GROWTH),
    ),
    (
        r"(?:shrink(?:s|ing)?|(?:gets?|getting|becom(?:es|ing)) smaller|(?:go|mov)(?:es|ing) away"
        r"|reced(?:es|ing)|zoom(?:s|ing)? out)",
        Motion(growth=-GROWTH),
    ),
    *(
        (rf"{verb}(?: (?:around|round))?(?:{direction})(?! (?:to|into) )", Motion(turn=turn))
        for verb, amount in ((r"turn(?:s|ing)?", TURN), (_SPINS, SPIN))
        for direction, turn in (
            (r" counter-?clockwise| anti-?clockwise| to the left", -amount),
            (r" clockwise| to the right|", amount),
        )
    ),
    (
        r"(?:(?:from )?day (?:turns |turning )?(?:in)?to night|night (?:falls|is falling|comes)"
        r"|(?:it )?(?:gets|is getting|getting|grows|turns) dark|the sun (?:sets|is setting))",
        Motion(dusk=1.0),
    ),
    (
        r"(?:(?:from )?night (?:turns |turning )?(?:in)?to day|day (?:breaks|is breaking)"
        r"|(?:it )?(?:gets|is getting|getting|turns) (?:bright|light)|the sun (?:rises|is rising))",
        Motion(dusk=-1.0),
    ),
)
_STILL = re.compile(
    rf"{_JOIN}(?:(?:stand|stay|hold|keep|sit)(?:s|ing|ting)? (?:perfectly |completely )?still|motionless"
    r"|(?:does not|doesn't|do not|don't) move|without (?:any )?(?:motion|movement)|nothing moves"
    r"|static shot|not moving|unmoving)(?=$|[\s,.;!])",
    re.IGNORECASE,
)


_PATTERNS = tuple(
    (re.compile(_JOIN + _LEAD + rule + _AFTER, re.IGNORECASE), motion)
    # "night falls" is no fall, "turns dark" no turn
    for rule, motion in sorted(_RULES, key=lambda rule: not rule[1].dusk)
)
_SPEED = re.compile(_HOW, re.IGNORECASE)
_BY_THING: tuple[tuple[tuple[str, ...], Motion], ...] = (  # what objects do where nobody says what
    (("boat", "ship", "yacht", "sailboat", "fish", "goldfish", "car", "train", "bird"), _LEFT),
    (("ball", "balloon", "moon", "sun", "crescent", "bubble", "rocket"), Motion(down=-0.6 * ACROSS)),
    (("star", "wheel", "planet", "propeller"), Motion(turn=0.8 * TURN)),
    (("flower", "rose", "daisy", "mushroom", "tree", "heart", "fire"), Motion(growth=0.6 * GROWTH)),
)
_USUAL = Motion(growth=0.5 * GROWTH)  # it comes nearer


def read_motion(prompt: str) -> Reading:
    """Return what ``prompt`` says about motion, and the rest of it, which says what there is to see."""
    words, found = _STILL.sub(" ", prompt), list[Motion]()
    still = words != prompt
    for pattern, motion in _PATTERNS:
        match = pattern.search(words)
        if match is not None:
            said = _SPEED.search(match[0])
            how = "" if said is None else said["how"].lower()
            speed = QUICKLY if how in ("quickly", "fast", "rapidly", "swiftly") else SLOWLY
            found.append(motion.times(speed if how else 1.0))
            words = pattern.sub(" ", words)
    whole = Motion(*(sum(parts) for parts in zip(*map(astuple, found), strict=True)))
    # without the commas and spaces that were around those taken out
    words = re.sub(r"\s+([,.;!])", r"\1", re.sub(r"\s+", " ", words))
    words = re.sub(r"(?:[,;]\s*)+(?=[,;.])", "", words)
    words = re.sub(r"(?:[\s,;]|\band\b|\bwhich\b|\bthat\b|\bis\b)+$", "", words.strip(" ,;")).strip()
    return Reading(words, Motion() if still else whole if found else None)


def of_object(words: str) -> Motion:
    """Return what the object that ``words`` name does by itself; where nobody knows, it comes nearer."""
    said = set(re.findall(r"[a-z]+", words.lower()))
    said |= {word.removesuffix("s") for word in said}
    return next((motion for names, motion in _BY_THING if said & {*names}), _USUAL)


def choose_motion(reading: Reading, amount: str | None) -> Motion:
    """Return the motion that was asked for, or the object's own. amount: "low", "high" or None."""
    motion = of_object(reading.words) if reading.motion is None else reading.motion
    return motion.times(AMOUNT[amount])
