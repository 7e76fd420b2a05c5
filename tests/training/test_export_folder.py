"""What an export leaves beside its program: a script that runs it alone, a model card, and what is sent to a hub."""

from __future__ import annotations

import io
import json
import os
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard as HubCard
from PIL import Image
from torch import nn

import lit_metanas as lm
from lit_metanas.inputs.batches import input_size
from lit_metanas.kinds.images.image_files import read_images
from lit_metanas.records.statistics import percent

WORDS = lm.kinds.Words(steps=5, least=1).fitted(["one two three"])

ALONE = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(",")))
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""
"""Runs a script where some modules cannot be imported."""

NOT_BY_TORCH = "lit_metanas,lightning,numpy,onnxruntime,optuna"
NOT_BY_ONNXRUNTIME = "lit_metanas,lightning,torch,optuna"


def drawn(space: lm.SearchSpace, shape: lm.Shape, way: int = 3) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = space.child(space.sample(torch.Generator().manual_seed(0)), shape, way)
        for parameter in network.parameters():
            parameter.data += 0.2 * torch.randn(parameter.shape)
    return network


def predicted(folder: Path, *words: str, without: str = NOT_BY_TORCH) -> list[Any]:
    command = [sys.executable, "-I", "-c", ALONE, without, str(folder / "predict.py"), *words]
    done = subprocess.run(command, cwd=folder.parent / "empty", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def answers(*files: str) -> list[Any]:
    """What the exported script says of files."""
    with redirect_stdout(io.StringIO()) as said, patch.object(sys, "argv", ["", *files]):
        runpy.run_path("out/predict.py", run_name="__main__")
    return [json.loads(line) for line in said.getvalue().splitlines()]


def agree(found: list[dict[str, float]], expected: torch.Tensor, within: float = 1e-4) -> None:
    assert all(list(row.values()) == sorted(row.values(), reverse=True) for row in found)
    rows = torch.tensor([[row[name] for name in "abc"] for row in found])
    torch.testing.assert_close(rows, expected, atol=within, rtol=0)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)


def test_the_script_classifies_images_and_arrays_by_torch_or_onnxruntime_alone(tmp_path: Path) -> None:
    shape = (3, 12, 10)
    network = drawn(lm.LayeredSpace(depths=(1,), widths=(4,)), shape)
    lm.export_child(network, "out", architecture={}, classes=("a", "b", "c"), shape=shape, onnx=True)
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save("colour.png")
    Image.fromarray(generator.integers(0, 256, (9, 9), dtype=np.uint8)).save("grey.png")
    arrays = generator.integers(0, 256, (4, *shape), dtype=np.uint8)
    np.save("bytes.npy", arrays)
    np.save("floats.npy", arrays / 255)
    files = [Path("colour.png"), Path("grey.png")]
    exported = lm.load("out")
    expected = torch.cat([exported.predict(read_images(files, shape)), *2 * [exported.predict(torch.tensor(arrays))]])
    words = [str(tmp_path / name) for name in ("colour.png", "grey.png", "bytes.npy", "floats.npy")]
    agree(predicted(tmp_path / "out", *words), expected)
    agree(predicted(tmp_path / "out", *words, "--model", "model.onnx", without=NOT_BY_ONNXRUNTIME), expected)


def test_the_script_transcribes_as_the_package_does(tmp_path: Path) -> None:
    made, goal = lm.kinds.LogMel(steps=30), lm.Transcription(2)
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,), readouts=("each",))
    inputs = torch.rand(1, *input_size(made.shape), generator=torch.Generator().manual_seed(0))
    np.save("x.npy", inputs.numpy())
    network = drawn(space, made.shape, goal.outputs).eval()
    with torch.no_grad():
        network.get_parameter("head.bias").sub_(network(inputs).mean((0, 1)))  # of all symbols about as many
    lm.export_child(network, "out", architecture={}, classes=("ä", "b"), shape=made.shape, objective=goal)
    exported = lm.load("out")
    expected = exported.show(inputs)
    steps = exported.network(inputs)[0].argmax(-1).tolist()
    assert 1 < len(expected[0].split()) < len([step for step in steps if step])  # some are repeated
    assert answers("x.npy") == expected


