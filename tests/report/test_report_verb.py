import re
from dataclasses import replace

import pytest
from PIL import Image

from lit_metanas.callbacks.probability_history import Moment, ProbabilityHistory
from lit_metanas.cli.command_line import main
from lit_metanas.records import ArchitectureRow, Protocol, write_architectures, write_results
from lit_metanas.report.report_verb import report
from lit_metanas.spaces import Architecture


@pytest.fixture
def files(many, tmp_path):
    """Results in two files, a history and chosen architectures."""
    write_results(tmp_path / "first.json", many[:30])
    write_results(tmp_path / "second.json", many[30:])
    moments = [Moment(i, i / 3, {"kernel": [0.5 + i / 10, 0.5 - i / 10]}) for i in (1, 2, 3)]
    ProbabilityHistory({"kernel": ["3", "5"]}, moments).write(tmp_path / "probabilities.json")
    chosen = [Architecture({"kernel": kernel, "depth": "2"}) for kernel in "353"]
    rows = [ArchitectureRow(f"task {n}", "meta-searched", "LayeredSpace", one, 0.8) for n, one in enumerate(chosen)]
    write_architectures(tmp_path / "architectures.json", rows)
    return tmp_path


def test_report_writes_and_tells_everything(files, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    output = files / "out"
    results = [str(files / "first.json"), str(files / "second.json")]
    options = {name: str(files / f"{name}.json") for name in ("probabilities", "architectures")}
    options |= {"reference": "Conv-4", "subject": "meta-searched, adapted"}
    report(results, str(output), next_step="lit-metanas predict --config my.yaml", **options)
    printed = capsys.readouterr().out
    (said,) = re.findall("^meta-searched, adapted: .* points to Conv-4; it cost .*", printed, re.MULTILINE)
    assert "Next: lit-metanas predict --config my.yaml" in printed
    text = (output / "report.md").read_text()
    escaped = said.replace("[", "\\[")
    assert text.startswith(f"# Report\n\n{escaped}\n")
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert pictures == ["accuracy_against_cost.png", "anytime.png", "probabilities.png", "architecture-1.png",
                        "architecture-2.png"]  # fmt: skip
    for name in ["report.md", *pictures]:
        assert str(output / name) in printed
    for name in pictures:
        with Image.open(output / name) as image:
            assert image.size[0] > 500
            assert image.size[1] > 120
    assert {path.name for path in output.iterdir()} == {"report.md", *pictures}


def test_missing_results_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        report([str(tmp_path / "none.json")], str(tmp_path / "out"))
    with pytest.raises(FileNotFoundError, match=rf"is a folder: give a file in it, such as '{tmp_path}/results\.json'"):
        report([str(tmp_path)], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def searches(make, here):
    """Three searches of one folder: the worst by validation is the best by the test."""
    for place, method, seed, validated, tested in (
        ("search", "meta", 0, 0.7, 0.9), ("colour", "in colour", 0, 0.7, 0.5), ("more", "in colour", 1, 0.8, 0.6)
    ):  # fmt: skip
        folder = here / place / "children" / "photos" / method
        folder.mkdir(parents=True)
        (folder / "model.json").touch()
        weights = (folder / "weights.pt").relative_to(here / place).as_posix()
        row = ArchitectureRow("photos", method, "LayeredSpace", Architecture({"kernel": "3", "depth": "2"}), validated)
        write_architectures(here / place / "architectures.json", [replace(row, seed=seed, weights=weights)])
        result = make(method, value=tested, task="photos", seed=seed, protocol=Protocol("target", 3, 20, "running"))
        write_results(here / place / "results.json", [result])
    return ["search/results.json", "colour/results.json", "more/results.json"]


def test_the_best_network_by_validation_is_named_with_its_folder(searches, tmp_path, capsys, monkeypatch):
    report(searches, "out")
    best = "more/children/photos/in colour"
    printed = capsys.readouterr().out
    assert f"Best by validation accuracy, 80.0 %: in colour, in {best}\n" in printed
    assert f"Next: lit-metanas predict '{best}' FILE\n" in printed
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| meta | photos | 0 | 70.0 | search/children/photos/meta |" in text
    assert "| in colour | photos | 0 | 70.0 | colour/children/photos/in colour |" in text
    assert f"in {best}. Validation examples are neither" in text
    assert "(meta, photos, seed 0; in colour, photos, seed 0; in colour, photos, seed 1)" in text
    report(searches, "out", next_step="another")
    assert capsys.readouterr().out.endswith("Next: another\n")
    (tmp_path / best / "model.json").unlink()  # not exported: no folder that `predict` takes
    report(searches, "out")
    assert "predict search/children/photos/meta " in capsys.readouterr().out
    monkeypatch.setattr("lit_metanas.report.report_page.MOST_NETWORKS", 1)
    report(searches, "out")
    assert "1 more are in the searches' directories." in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["--results", "a.json"],
        ["--results", "a.json", "b: c.json", "--output", "out"],
        ["--results=[a.json, 'b: c.json']"],
    ],
)
def test_results_are_one_file_or_several(words, make, here, capsys):
    write_results("a.json", [make("first", values=(0.5, 0.6))])
    write_results("b: c.json", [make("second", values=(0.7, 0.8))])
    assert main(["report", *words]) == 0
    printed = capsys.readouterr().out
    assert "first" in printed
    assert ("second" in printed) == any("b: c" in word for word in words)
