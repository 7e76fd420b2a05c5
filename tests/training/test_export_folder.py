"""What an export leaves beside its program: a script that runs it alone, a model card, and what is sent to a hub."""

from __future__ import annotations

import json
import math
import os
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exported_script
import numpy as np
import pytest
import torch
from drawn_networks import drawn
from huggingface_hub import ModelCard as HubCard
from PIL import Image

import lit_metanas as lm
from lit_metanas.kinds.images.image_files import read_images
from lit_metanas.kinds.read_examples import read_new_examples
from lit_metanas.kinds.texts.text_tokens import JoinedTokens
from lit_metanas.records.statistics import percent
from lit_metanas.training.export.network_description import script_packages, script_takes
from lit_metanas.training.export.standalone_parts import numbered_tokens
from lit_metanas.training.export.standalone_predict import read_inputs
from lit_metanas.training.export.standalone_rows import encoded_rows
from lit_metanas.training.export.standalone_sounds import log_mel
from lit_metanas.training.export.standalone_texts import read_texts, written_text

WORDS = lm.kinds.Words(steps=5, least=1).fitted(["it's one two, three नमस्ते"])
TEXTS = ["IT'S one, two", "", "three नमस्ते six one two one"]
CHARACTERS = lm.kinds.Characters(steps=12).fitted(TEXTS)
GRAMS = lm.kinds.NGrams(steps=40).fitted(TEXTS)
OLD_GRAMS = lm.kinds.NGrams(steps=40, across=False).fitted(TEXTS)
PAIRS = lm.kinds.BytePairs(size=270, steps=20)
MARKS = lm.kinds.Words(steps=5, least=1, words=("one", *".,;:!?%)]}’。，、([{¿¡-"))


def answers(*files: str, lines: int = 145, onnx: bool = True) -> Iterator[list[Any]]:
    """What the exported script says of files, by torch and by onnxruntime."""
    script = Path("out/predict.py").read_text(encoding="utf-8")
    assert len(script.splitlines()) <= lines
    assert "lit_metanas" not in script
    for model, *without in (("model.pt2", "numpy", "onnxruntime"), ("model.onnx", "torch"))[: 1 + onnx]:
        yield exported_script.answers("out/predict.py", *files, "--model", model, without=without)


def write_texts() -> list[str]:
    """Many texts, with empty lines behind them and an empty file beside."""
    Path("new.txt").write_text("\n".join(30 * TEXTS) + "\n\n", encoding="utf-8")
    Path("empty.txt").touch()
    return 30 * TEXTS


def agree(found: list[dict[str, float]], expected: torch.Tensor, within: float = 1e-4) -> None:
    assert all(list(row.values()) == sorted(row.values(), reverse=True) for row in found)
    rows = torch.tensor([[row[name] for name in "abc"] for row in found])
    torch.testing.assert_close(rows, expected, atol=within, rtol=0)


pytestmark = pytest.mark.usefixtures("here")


def test_the_script_classifies_images_and_arrays_by_torch_or_onnxruntime_alone() -> None:
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
    for found in answers("colour.png", "grey.png", "bytes.npy", "floats.npy"):
        agree(found, expected)


def test_the_script_classifies_texts_as_the_package_does() -> None:
    made = JoinedTokens(WORDS, CHARACTERS)
    network = drawn(lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,)), made.shape)
    classes = ("a", "b", "c")
    lm.export_child(network, "out", architecture={}, classes=classes, shape=made.shape, preprocessing=made, onnx=True)
    expected = lm.load("out").predict(write_texts())
    for found in answers("empty.txt", "new.txt"):
        agree(found, expected)