@pytest.mark.parametrize(
    "goal",
    [lm.Regression((2000.0, 5.0), (300.0, 2.0), (40.0, 1.5)), lm.objectives.SeveralLabels(2, thresholds=(0.3, 0.6))],
)
def test_the_script_predicts_numbers_and_labels_as_the_package_does(goal: lm.Objective) -> None:
    shape = lm.ImageShape(3, 12, 10)
    given = {"classes": ("weight", "age"), "shape": shape, "objective": goal}
    lm.export_child(drawn(lm.default_space(shape), shape, 2), "out", architecture={}, **given)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)).save("x.png")
    exported = lm.load("out")
    (row,) = exported.predict(["x.png"]).tolist()
    (found,) = answers("x.png")
    if isinstance(goal, lm.Regression):
        ends = ("prediction", "lower", "upper")
        assert found.keys() == {f"{end}({name})" for end in ends for name in ("weight", "age")}
    else:
        assert "; ".join(found.pop("labels")) == exported.show(["x.png"])[0].replace("–", "")
        assert [*found.values()] == pytest.approx(row, rel=1e-4)
    expected = exported.objective.columns(row, exported.classes)
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-4)


def test_the_script_scales_images_of_16_bits_as_the_package_does(tmp_path: Path) -> None:
    from lit_metanas.training.export.standalone_predict import read_inputs

    levels = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(levels).save("grey.png")
    file = Path("grey.png")
    for shape in ((1, 256, 256), (3, 256, 256), (1, 12, 10)):
        about = dict(zip(("channels", "height", "width"), shape, strict=True))
        expected = read_images([file], shape).float() / 255
        for library in (torch, np):
            found = torch.as_tensor(read_inputs(file, about, library))
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert len(torch.unique(read_images([Path("grey.png")], (1, 256, 256)))) == 256
    for kind in (np.int32, np.float32):
        Image.fromarray(levels.astype(kind)).save("wide.tif")
        with pytest.raises(SystemExit, match="its pixels have 32 bits"):
            read_inputs(Path("wide.tif"), {"shape": ["image", 1, 8, 8]}, torch)
        with pytest.raises(ValueError, match=r"^wide\.tif has pixels of 32 bits: save it with 8 or 16\.$"):
            read_images([Path("wide.tif")], (1, 8, 8))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_the_script_lays_transparent_images_over_white_as_the_package_does(mode: str) -> None:
    from lit_metanas.training.export.standalone_predict import read_inputs

    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    if mode == "P":
        Image.fromarray(pixels[:, :, :3]).convert("P").save("x.png", transparency=bytes(range(256)))
    else:
        Image.fromarray(pixels if mode == "RGBA" else pixels[:, :, :2]).save("x.png")
    for shape in ((1, 30, 20), (3, 30, 20), (1, 12, 10), (3, 12, 10)):
        about = dict(zip(("channels", "height", "width"), shape, strict=True))
        for library in (torch, np):
            found = torch.as_tensor(read_inputs(Path("x.png"), about, library))
            torch.testing.assert_close(found, read_images([Path("x.png")], shape).float() / 255, atol=1e-6, rtol=0)


