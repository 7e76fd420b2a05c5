"""What an export leaves beside its program: a model card that the Hugging Face Hub reads."""

import os
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard as HubCard

import lit_metanas as lm
from lit_metanas.records.statistics import percent

WORDS = lm.kinds.Words(steps=5, least=1).fitted(["one two three"])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


def test_a_card_of_others_is_left_alone(result: lm.SearchResult) -> None:
    card = Path("out") / "README.md"
    card.parent.mkdir()
    card.write_text("# Mine\n")
    with pytest.raises(ValueError, match=r"'out/README.md' is there already, and no export has written it"):
        result.export("out")
    assert [file.name for file in Path("out").iterdir()] == ["README.md"]
    assert card.read_text() == "# Mine\n"


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
