"""From one's own recordings and their transcripts to a network that writes what is said in new ones."""

import csv
import math
import struct
import wave
from pathlib import Path

import pytest
import torch

import lit_metanas as lm
from lit_metanas.cli.command_line import main

RATE = 8000
TONES = {"low": 300.0, "high": 1200.0}
CONFIG = str(Path(__file__).parents[2] / "configs" / "search" / "transcripts.yaml")


def record(file: Path, words: list[str], seconds: float = 0.12) -> None:
    """A tone for each word, with silence between."""
    samples: list[float] = []
    for place, word in enumerate(words):
        hertz = TONES[word] * (1 + 0.02 * (place % 3))
        samples += [0.5 * math.sin(2 * math.pi * hertz * t / RATE) for t in range(int(seconds * RATE))]
        samples += [0.0] * int(0.06 * RATE)
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", ""))
        sound.writeframes(struct.pack(f"<{len(samples)}h", *(int(32767 * value) for value in samples)))


@pytest.fixture
def said(here: Path) -> dict[str, list[str]]:
    """Recordings with the words of each, and ``transcripts.csv``."""
    generator = torch.Generator().manual_seed(0)
    rows = {}
    for number in range(40):
        places = torch.randint(0, 2, (1 + number % 3,), generator=generator).tolist()
        rows[f"{number}.wav"] = [list(TONES)[place] for place in places]
        record(here / "recordings" / f"{number}.wav", rows[f"{number}.wav"])
    write(rows)
    return rows


def write(rows: dict[str, list[str]], head: str = "file,transcript") -> None:
    lines = [f'{name},"{" ".join(words).capitalize()}."' for name, words in rows.items()]
    Path("transcripts.csv").write_text("\n".join([head, *lines]))


def test_own_recordings_are_searched_and_new_ones_transcribed(
    said: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"operations": ["conv_5"], "depths": [1], "dropouts": [0.0], "skips": ["none"], "widths": [16]}
    changes = [f"--model.space.{name}={value}" for name, value in space.items()]
    recipe = ["--model.recipe.epochs=40", "--model.recipe.batch_size=8", "--model.flops=1e9"]
    assert main(["search", "-c", CONFIG, *changes, *recipe, "--model.directory=out"]) == 0
    printed = capsys.readouterr().out
    assert "search: word accuracy on 1 task: searched " in printed
    (command,) = [line for line in printed.splitlines() if line.startswith("Next: lit-metanas predict")]
    (row,) = lm.records.read_results("out/results.json")
    assert row.metric == "word accuracy"
    assert row.value > 0.8
    record(Path("new/first.wav"), ["high", "low"])
    record(Path("new/second.wav"), ["low"])
    words = [word.replace("FILE", "new") for word in command.removeprefix("Next: lit-metanas ").split()]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "first.wav: high low\n" in printed
    assert "second.wav: low\n" in printed
    assert "All transcripts are in predictions.csv.\n" in printed
    with Path("predictions.csv").open() as file:
        assert [row["written"] for row in csv.DictReader(file)] == ["high low", "low"]


def test_the_task_has_the_words_of_each_recording(said: dict[str, list[str]]) -> None:
    task = lm.TranscriptTask("recordings", "transcripts.csv")[0]
    lm.tasks.check_task(task)
    assert (task.id, task.classes, task.way, task.goal) == ("transcripts", ("high", "low"), 3, lm.Transcription(2))
    assert [len(part) for part in (task.train, task.val, task.test)] == [24, 8, 8]
    counts = {" ".join(words) for words in said.values()}
    for part in (task.train, task.val, task.test):
        shown = task.goal.show(task.goal.answers(part.labels), part.inputs, task)
        assert set(shown) <= counts
        for text, seconds in zip(shown, task.preprocessing.seconds(part.inputs), strict=True):
            assert len(text.split()) == round(seconds / 0.18)
    longest = max(task.preprocessing.seconds(task.train.inputs))
    assert 0.5 < longest < 0.6 < task.preprocessing.steps * 0.01 + 0.1


def test_a_speaker_is_in_one_part(said: dict[str, list[str]]) -> None:
    rows = [f"{name},{' '.join(words)},person {n // 8}" for n, (name, words) in enumerate(said.items())]
    Path("transcripts.csv").write_text("\n".join(["file,transcript,speaker", *rows]))
    task = lm.TranscriptTask("recordings", "transcripts.csv")[0]
    assert [len(part) for part in (task.train, task.val, task.test)] == [24, 8, 8]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda: write({"0.wav": ["low"]}), "'transcripts.csv' has 1 example, too few for a train"),
        (lambda: write({"0.wav": ["..."], "1.wav": ["low"]}), "transcript of 'recordings/0.wav' has no words: write"),
        (lambda: record(Path("recordings/0.wav"), ["low"], 75.0), r"0.wav' lasts 75\.\d\d s and is heard up to 60\."),
        (lambda: record(Path("recordings/0.wav"), []), "0.wav' is empty: record it again or remove it"),
    ],
    ids=["one transcript", "no words", "long", "empty"],
)
def test_malformed_recordings_are_told_in_a_sentence(change: object, sentence: str, said: dict[str, list[str]]) -> None:
    change()
    with pytest.raises(ValueError, match=sentence):
        lm.TranscriptTask("recordings", "transcripts.csv")[0]


def test_a_recording_is_not_cut(said: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=r"is heard up to 0.21 s .*, but its transcript is of the whole: cut it"):
        lm.TranscriptTask("recordings", "transcripts.csv", features=lm.kinds.LogMel(steps=20))[0]
