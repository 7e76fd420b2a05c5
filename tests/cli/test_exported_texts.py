"""Exported networks that write texts, or tell symbols: read again, shown, and refused where they are damaged."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_script import answers

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.training.export.prediction_table import predict_command

pytestmark = pytest.mark.usefixtures("here")

READ = lm.kinds.Words(steps=5, least=1).fitted(["one two three four"])
WRITTEN = lm.kinds.Words(steps=4, least=1).fitted(["un deux trois"])
TEXTS = ["one two", "three three one four two", "four", "two six"]
ENCODER = lm.SequenceSpace(
    operations=("gru", "attention_2"), widths=(8,), depths=(2,), dropouts=(0.0,), readouts=("each",)
)


def drawn(
    space: lm.SearchSpace, way: int, seed: int, shape: lm.Shape = READ.shape
) -> tuple[lm.Architecture, torch.nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        architecture = space.sample(torch.Generator().manual_seed(seed))
        child = space.child(architecture, shape, way).eval()
        for parameter in child.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape)
    return architecture, child


def exported(decoder: str, seed: int, folder: str) -> torch.nn.Module:
    objective = lm.Translation(WRITTEN, metric="BLEU")
    space = lm.EncoderDecoderSpace(ENCODER, decoders=(decoder,), decoder_depths=(1,), heads=2, target_steps=4)
    architecture, child = drawn(space, objective.outputs, seed)
    lm.export_child(
        child, folder, architecture=architecture, classes=(), shape=READ.shape, preprocessing=READ, objective=objective
    )
    return child


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    """A network that writes texts, and the folder that it was exported into."""
    folder = tmp_path_factory.mktemp("whole")
    return exported("attention", 1, str(folder)), folder


@pytest.fixture
def whole(network: tuple[torch.nn.Module, Path]) -> Path:
    return network[1]


@pytest.mark.parametrize("decoder", ["attention", pytest.param("conv", marks=pytest.mark.slow)])
def test_a_program_writes_what_the_network_writes(decoder: str, network: tuple[torch.nn.Module, Path]) -> None:
    child, folder = network if decoder == "attention" else (exported(decoder, 1, "out"), Path("out"))
    found = lm.load(folder)
    inputs = READ.encode(TEXTS)
    with torch.no_grad():
        scores = child(inputs)
        torch.testing.assert_close(found.network(inputs), scores, atol=1e-5, rtol=1e-5)
    assert (found.objective, found.classes) == (lm.Translation(WRITTEN, metric="BLEU"), ())
    assert found.show(TEXTS) == found.objective.texts(found.objective.predictions(scores))
    assert found.predict(TEXTS).shape == (4, 4, 5)
    torch.testing.assert_close(found.predict(TEXTS[0]), found.predict(TEXTS[:1]))  # a single text is one example
    for kind in ("U", "O"):  # arrays of texts, as pandas and scikit-learn have them
        assert found.show(np.array(TEXTS, dtype=kind)) == found.show(TEXTS)
    with pytest.raises(ValueError, match="The examples are a table: give one of its columns, or a list"):
        found.predict(Table(text=TEXTS))


class Table(dict[str, list[str]]):
    """What this package sees of a table of pandas."""

    columns = ("text",)


def test_the_verb_predict_prints_texts(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(whole, "out")
    Path("new.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    command = [word.replace("FILE", "new.txt") for word in predict_command("out")]
    for _ in range(2):  # earlier predictions are replaced
        assert main(command) == 0
    said = lm.load("out").show(TEXTS)
    printed = capsys.readouterr().out
    for text, written in zip(TEXTS, said, strict=True):
        assert f"{text}: {written}\n" in printed
    assert "All texts are in predictions.csv." in printed
    with Path("predictions.csv").open(encoding="utf-8") as file:
        assert [*csv.reader(file)] == [["text", "written"], *map(list, zip(TEXTS, said, strict=True))]
    assert main([*command, "--output", "texts.json"]) == 0
    assert json.loads(Path("texts.json").read_text())[0] == {"text": TEXTS[0], "written": said[0]}
    capsys.readouterr()
    table = Path("predictions.csv").read_text(encoding="utf-8")
    Path("predictions.csv").unlink()
    for place in (1, len(command)):
        assert main([*command[:place], "--csv", *command[place:]]) == 0
        assert capsys.readouterr().out == table
    assert not Path("predictions.csv").exists()


def test_an_export_that_fails_leaves_the_earlier_network(whole: Path) -> None:
    class Own(lm.kinds.Words):
        kind = "own"

        def to_plain(self) -> dict[str, Any]:
            return {"made": object()}

    shutil.copytree(whole, "out")
    before = {file.name: file.read_bytes() for file in Path("out").iterdir()}
    architecture, child = drawn(ENCODER, 4, 1)
    made, given = Own(steps=5, words=READ.words), {"shape": READ.shape, "objective": lm.Transcription(3)}
    with pytest.raises(TypeError):
        lm.export_child(child, "out", architecture=architecture, classes="abc", preprocessing=made, **given)
    assert {file.name: file.read_bytes() for file in Path("out").iterdir()} == before


def test_symbols_are_printed_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    architecture, child = drawn(ENCODER, 4, 2)
    lm.export_child(
        child, "out", architecture=architecture, classes=("low", "mid", "high"), shape=READ.shape, preprocessing=READ,
        objective=lm.Transcription(3),
    )  # fmt: skip
    found = lm.load("out")
    inputs = READ.encode(TEXTS)
    with torch.no_grad():
        scores = child(inputs)
        torch.testing.assert_close(found.network(inputs), scores, atol=1e-5, rtol=1e-5)
    assert found.objective == lm.Transcription(3)
    names = ("", "low", "mid", "high")
    said = [" ".join(names[symbol] for symbol in row) for row in lm.Transcription(3).predictions(scores)]
    assert found.show(TEXTS) == said
    assert len(set(said)) > 1
    Path("new.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    assert main(["predict", "out", "new.txt"]) == 0
    printed = capsys.readouterr().out
    assert f"{TEXTS[0]}: {said[0]}\n" in printed
    assert "All transcripts are in predictions.csv.\n" in printed


ALONE = """
import json, pathlib, sys, torch
about = json.loads(pathlib.Path("out/model.json").read_text())
words = ["", "?", *about["objective"]["target"]["words"]]
for row in torch.export.load("out/model.pt2").module()(torch.tensor(json.loads(sys.argv[1]))).argmax(2).tolist():
    said = row[: row.index(0)] if 0 in row else row
    print(json.dumps(" ".join(words[token] for token in said)))
