"""The words of the rules that come with Atelier. A server adds its own; the rule about minors can't be
changed or turned off.

Terms are read by ``studio.moderation.lookalikes``: whole words, ``*`` for any letters. They are words people
use to ask for such pictures, in the languages that are most asked in; a list is never complete, so the
pictures are looked at too.
"""

from __future__ import annotations

import re

from studio.moderation.lookalikes import Reading, Terms


def _terms(text: str) -> Terms:
    return Terms(" ".join(term.split()) for term in text.split(","))


EXPLICIT = _terms(
    """
    nude, nudes, nudity, nudist*, naked, topless, bottomless, undressed, unclothed, nsfw, porn*, hentai,
    xxx, r18, sex, sexual*, sexting, intercourse, orgy, orgies, threesome, gangbang, blowjob*, handjob*,
    fellatio, cunnilingus, masturbat*, orgasm*, ejaculat*, cum, cumshot*, cumming, creampie, bukkake, fuck*,
    penis*, dick pic*, cock, cocks, vagina*, vulva*, pussy, pussies, clitoris, labia, genital*, genitalia,
    testicle*, erect penis, erection, nipple*, areola*, boob, boobs, boobies, titties, tits, bare breast*,
    exposed breast*, breasts, anal, anus, buttplug, dildo*, vibrator, bdsm, bondage, fetish*, kinky,
    incest*, rape, raped, raping, rapist, bestiality, zoophil*, futanari, ahegao, camgirl*, onlyfans, spread
    legs, spreading legs, legs spread, upskirt, cameltoe, striptease, stripper*, erotic*, erotica, lewd,
    nackt*, entblöß*, vögeln, ficken, möse, titten, nackte, nackter, nue, nues, seins nus, baise, bite dure,
    desnud*, tetas, follando, pelad*, pelada, nuda, nudo, nude look, голая, голый, голые, обнажён*,
    обнажен*, порно*, секс, сиськи, 裸, 裸体, 色情, ヌード, エロ, セックス, เปลือย, 누드, 포르노, 야동
    """
)

SUGGESTIVE = _terms(
    """
    sexy, seductive*, sensual*, provocative*, lingerie, panties, thong, thongs, g string, underwear, bikini,
    micro bikini, cleavage, busty, big breast*, huge breast*, large breast*, see through, sheer dress, wet t
    shirt, bedroom eyes, thicc, ecchi, horny, aroused, arousal, pinup, pin up, playboy, stockings and
    garter*, dominatrix, latex suit, milf, waifu body, unbuttoned, lust*, kissing passionately, in heat,
    naughty, skimpy, scantily, revealing, risque
    """
)

GORE = _terms(
    """
    gore, gory, guro, dismember*, decapitat*, beheading, beheaded, disembowel*, eviscerat*, entrails,
    intestines hanging, mutilat*, torture*, tortured, snuff, necrophil*, corpse abuse, flayed, self harm,
    slit wrists, suicide, hanging body
    """
)

# What alone stands for a sexualised minor
FORBIDDEN = _terms(
    """
    loli, lolis, lolicon*, shota, shotas, shotacon*, toddlercon, child porn*, childporn*, kiddie porn*, kid
    porn*, teen porn*, preteen porn*, pedo, pedos, pedophil*, paedophil*, pedoporn*, jailbait, underage
    sex*, underage nud*, csam, nymphet*, ロリ, ロリコン, ショタ, ショタコン,
    萝莉, 正太, 幼女, лоли, детское порно,
    kinderporno*, pédoporn*, pornografía infantil
    """
)

MINOR = _terms(
    """
    child, children, childlike, child like, kid, kids, kiddo, toddler*, infant*, baby girl*, baby boy*,
    babies, little girl*, little boy*, young girl*, young boy*, small girl*, small boy*, tiny girl*, school
    girl*, school boy*, schoolgirl*, schoolboy*, schoolchild*, preteen*, pre teen*, tween, tweens, teen,
    teens, teenage*, adolescent*, underage*, under age, a minor, minors, juvenile*, kindergarten*,
    kindergart*, preschool*, middle school*, elementary school*, primary school*, junior high, high
    schooler*, grade schooler*, first grader*, second grader*, third grader*, fourth grader*, fifth grader*,
    sixth grader*, seventh grader*, eighth grader*, prepubescent*, pubescent*, barely legal, girl scout*,
    boy scout*, cub scout*, daughter, my son, newborn*, ein kind, das kind, nackt* kind, kleines kind,
    kinder, mädchen, kleiner junge, kleines mädchen, minderjährig*, jugendliche*, enfant, enfants,
    fillette*, petite fille, petit garçon, mineure*, niña, niñas, niño, niños, menor de edad, criança*,
    menina, menino, bambina, bambino, bambini, девочка, девочки, девочку, мальчик, мальчики, мальчика,
    ребёнок, ребенок, дети, школьниц*, несовершеннолетн*, малолетк*, 小女孩, 小男孩, 女童, 男童,
    未成年, 儿童, 小学生, 中学生, 初中生, 少女, 少年, 女子高生,
    女子高校生, 女子中学生, 子供, 어린이, 소녀, 미성년
    """
)

_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen"
).split()
_AGE = r"(?:1[0-7]|0?[1-9]|" + "|".join(_NUMBERS) + ")"
_AGES = re.compile(
    rf"(?<![\w.])(?:{_AGE}\W{{0,3}}(?:(?:years?|yrs?|y)\W{{0,3}}(?:olds?|o)|yo|yr old|anos|años|ans"
    r"|jahre\W{1,2}alt\w*|jährig\w*|jahrig\w*|лет|岁|歳|살)"
    rf"|age[ds]?\W{{0,3}}(?:of\W)?{_AGE}(?!\d)|{_AGE}\W{{0,3}}months?\W{{0,3}}old)(?!\w)"
)


def about_a_minor(reading: Reading) -> bool:
    """Return whether a text names somebody under 18, by word or by age."""
    return MINOR.found_in(reading) or bool(_AGES.search(reading.plain))


def sexualises_a_minor(reading: Reading, of_minor: bool = False) -> bool:
    """Return whether a text is sexual and about a minor, by two words or by one that means both. of_minor: it
    is about a picture of one.

    Such a text is stopped everywhere, whatever the settings.
    """
    if FORBIDDEN.found_in(reading):
        return True
    return (of_minor or about_a_minor(reading)) and (
        EXPLICIT.found_in(reading) or SUGGESTIVE.found_in(reading)
    )