def test_the_script_takes_folders_and_names_what_it_cannot_read(capfd: pytest.CaptureFixture[str]) -> None:
    shape = (1, 8, 8)
    network = drawn(lm.LayeredSpace(depths=(1,), widths=(4,)), shape)
    lm.export_child(network, "out", architecture={}, classes=("a", "b", "c"), shape=shape)
    for name in ("new/1.png", "new/inner/3.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9), dtype=np.uint8)).save(name)
    Path("new/2.png").write_text("no image")
    Path("new/.hidden.png").write_text("no image")
    with patch.object(sys, "argv", ["", "new"]), pytest.raises(SystemExit) as left:
        runpy.run_path("out/predict.py", run_name="__main__")
    assert left.value.code == 1
    said = capfd.readouterr()
    first, second, third = map(json.loads, said.out.splitlines())
    assert second is None
    agree([first, third], lm.load("out").predict([Path("new/1.png"), Path("new/inner/3.png")]))
    assert said.err.startswith("new/2.png is no image that can be read (")
    assert len(said.err.splitlines()) == 1


@pytest.fixture(scope="module")
def task() -> lm.Task:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    images = (torch.rand(3, 1, 8, 8)[labels] + 0.3 * torch.rand(60, 1, 8, 8)).clamp(0, 1)
    return lm.task_from_arrays(images, labels, id="<b>noise</b> | of\n`three` kinds")


@pytest.fixture(scope="module")
def result(task: lm.Task) -> lm.SearchResult:
    space = lm.LayeredSpace(depths=(1,), widths=(16,))
    return lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=2), seed=7)


def test_the_hubs_own_library_reads_the_card(result: lm.SearchResult, tmp_path: Path) -> None:
    result.export("out", license="apache-2.0")
    result.export("out", license="apache-2.0")  # its own files are replaced
    card = HubCard.load(tmp_path / "out" / "README.md")
    assert (card.data.license, card.data.pipeline_tag) == ("apache-2.0", "image-classification")
    (first,) = card.data.eval_results
    assert (first.task_type, first.metric_type, first.dataset_split) == ("image-classification", "accuracy", "test")
    assert (first.dataset_name, first.dataset_type) == ("<b>noise</b> | of�`three` kinds", "b-noise-b-of-three-kinds")
    assert first.metric_value == pytest.approx(result.test_score, abs=1e-4)
    assert first.metric_args["seed"] == 7
    assert first.metric_args["reproduce"].startswith("method RandomArchitecture, seed 7, recipe epochs=2, ")
    assert first.metric_args["ci95"] == pytest.approx(result.ci95, abs=1e-4)
    text = card.text
    assert f"| test accuracy | {percent(result.test_score, result.ci95)} % (95 % interval)" in text
    assert "FILE ...` needs PyTorch and Pillow; `lit-metanas predict`" in text
    assert "<b>" not in text
    assert f"| parameters | {result.parameters:,} |" in text
    assert "| all training after it | " in text
    assert "## Intended use and limits" in text
    assert "\\`three\\`" in text
    assert not list(tmp_path.glob("out/.*"))


def test_tasks_have_the_hubs_names() -> None:
    sounds = lm.Transcription(3)
    written = lm.Translation(WORDS)
    assert [lm.Classification(2).hub_task(noun) for noun in ("sounds", "texts", "examples")] == [
        "audio-classification", "text-classification", "tabular-classification",
    ]  # fmt: skip
    assert [sounds.hub_task("sounds"), sounds.hub_task("texts"), written.hub_task("texts")] == [
        "automatic-speech-recognition", "other", "translation",
    ]  # fmt: skip
    assert lm.Span(3).hub_task("texts") == "question-answering"


@pytest.mark.parametrize("name", ["README.md", "predict.py"])
def test_files_of_others_are_left_alone(name: str, result: lm.SearchResult) -> None:
    Path("out").mkdir()
    (Path("out") / name).write_text("# Mine\n")
    with pytest.raises(ValueError, match=rf"'out/{name}' is there already, and no export has written it"):
        result.export("out")
    assert [file.name for file in Path("out").iterdir()] == [name]
    assert (Path("out") / name).read_text() == "# Mine\n"


def test_a_program_is_the_one_that_is_described(result: lm.SearchResult) -> None:
    result.export("out")
    program = Path("out") / "model.pt2"
    program.write_bytes(program.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"model.pt2' is not the program that 'model.json' describes: export again"):
        lm.load("out")
    program.unlink()
    with pytest.raises(FileNotFoundError, match=r"There is no 'model.pt2' in 'out'"):
        lm.load("out")
    os.mkfifo(program)
    with pytest.raises(ValueError, match=r"'out/model.pt2' is not a regular file: give the folder of an exported net"):
        lm.load("out")