@pytest.mark.parametrize("made", [WORDS, CHARACTERS, GRAMS, PAIRS, JoinedTokens(WORDS, GRAMS), OLD_GRAMS])
def test_the_script_divides_texts_as_the_package_does(made: lm.Preprocessing) -> None:
    if isinstance(made, lm.kinds.BytePairs):
        pytest.importorskip("tokenizers")
        made = made.fitted(3 * TEXTS)
    plain = {"kind": made.kind, **made.to_plain()}
    lines = ["One\u2028two\x0cthree", "two\x85one ", "cafe\u0301 it’s It'S", " " * 5000 + "one", "\tनमस्ते _x\t१\xa0"]
    Path("new.txt").write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    texts = [text for _, text in read_new_examples(["new.txt"], "texts").examples]
    expected = made.encode(texts)
    assert torch.equal(torch.tensor(read_texts(Path("new.txt"), plain)), expected)
    if not isinstance(made, JoinedTokens):
        assert numbered_tokens(texts, plain) == expected.tolist()


def test_the_script_writes_texts_as_the_package_does() -> None:
    encoder = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,), readouts=("each",))
    goal = lm.Translation(lm.kinds.Words(steps=2, least=1).fitted(TEXTS))
    space = lm.EncoderDecoderSpace(encoder, decoders=("gru",), decoder_depths=(1,), heads=2, target_steps=3)
    network = drawn(space, WORDS.shape, goal.outputs, noise=0.5)
    given = {"classes": (), "shape": WORDS.shape, "preprocessing": WORDS, "objective": goal}
    lm.export_child(network, "out", architecture={}, onnx=True, **given)
    expected = lm.load("out").show(write_texts())
    assert len(set(expected)) > 1
    assert all(found == expected for found in answers("empty.txt", "new.txt"))


@pytest.mark.parametrize("target", [WORDS, MARKS, CHARACTERS, PAIRS])
def test_the_script_writes_tokens_as_the_package_does(target: lm.inputs.TextPreprocessing) -> None:
    if isinstance(target, lm.kinds.BytePairs):
        pytest.importorskip("tokenizers")
        target = target.fitted(3 * TEXTS)
    goal = lm.Translation(target)
    rows = torch.randint(0, goal.outputs, (200, 9), generator=torch.Generator().manual_seed(0)).tolist()
    rows += [[], [0], [0, 2], [1, 1]]
    expected = goal.texts([row[: row.index(0)] if 0 in row else row for row in rows])
    plain = {"kind": target.kind, **target.to_plain()}
    assert [written_text(row, plain) for row in rows] == expected


def write_wave(file: str, rate: int, width: int, channels: int, samples: int) -> None:
    """A tone and noise, of whole numbers of so many bytes."""
    times = np.arange(samples)[:, None] / rate
    noise = 0.05 * np.random.default_rng(0).standard_normal((samples, channels))
    top = 2 ** (8 * width - 1)
    levels = (top * (0.4 * np.sin(2 * np.pi * 300 * times * np.arange(1, channels + 1)) + noise)).astype(np.int64)
    parts = (levels.reshape(-1, 1) + (top if width == 1 else 0)) >> (8 * np.arange(width)) & 255
    with wave.open(file, "wb") as opened:
        opened.setparams((channels, width, rate, 0, "NONE", ""))
        opened.writeframes(parts.astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    "made",
    [
        lm.kinds.LogMel(steps=40),
        lm.kinds.LogMel(rate=16000, bins=20, window=0.05, hop=0.02, highest=7000.0, centre=True, steps=30),
    ],
)
@pytest.mark.parametrize(
    ("rate", "width", "channels", "samples"),
    [(8000, 2, 1, 20000), (16000, 4, 2, 9001), (44100, 3, 2, 30000), (11025, 1, 1, 4000), (1000, 2, 1, 201),
     (8000, 2, 1, 0)],
)  # fmt: skip
def test_the_script_hears_sounds_as_the_package_does(
    made: lm.kinds.LogMel, rate: int, width: int, channels: int, samples: int
) -> None:
    write_wave("x.wav", rate, width, channels, samples)
    expected = made.encode(["x.wav"])[0]
    for library in (torch, np):
        found = torch.as_tensor(log_mel(Path("x.wav"), made.to_plain(), library))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("arrays", [False, True])
