"""Closed lists of English words that captions are read by."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words(
    "a an the this that these those some any each every another its his her their our my your no all both"
)
NUMBERS = {"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
           "nine": "9", "ten": "10"}
PREPOSITIONS = _words(
    "on in at under over above below behind beside near by with without of from to into onto through across along around "
    "against between inside outside atop toward towards down up off for past underneath beneath"
)
COMPOUND = {("in", "front", "of"): "in front of", ("next", "to"): "next to", ("on", "top", "of"): "on top of",
            ("close", "to"): "close to", ("out", "of"): "out of"}
BE = _words("is are was were be been being am 's 're")
SKIPPED = _words(
    "very really quite so too just also there it he she they who which as while then has have had not will can could would "
    "do does did"
)
BREAKS = _words("and or but , ; . ! ? while that who which")
ADJECTIVES = _words(
    "red green blue yellow black white brown gray grey orange pink purple tan golden blond big large small little tiny huge "
    "tall short long wide young old new wet dry empty full open closed dark bright hot cold happy sad wooden metal several "
    "many few beautiful colorful clean dirty busy quiet high low round square deep fresh ripe sunny snowy sandy grassy "
    "asleep alone"
)
VERBS = _words(
    "hold ride eat drink wear play watch look walk run sit stand lie chase catch throw hit kick jump fly drive carry pull "
    "push cut make cook read write use talk sleep swim climb surf ski skate cross hang face cover fill lean pose smile feed "
    "pet lead follow graze park prepare serve swing take get go wait work show have"
)
IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "buses": "bus", "lenses": "lens", "feet": "foot",
    "teeth": "tooth", "mice": "mouse", "geese": "goose", "knives": "knife", "leaves": "leaf", "wolves": "wolf",
    "shelves": "shelf", "loaves": "loaf", "sat": "sit", "stood": "stand", "ran": "run", "ate": "eat", "held": "hold",
    "rode": "ride", "wore": "wear", "threw": "throw", "caught": "catch", "flew": "fly", "lay": "lie", "lying": "lie",
    "made": "make", "took": "take", "drove": "drive", "drank": "drink", "swam": "swim", "hung": "hang", "went": "go",
    "wrote": "write", "slept": "sleep",
}
UNCHANGED = _words("bus grass glass dress this gas tennis news is was always sheep series species lens cactus")
NOUNS_IN_ING = _words(
    "building ceiling clothing railing string ring king wing evening morning wedding painting thing spring awning crossing "
    "sibling lightning sling duckling"
)
KINDS = {"determiner": DETERMINERS, "be": BE, "preposition": PREPOSITIONS, "break": BREAKS, "skipped": SKIPPED,
         "adjective": ADJECTIVES}
"""Kinds of words that tell themselves; the first kind that has a word counts."""
