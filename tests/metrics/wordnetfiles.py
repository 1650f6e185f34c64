"""A small WordNet in the form of the real one's files, for tests of its readers."""

from __future__ import annotations

from pathlib import Path

HEADER = "  1 This software and database is made for tests: WordNet 3.0 Copyright nobody  \n  2 more  \n"
SYNSETS = {  # the type of a synset and its lemmas
    "noun": [("n", "dog domestic_dog Canis_familiaris"), ("n", "frump dog"), ("n", "cat true_cat"), ("n", "box"), ("n", "ox"),
             ("n", "man adult_male"), ("n", "goose"), ("n", "fly"), ("n", "axis"), ("n", "bus autobus coach"),
             ("n", "one two three four five six seven eight nine ten eleven")],
    "verb": [("v", "chase track dog"), ("v", "fly wing"), ("v", "go travel move"), ("v", "box package"), ("v", "hop skip")],
    "adj": [("a", "big(a) large"), ("s", "immense(p) big"), ("a", "galore(ip)"), ("a", "nice"), ("s", "fly")],
    "adv": [("r", "quickly rapidly speedily"), ("r", "big boastfully")],
}
EXCEPTIONS = {"noun": "geese goose\nmen man\naxes ax axis\noxen ox\n", "verb": "flew fly\nwent go\n", "adj": "bigger big\n",
              "adv": "best well\n"}


def write_wordnet(folder: Path) -> Path:
    """The files in ``folder``, which is made."""
    folder.mkdir(parents=True)
    for part, synsets in SYNSETS.items():
        data, offsets = HEADER, {}
        for kind, lemmas in synsets:
            offset = len(data)
            words = " ".join(f"{lemma} 0" for lemma in lemmas.split())
            more = f"001 & {len(HEADER):08d} a 0000" if kind == "s" else "000"  # a satellite's head is the first adjective
            more += " 01 + 01 00" if kind == "v" else ""
            data += f"{offset:08d} 03 {kind} {len(lemmas.split()):02x} {words} {more} | a meaning; \"an example\"  \n"
            for lemma in lemmas.split():
                offsets.setdefault(lemma.partition("(")[0].lower(), []).append(offset)
        (folder / f"data.{part}").write_text(data, encoding="utf-8", newline="\n")
        letter = {"adv": "r"}.get(part, part[0])
        index = "".join(f"{lemma} {letter} {len(at)} 1 @ {len(at)} 0 {' '.join(f'{o:08d}' for o in at)}  \n"
                        for lemma, at in sorted(offsets.items()))
        (folder / f"index.{part}").write_text(HEADER + index, encoding="utf-8", newline="\n")
        (folder / f"{part}.exc").write_text(EXCEPTIONS[part], encoding="utf-8", newline="\n")
    (folder / "lexnames").write_text("00\ta\t3\n01\tb\t4\n02\tc\t1\n03\tnoun.Tops\t1\n", encoding="utf-8", newline="\n")
    return folder