def test_the_script_transcribes_as_the_package_does(arrays: bool) -> None:
    made, goal = lm.kinds.LogMel(steps=30), lm.Transcription(2)
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,), readouts=("each",))
    write_wave("x.wav", 8000, 2, 1, 2000)
    inputs = made.encode(["x.wav"])
    np.save("x.npy", inputs.numpy())
    network = drawn(space, made.shape, goal.outputs).eval()
    with torch.no_grad():
        network.get_parameter("head.bias").sub_(network(inputs).mean((0, 1)))  # of all symbols about as many
    given = {"classes": ("ä", "b"), "shape": made.shape, "objective": goal, "onnx": not arrays}
    lm.export_child(network, "out", architecture={}, preprocessing=None if arrays else made, **given)
    exported = lm.load("out")
    expected = exported.show(inputs)
    steps = exported.network(inputs)[0].argmax(-1).tolist()
    assert 1 < len(expected[0].split()) < len([step for step in steps if step])  # some are repeated
    assert all(found == expected for found in answers("x.npy" if arrays else "x.wav", onnx=not arrays))


ROWS = [[1.0, 20.0, 5.0], [3.0, 30.0, 5.0], [math.nan, 50.0, 5.0], [4.0, 20.0, 7.0], [1e308, -1e308, 5.0]]
COLUMNS = lm.kinds.Columns(("height", "the, age", "w")).fitted(ROWS[:4])
TABLE = """note,w , "the, age",height
"a
b",5,20,1
,7.5,?, 1.7
x,NA,1e2,N/A
,,,
y,6,-1e300,9e300
 z,5,30,3

"""
"""Its columns stand in another order, beside one of no number."""


def test_the_script_classifies_rows_as_the_package_does() -> None:
    network = drawn(lm.default_space(COLUMNS.shape), COLUMNS.shape)
    given = {"classes": ("a", "b", "c"), "shape": COLUMNS.shape, "preprocessing": COLUMNS}
    lm.export_child(network, "out", architecture={}, onnx=True, **given)
    Path("new.csv").write_text(TABLE.replace(', "the', ',"the'), encoding="utf-8-sig")
    Path("new.tsv").write_text("height\tthe, age\tw\n2\t\t1\n", encoding="utf-8")
    rows = read_new_examples(["new.csv", "new.tsv"], "rows").examples
    expected = lm.load("out").predict([row for _, row in rows])
    assert len(rows) == 7
    for found in answers("new.csv", "new.tsv", lines=225):
        agree(found, expected, within=1e-5)


def test_the_script_predicts_numbers_as_the_package_does() -> None:
    """By the function that answers for every kind of data."""
    goal = lm.Regression((2000.0, 5.0), (300.0, 2.0), (40.0, 1.5))
    given = {"classes": ("weight", "age"), "shape": (3, 12, 10), "objective": goal}
    network = drawn(lm.LayeredSpace(depths=(1,), widths=(4,)), (3, 12, 10), 2)
    lm.export_child(network, "out", architecture={}, **given)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)).save("x.png")
    exported = lm.load("out")
    expected = [exported.objective.columns(row, exported.classes) for row in exported.predict(["x.png"]).tolist()]
    ends = ("prediction", "lower", "upper")
    assert expected[0].keys() == {f"{end}({name})" for end in ends for name in ("weight", "age")}
    for found in answers("x.png", onnx=False):
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("names", [COLUMNS.names, ()])
@pytest.mark.parametrize("scale", ["standardised", "quantiles", "pieces"])
def test_the_script_scales_rows_as_the_package_does(scale: Any, names: tuple[str, ...]) -> None:
    made = lm.kinds.Columns(names, scale).fitted(ROWS)

    values = [*ROWS, [1e308, 5.0, -1e308], [math.nan] * 3, [2.0, 25.0, 6.0], [-4.0, 20.5, 5.5]]
    lines = [",".join("" if math.isnan(value) else str(value) for value in row) for row in values]
    Path("new.csv").write_text("\n".join(['height,"the, age",w', *lines]))
    found = torch.tensor(encoded_rows(Path("new.csv"), made.to_plain()))
    torch.testing.assert_close(found, made.encode([row for _, row in read_new_examples(["new.csv"], "rows").examples]))


