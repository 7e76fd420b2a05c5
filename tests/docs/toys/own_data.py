"""A little data of each kind, as a reader of the pages may have."""

import csv
import json
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_wine

from lit_metanas.kinds import Glyphs, SpokenWords

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_data(folder: Path) -> None:
    """Write images, sounds, transcripts, texts, rows of numbers, pairs of texts and questions."""
    glyphs, spoken = Glyphs(), SpokenWords()
    for name in ("photos/circle", "photos/cross", "sounds/no", "sounds/yes", "recordings"):
        (folder / name).mkdir(parents=True)
    for place in range(30):
        for number, (sign, word) in enumerate((("circle", "no"), ("cross", "yes"))):
            if place < 15:
                image = glyphs.inputs("test", 3 * number, [place])[0, 0]
                Image.fromarray(image.numpy()).save(folder / f"photos/{sign}/{place}.png")
            _sound(folder / f"sounds/{word}/{place}.wav", spoken, [number], place)
        _sound(folder / f"recordings/{place}.wav", spoken, _said(place), place)
    _table(folder / "recordings/said.csv", ["file", "transcript"], ((f"{n}.wav", _words(_said(n))) for n in range(30)))
    asked = ((f"how do I {verb} sheet {n}", verb) for verb in ("fold", "cut", "paint") for n in range(30))
    _table(folder / "help.csv", ["sentence", "intent"], asked)
    wine = load_wine()
    rows = ((*row, wine.target_names[label]) for row, label in zip(wine.data, wine.target, strict=True))
    _table(folder / "wine.csv", [*wine.feature_names, "label"], rows)
    spelled = ((f"{a + 1}{b + 1}", _words([a, b])) for a in range(9) for b in range(9))
    _table(folder / "pairs.csv", ["source", "target"], spelled)
    paragraphs = [_paragraph(n, city) for n, city in enumerate(["Rome", "Oslo", "New York", "Bern"] * 10)]
    (folder / "passages.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))


def _said(place: int) -> list[int]:
    return [place % 2, place // 2 % 2]


def _words(numbers: Sequence[int]) -> str:
    return " ".join(NUMBERS[number] for number in numbers)


def _sound(path: Path, spoken: SpokenWords, words: Sequence[int], voice: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        for word in words:
            (sound,) = spoken.sounds("test", word, [voice])
            file.writeframes((sound * 32767).short().numpy().tobytes())


def _table(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def _paragraph(number: int, city: str) -> dict[str, object]:
    context = f"Ada lives in {city}, since {1950 + number}."
    answer = {"text": city, "answer_start": context.index(city)}
    return {"context": context, "qas": [{"id": str(number), "question": "Where does Ada live?", "answers": [answer]}]}
