"""Small data of each kind as files, the same on every machine."""

import json
import math
import random
import wave
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WORDS = ("fold", "cut", "turn", "sheet", "edge", "line", "down", "over", "half", "back")
PEOPLE = ("Ada", "Tom", "Eve", "Max", "Lea", "Ben", "Ida", "Jon", "Kim", "Uwe")
TOWNS = ("Rome", "Oslo", "Bonn", "Bern", "Wien", "Lyon", "Graz", "Pisa", "Nice", "Kiel")


def images(folder: Path) -> Path:
    """Three classes of twelve coloured photographs: stripes of a width and a colour, with noise."""
    generator = np.random.default_rng(0)
    for label in range(3):
        for number in range(12):
            stripes = np.indices((20, 24)).sum(0) % (label + 2) * 60
            pixels = stripes[..., None] + generator.integers(0, 140, (20, 24, 3)) + 15 * np.eye(3)[label]
            write_image(folder / "images" / f"class{label}" / f"{number}.png", pixels)
    return folder / "images"


def write_image(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)


def tone(file: Path, pitches: list[float], seed: int) -> None:
    """Write a sound of 8 kHz: a pitch a fifth of a second, and noise."""
    noise, samples = random.Random(seed), array("h")
    for pitch in pitches:
        samples.extend(
            int(9000 * math.sin(2 * math.pi * pitch * step / 8000) + noise.randrange(-4000, 4000))
            for step in range(1600)
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(samples.tobytes())


def sounds(folder: Path) -> Path:
    """Three classes of ten sounds, each of a pitch that rises by its own step."""
    for label in range(3):
        for number in range(10):
            pitches = [300.0 + 20 * number + 250 * label * step for step in range(3)]
            tone(folder / "sounds" / f"class{label}" / f"{number}.wav", pitches, 10 * label + number)
    return folder / "sounds"


def transcripts(folder: Path) -> Path:
    """Twenty sounds of one to three words, each word a pitch, and a table of what is said."""
    pitch = {"low": 300.0, "mid": 700.0, "high": 1500.0}
    order, rows = random.Random(1), ["file,transcript"]
    for number in range(20):
        said = [order.choice([*pitch]) for _ in range(1 + number % 3)]
        tone(folder / "said" / f"{number}.wav", [pitch[word] for word in said for _ in range(2)], number)
        rows.append(f"{number}.wav,{' '.join(said)}")
    (folder / "said" / "said.csv").write_text("\n".join(rows))
    return folder / "said"


def texts(folder: Path) -> Path:
    """Sixty texts of three labels, whose words are drawn with other odds for each."""
    order, rows = random.Random(2), ["text,label"]
    for number in range(60):
        label = number % 3
        likely = [*WORDS, *(WORDS[3 * label : 3 * label + 3] * 2)]
        rows.append(f"{' '.join(order.choices(likely, k=4 + number % 5))},label{label}")
    (folder / "texts.csv").write_text("\n".join(rows))
    return folder / "texts.csv"


def rows(folder: Path) -> Path:
    """Sixty rows of three numbers, one of them missing at times, and a label that two of them make likely."""
    order, lines = random.Random(3), ["height,weight,age,size"]
    for number in range(60):
        height, weight, age = order.uniform(1, 2), order.uniform(40, 90), order.randrange(20, 70)
        size = "large" if height * weight + order.uniform(-20, 20) > 95 else "small"
        lines.append(f"{height:.3f},{'' if number % 9 == 4 else f'{weight:.2f}'},{age},{size}")
    (folder / "rows.csv").write_text("\n".join(lines))
    return folder / "rows.csv"


def pairs(folder: Path) -> Path:
    """Forty pairs: the target is the source backwards."""
    order, lines = random.Random(4), ["source\ttarget"]
    for _ in range(40):
        source = "".join(order.choices("abcde", k=4))
        lines.append(f"{source}\t{source[::-1]}")
    (folder / "pairs.tsv").write_text("\n".join(lines))
    return folder / "pairs.tsv"


def questions(folder: Path) -> Path:
    """Ten passages in SQuAD's format, each with a question."""
    paragraphs = []
    for name, town in zip(PEOPLE, TOWNS, strict=True):
        answer = {"text": town, "answer_start": len(f"{name} lives in ")}
        asked = {"id": name, "question": f"Where does {name} live?", "answers": [answer]}
        paragraphs.append({"context": f"{name} lives in {town}, they say.", "qas": [asked]})
    (folder / "questions.json").write_text(json.dumps({"data": [{"title": "lives", "paragraphs": paragraphs}]}))
    return folder / "questions.json"


KINDS: dict[str, Callable[[Path], Path]] = {
    made.__name__: made for made in (images, sounds, transcripts, texts, rows, pairs, questions)
}
"""What makes the data of each kind in a folder; returns the path that a user would give."""