MIXED = """when,colour,on,weight,id,sort
2024-01-05,red,true,3.5,a1,7
2024-02-29,blue,FALSE,,b2,7
,red,true,1e3,c3,7
2023-12-31,,False,-2,d4,7
2024-03-01,"gr, een",true,4,e5,7
2024-03-02,blue,?,4,f6,7
"""


@pytest.mark.parametrize(("times", "scale"), [("", "standardised"), ("T10:30", "pieces")])
def test_the_script_encodes_mixed_rows_as_the_package_does(times: str, scale: Any) -> None:
    lines = [line.split(",", 1) for line in MIXED.splitlines()]
    table = [f"{when}{times * when.startswith('2')},{rest}" for when, rest in lines]
    Path("learned.csv").write_text("\n".join(table))
    rows = [row for _, row in read_new_examples(["learned.csv"], "rows").examples]
    made = lm.kinds.Columns(tuple(rows[0]), scale).fitted(rows)
    assert made.left_out == "'id' (texts that hardly repeat), 'sort' (constant)"
    # A new category and another column, without those that are left out.
    named = ["note,when,colour,on,weight", *(f"n,{line.rsplit(',', 2)[0]}" for line in table[1:])]
    Path("new.csv").write_text("\n".join([*named, named[1].replace("red", "pink")]))
    found = encoded_rows(Path("new.csv"), json.loads(json.dumps(made.to_plain())))
    given = [row for _, row in read_new_examples(["new.csv"], "rows").examples]
    torch.testing.assert_close(torch.tensor(found), made.encode(given))
    assert len(found) == 7


def test_the_script_scales_images_of_16_bits_as_the_package_does() -> None:
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
    with pytest.raises(SystemExit) as left:
        exported_script.run("out/predict.py", "new")
    assert left.value.code == 1
    said = capfd.readouterr()
    first, second, third = map(json.loads, said.out.splitlines())
    assert second is None
    agree([first, third], lm.load("out").predict([Path("new/1.png"), Path("new/inner/3.png")]))
    assert said.err.startswith("new/2.png is no image that can be read (")
    assert len(said.err.splitlines()) == 1


@pytest.fixture(scope="module")
def result() -> lm.SearchResult:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    images = (torch.rand(3, 1, 8, 8)[labels] + 0.3 * torch.rand(60, 1, 8, 8)).clamp(0, 1)
    task = lm.task_from_arrays(images, labels, id="<b>noise</b> | of\n`three` kinds")
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


@pytest.mark.parametrize(
    ("shape", "made", "goal", "packages", "takes"),
    [
        ((1, 8, 8), None, lm.Classification(2), ("PyTorch", "Pillow"), "FILE"),
        (WORDS.shape, lm.kinds.QuestionWords(WORDS, newest_first=False), lm.Span(), ("PyTorch",), "INPUTS.npy"),
        (WORDS.shape, WORDS, lm.Translation(PAIRS), ("PyTorch", "tokenizers"), "FILE"),
        (WORDS.shape, JoinedTokens(WORDS, PAIRS), lm.Classification(2), ("PyTorch", "tokenizers"), "FILE"),
        (lm.kinds.LogMel().shape, lm.kinds.LogMel(), lm.Transcription(2), ("PyTorch",), "FILE"),
    ],
)
def test_a_script_needs_what_its_own_inputs_and_texts_need(
    shape: lm.Shape, made: lm.Preprocessing | None, goal: lm.Objective, packages: tuple[str, ...], takes: str
) -> None:
    assert script_packages(shape, made, goal) == packages
    assert script_takes(shape, made, goal) == takes


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
    absent = "There is no 'model.pt2' in 'out': give the folder of an exported net"
    with pytest.raises(FileNotFoundError, match=absent):
        lm.load("out")
    os.mkfifo(program)
    with pytest.raises(FileNotFoundError, match=absent):
        lm.load("out")
