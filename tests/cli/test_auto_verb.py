"""The verb `auto`: data to an exported network, its last line a command that works, and signals."""

import os
import shlex
import signal
import time
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard as HubCard

import lit_metanas as lm
from lit_metanas.automl import budget_division, last_training
from lit_metanas.cli.command_line import main
from lit_metanas.estimators import training_estimator
from lit_metanas.estimators.pace import Pace

pytestmark = pytest.mark.usefixtures("here")

Output, Patch = pytest.CaptureFixture[str], pytest.MonkeyPatch
FLOPS = "[1e9,1e9]"


@pytest.fixture
def rows(here: Path) -> str:
    """A table in the working folder."""
    lines = [f"{n % 7 + n / 100},{n % 5},day{n // 6},{'ab'[n % 7 > n % 5]}" for n in range(60)]
    Path("two letters.csv").write_text("\n".join(["x,y,day,label", *lines]))
    return "two letters.csv"


def test_the_last_line_predicts(images: Path, capsys: Output) -> None:
    words = ["images", "--flops", FLOPS, "--max-parameters=50000", "--max_latency", "2s", "--output", "model"]
    assert main(["auto", *words]) == 0
    told, said = capsys.readouterr()
    assert "test accuracy" in told
    assert "auto: 'images': 20 images of 2 classes" in said
    assert "\nauto: writing the network and the report.\n" in said
    *_, files, last = told.splitlines()
    size = Path("model/model.pt2").stat().st_size
    assert files == f"The network (model.pt2, {size:,} bytes), a report and what was tried are in 'model'."
    assert last == "Next: lit-metanas predict model FILE"
    command = shlex.split(last.removeprefix("Next: lit-metanas ").replace("FILE", "images/dark"))
    assert main(command) == 0
    assert "9.png: " in capsys.readouterr().out
    assert main(["auto", "--flops", FLOPS, "--max-parameters", "5e4", "--max_latency", "2s", "images"]) == 0
    told, said = capsys.readouterr()
    assert "already finished: nothing was done" in said
    assert told.splitlines()[-1] == last


