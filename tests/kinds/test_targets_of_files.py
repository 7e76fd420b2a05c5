"""Files whose numbers or several labels are in a table."""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.kind import kind_of
from lit_metanas.objectives import SeveralLabels

SPACES = {
    "images": lm.LayeredSpace(depths=(1,), widths=(8,), dropouts=(0,)),
    "sounds": lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(16,), dropouts=(0.0,), readouts=("mean",)),
}


def write_files(folder: Path, kind: str, values: Sequence[float], targets: str, answers: Sequence[str]) -> None:
    """Images as bright, or sounds as high, as values from 0 to 1, and a table of their targets."""
    lines = [f"file,{targets}"]
    folder.mkdir()
    for number, (value, answer) in enumerate(zip(values, answers, strict=True)):
        file = folder / f"{number}.{'png' if kind == 'images' else 'wav'}"
        if kind == "images":
            Image.fromarray((255 * value * np.ones((12, 12))).astype(np.uint8)).save(file)
        else:
            tone = np.sin(np.arange(1600) * value) * 20_000
            with wave.open(str(file), "wb") as opened:
                opened.setparams((1, 2, 8000, 0, "NONE", ""))
                opened.writeframes(tone.astype(np.int16).tobytes())
        lines.append(f"{file.name},{answer}")
    (folder / "list.csv").write_text("\n".join(lines))


@pytest.mark.parametrize("kind", ["images", "sounds"])
@pytest.mark.parametrize("beside", [True, False])
def test_numbers(kind: str, beside: bool, here: Path) -> None:
    values = np.random.default_rng(0).uniform(0.2, 0.9, 60)
    write_files(here / "data", kind, values, "price", [f"{100 * value:.3f}" for value in values])
    task = read_given("data" if beside else "data/list.csv")
    assert (kind_of(task).name, task.goal.kind, task.classes) == (kind, "regression", ("price",))
    assert [len(part) for part in (task.train, task.val, task.test)] == [36, 12, 12]
    recipe, method = lm.Recipe(epochs=40), lm.RandomArchitecture()
    result = lm.search(task, SPACES[kind], method=method, recipe=recipe, progress=False)
    assert result.test_score > 0.5
    result.export("model")
    main(["predict", "model", "data/0.png" if kind == "images" else "data/0.wav"])
    assert Path("predictions.csv").read_text().startswith("file,prediction\n")


@pytest.mark.parametrize("kind", ["images", "sounds", "texts"])
def test_several_labels(kind: str, tmp_path: Path) -> None:
    labels = ["red;round", "red", "", "round"] * 6
    if kind == "texts":
        rows = [f"a toy that is {own or 'nothing'} {at},{own}" for at, own in enumerate(labels)]
        (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]))
    else:
        write_files(tmp_path / "data", kind, np.linspace(0.1, 0.9, len(labels)), "label", labels)
    task = read_given(tmp_path / ("data.csv" if kind == "texts" else "data"))
    assert (kind_of(task).name, task.goal, task.classes) == (kind, SeveralLabels(2), ("red", "round"))
    assert len(task.train) + len(task.val or ()) + len(task.test) == len(labels)