"""


def test_texts_are_written_with_torch_alone(whole: Path) -> None:
    shutil.copytree(whole, "out")
    Path("alone.py").write_text(ALONE)
    said = answers("alone.py", json.dumps(READ.encode(TEXTS).tolist()))
    assert [text.replace("?", "\N{REPLACEMENT CHARACTER}") for text in said] == lm.load("out").show(TEXTS)


def stored(change: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(Path("out/model.json").read_text())
    change(document)
    Path("out/model.json").write_text(json.dumps(document))
    with pytest.raises(ValueError) as caught:
        lm.load("out")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda own: own["objective"].update(kind="poetry"), "its objective is none of classification, "),
        (lambda own: own.pop("objective"), "it is a classification with 0 classes"),
        (lambda own: own.update(classes=["a"]), "it is a translation with 1 class"),
        (lambda own: own["objective"].update(metric="beauty"), "its metric is none of chrF, BLEU, exact match"),
        (lambda own: own["objective"]["target"].update(kind=["words"]), "its preprocessing is none of "),
        (lambda own: own["objective"]["target"].pop("words"), "Words: the stored preprocessing has no list 'words'"),
        (lambda own: own["objective"]["target"]["words"].append("quatre"), "scores for 2 inputs: export again."),
        (lambda own: own["input"]["preprocessing"].update(kind=[]), "its preprocessing is none of byte pairs, "),
        (lambda own: own["input"]["preprocessing"].update(kind="os.system"), "its preprocessing is none of byte pairs"),
        (lambda own: own["input"]["preprocessing"].update(steps=10**9), "'out/model.json' is damaged or another kind"),
        (lambda own: own["input"]["preprocessing"].update(words=["A b"]), "'out/model.json' is damaged or another"),
        (lambda own: own["input"].update(preprocessing=7), "'out/model.json' is damaged or another kind of file ("),
    ],
)
def test_a_damaged_description_is_told_in_a_sentence(
    change: Callable[[dict[str, Any]], object], sentence: str, whole: Path
) -> None:
    shutil.copytree(whole, "out")
    assert sentence in stored(change)


def test_an_export_wants_the_objective_that_a_network_has() -> None:
    _, child = drawn(ENCODER, 4, 0)
    given = {"architecture": {}, "shape": READ.shape}
    with pytest.raises(ValueError, match=r"scores of 2 inputs have shape \(2, 5, 4\), and Transcription wants \(n, st"):
        lm.export_child(child, "out", classes=("a", "b"), objective=lm.Transcription(2), **given)
    with pytest.raises(ValueError, match="Transcription has 3 names, but 2 were given: name each once"):
        lm.export_child(child, "out", classes=("a", "b"), objective=lm.Transcription(3), **given)
    with pytest.raises(ValueError, match="Two classes are called 'a'"):
        lm.export_child(child, "out", classes=("a", "b", "a"), objective=lm.Transcription(3), **given)
    assert not Path("out").exists()