def test_the_command_of_the_card_repeats_the_result(rows: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(budget_division, "measure_pace", lambda *args, **more: Pace(5e5, 0.0, 0.0))
    monkeypatch.setattr(budget_division, "faster_precision", lambda *args, **more: "bf16-mixed")
    words = [rows, "--minutes=1", "--seed=4", "--max-parameters=5e4", "--max_latency=2s"]
    assert main(["auto", *words, "--group", "day"]) == 0
    card = Path("model/README.md").read_text()
    command = card.partition("- To reproduce:")[2].strip().partition("\n")[0]
    assert HubCard.load("model/README.md").data.eval_results[0].metric_args["reproduce"] == command
    first, *rest = shlex.split(command)
    assert (first, rest[1]) == ("lit-metanas", rows)
    assert {"--flops", "--group", "--max_parameters", "--max_latency"} <= {*rest}
    monkeypatch.setattr(budget_division, "measure_pace", lambda *args, **more: pytest.fail("FLOPs need no pace"))
    assert main(rest) == 0  # in the same folder, where `model` holds the result of the minutes
    (one,), (other,) = (lm.records.read_results(f"{folder}/results.json") for folder in ("model", "model_again"))
    assert (other.value, other.architecture, other.recipe) == (one.value, one.architecture, one.recipe)
    assert Path("model_again/README.md").read_text().count(command.replace("model_again", "model_again_again")) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--minutes", "1"], "data"),
        (["images", "--kind", "picture"], "There is no kind 'picture'"),
        (["images", "--minute", "1"], "minutes"),
        (["images", "--flops", "1e10", "--max_latency", "soon"], "'soon' is no duration"),
        (["."], "'model' would lie in the data, '.', and may be read with them: give another --output."),
        (["images", "--flops", "1e10", "--max-size", "tiny"], "'tiny' is no size"),
        (["images", "--start", "none.ckpt"], "There is no start 'none.ckpt': give the folder of an exported model"),
        (["images", "--onnx", "--minutes", "0"], "minutes = 0.0 must be"),
        (["images", "--onnx=perhaps"], "onnx"),
        (["--onnx", "images", "--pareto", "shoes"], "no front can be made for pareto = 'shoes'"),
        (["images", "--min-per-class", "11"], "has 0 classes of 11 examples or more, too few to learn from"),
        (["images", "--group", "owner"], "group = 'owner' must be 'folder', or a regular expression"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(words: list[str], sentence: str, images: Path, capsys: Output) -> None:
    assert main(["auto", *words]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lit-metanas:")]
    assert len(told) == 1
    assert sentence in told[0]


def test_onnx_files_are_added_and_the_card_keeps_what_people_wrote(rows: str, capsys: Output) -> None:
    words = ["auto", rows, "--flops", "[2e7,2e7]"]
    assert main(words) == 0
    assert not Path("model/model.onnx").exists()
    weights, state = torch.load("model/weights.pt", weights_only=True), Path("model/auto.json").read_bytes()
    card = Path("model/README.md")
    mine = card.read_text().replace("license: unknown\n", "license: apache-2.0\n")
    card.write_text(mine)
    translating = "auto: translating the network to ONNX, which may take minutes."
    for ended, told in (("missing ONNX files were added", True), ("nothing was done", False)):
        assert main([*words, "--onnx"]) == 0
        said = capsys.readouterr().err
        assert f"already finished: {ended}." in said
        assert (translating in said) == told
    assert Path("model/model.onnx").is_file()
    assert card.read_text() == mine
    assert Path("model/auto.json").read_bytes() == state
    again = torch.load("model/weights.pt", weights_only=True)
    assert all(torch.equal(weights[name], tensor) for name, tensor in again.items())


def test_groups_are_kept_whole_and_are_another_search(rows: str, capsys: Output) -> None:
    words = ["auto", rows, "--flops", "[2e7,2e7]"]
    assert main([*words, "--group", "day"]) == 0
    assert ", in whole groups." in capsys.readouterr().err
    assert main(words) == 2
    assert "'model' holds the result of other data" in capsys.readouterr().err


def test_a_front_is_made_of_what_is_named(rows: str, capsys: Output) -> None:
    assert main(["auto", rows, "--pareto", "flops", "--flops", "[2e7,2e7]"]) == 0
    told = capsys.readouterr().out
    (first,) = [path.name for path in Path("model", "front").iterdir() if path.name.startswith("1-")]
    assert first.endswith("-flops")
    assert first in told


def test_an_interrupt_exports_the_best_and_says_how_to_go_on(images: Path, capsys: Output, monkeypatch: Patch) -> None:
    plain = last_training.fit_child
    stops = iter([True])

    def fit(child: lm.Child, train: lm.Split, **more: object) -> lm.Cost:
        if next(stops, False):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        return plain(child, train, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(last_training, "fit_child", fit)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["auto", "images", "--flops", FLOPS, "--onnx"]) == 130
    assert signal.getsignal(signal.SIGTERM) is before
    told, said = capsys.readouterr()
    assert "Stopped early" in told
    assert "auto: stopped: there are no ONNX files yet; the same call adds them once it has finished.\n" in said
    assert not Path("model/model.onnx").exists()
    assert "stopped; the best so far is in 'model', and the same command goes on." in said
    assert main(["predict", "model", "images/dark"]) == 0
    monkeypatch.setattr(training_estimator, "fit_child", lambda *args, **more: pytest.fail("searched again"))
    assert main(["auto", "images", "--flops", FLOPS]) == 0
    assert "Found in " in capsys.readouterr().out


def test_a_last_training_that_fails_exports_the_best_and_says_how_to_go_on(
    images: Path, capsys: Output, monkeypatch: Patch
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(last_training, "fit_child", fail)
        words = r"the last training failed \(MemoryError: without a reason\): the best so"
        with pytest.warns(UserWarning, match=words):
            assert main(["auto", "images", "--flops", FLOPS]) == 1
    told, said = capsys.readouterr()
    assert "Stopped early" in told
    assert said.splitlines()[-1] == (
        "lit-metanas: the last training failed; the best so far is in 'model', and once the cause is fixed the same "
        "command goes on."
    )
    assert main(["predict", "model", "images/dark"]) == 0
    assert main(["auto", "images", "--flops", FLOPS]) == 0
    assert "Found in " in capsys.readouterr().out
