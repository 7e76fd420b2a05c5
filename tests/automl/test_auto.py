"""One call: within its budget and limits, repeatable, and read again from its folder."""

import json
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import no_search, same_weights

import lit_metanas as lm
from lit_metanas.automl.job import Job
from lit_metanas.automl.options import AutoOptions
from lit_metanas.automl.search_setup import set_up_search
from lit_metanas.automl.stages import plan_budget, searcher_of
from lit_metanas.estimators.estimator import Query
from lit_metanas.estimators.input_variants import InputVariants
from lit_metanas.estimators.limits import LimitedSpace
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.kinds.kind import kind_named
from lit_metanas.spaces.choice_space import complete

Arrays = tuple[np.ndarray, list[str]]
FLOPS, FLOPS_OF_IMAGES = (3e6, 4e6), (1.5e8, 1.5e8)
SMALL = lm.LayeredSpace(kernels=(3,), depths=(1,), widths=(4,))


pytestmark = pytest.mark.usefixtures("short_trials")


def test_what_is_found_is_within_budget_and_limits(arrays: Arrays) -> None:
    result = lm.auto(arrays, flops=2e8, max_parameters=20_000, max_flops=200_000, max_latency=10, progress=False)
    assert result.parameters <= 20_000
    assert result.flops <= 200_000
    assert 0 < result.latency < 10
    assert result.cost.flops <= 1e8
    assert result.cost.flops + result.training_cost.flops == pytest.approx(2e8, rel=0.15)
    assert result.test_accuracy == 1
    assert (result.images, result.stopped) == ((32, 8), False)
    assert (result.record.method, result.record.seed) == ("auto", 0)
    assert {"learning_rate", "weight_decay", "label_smoothing", "augmentation"} == result.record.trials[0].recipe.keys()
    assert len({tuple(trial.recipe.items()) for trial in result.record.trials}) > 1
    told = repr(result)
    assert "latency:" in told
    assert "with 1 thread" in told
    assert f"to repeat it: {result.command}" in told


@pytest.mark.parametrize("in_memory", [False, True])
def test_its_call_repeats_it_whatever_was_given(
    in_memory: bool, images: Path, arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path
) -> None:
    data = arrays if in_memory else images
    records = () if in_memory else (tmp_path / "other.jsonl",)
    for file in records:
        lm.records.write_record_lines(file, [lm.records.SearchRecord("letters", method="random")])
    given: dict[str, Any] = {"max_parameters": 20_000, "max_latency": "2s", "seed": 3, "space": space}
    given["records"] = records
    group = np.arange(40) // 4 if in_memory else r"(\d)"
    flops, told = (FLOPS, "3000000,4000000") if in_memory else (FLOPS_OF_IMAGES, "150000000,150000000")
    first = lm.auto(data, flops=flops, group=group, progress=False, **given)
    what = "data" if in_memory else repr(str(images))
    own = "group=group" if in_memory else r"group='(\\d)'"
    assert first.command == (
        f"lm.auto({what}, flops=[{told}], seed=3, {own}, space=space, max_parameters=20000, "
        f"max_latency='2s', records={tuple(map(str, records))})"
    )
    names = {"lm": lm, "data": data, "group": group, "space": space}
    again = eval(first.command.replace("lm.auto(", "lm.auto(progress=False, data=", 1), names)
    assert same_weights(first.network, again.network)
    assert (again.test_score, again.command) == (first.test_score, first.command)


def test_a_result_knows_its_test_part_until_it_is_copied(arrays: Arrays, tmp_path: Path) -> None:
    call = partial(lm.auto, arrays, flops=FLOPS, space=SMALL, output=tmp_path / "out", progress=False)
    (found, again), test = (call(), call()), read_given(arrays).test
    for one in (found, again):
        assert one.test is not None
        assert torch.equal(one.test.inputs, test.inputs)
        assert "Split" not in repr(one)
    copied = pickle.loads(pickle.dumps(found))
    assert same_weights(copied.network, found.network)
    assert copied.test_score == found.test_score


def test_linear_models_alone_are_trained_if_these_alone_are_within_the_limits(
    images: Path, plain_linear_models: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(limit: float) -> lm.SearchResult:
        return lm.auto(images, flops=2e7, max_parameters=limit, output=tmp_path / "model")

    with pytest.raises(ValueError, match=r"No network of GridSpace .* the nearest has ") as refused:
        call(10)
    smallest, linear = (int(told.replace(",", "")) for told in re.findall(r"has ([\d,]+) param", str(refused.value)))
    assert linear < smallest
    assert str(refused.value).endswith(
        f"the nearest has {linear:,} parameters. Raise max_parameters at least to that of the linear model."
    )
    result = call(linear)
    assert (result.space, result.parameters, result.ensemble) == ("PlainPixelSpace", linear, 1)
    assert "Linear models are, so they alone are trained." in capsys.readouterr().err
    again = call(linear)
    assert again.to_plain() == result.to_plain()
    assert "already finished" in capsys.readouterr().err


def test_a_winner_that_turns_out_too_slow_is_not_taken(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = lm.auto(arrays, flops=(4e6, 1e6), space=space, progress=False)
    checked: list[lm.Architecture] = []

    def check(self: object, architecture: lm.Architecture) -> str | None:
        checked.append(architecture)
        return "it takes 9 ms" if architecture == plain.architecture else None

    monkeypatch.setattr(LimitedSpace, "check", check)
    other = lm.auto(arrays, flops=(4e6, 1e6), space=space, progress=False)
    assert checked[0] == plain.architecture != other.architecture
    monkeypatch.setattr(LimitedSpace, "check", lambda self, architecture: "it takes 9 ms")
    with pytest.raises(ValueError, match=r"all that was searched is slower now \(it takes 9 ms\)"):
        lm.auto(arrays, flops=(4e6, 1e6), space=space, progress=False)


def test_the_folder_has_all_and_a_finished_search_is_not_done_again(
    images: Path, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    call = partial(lm.auto, images, flops=FLOPS_OF_IMAGES, space=space, output=folder, progress=False)
    result = call()
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {
        "model.pt2", "weights.pt", "model.json", "auto.json", "results.json", "architectures.json", "records.jsonl",
        "predictions.json", "predictions.csv", "errors.json", "report", "predict.py", "README.md",
    }  # fmt: skip
    assert "The search tried " in (folder / "report" / "report.md").read_text()
    assert (folder / "report" / "search.png").is_file()
    assert lm.records.read_results(folder / "results.json")[0].value == result.test_score
    no_search(monkeypatch)
    again = call()
    assert same_weights(result.network, again.network)
    assert repr(again) == repr(result)
    assert again.to_plain() == result.to_plain()
    for name, told in (("weights.pt", "There is no weights file '.*'"), ("records.jsonl", "There is no file '.*'")):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(ValueError, match=f"{told}.*: delete the folder, or give another 'output'"):
            call()
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=f"{name}' .*: delete the folder, or give another 'output'"):
            call()
        (folder / name).write_bytes(content)
    whole = json.loads((folder / "auto.json").read_text())
    for changed, told in (
        ({"recipe": {**whole["done"]["recipe"], "learning_rate": -1}}, "learning_rate is -1.*; it must be at least 0"),
        ({"rate": 1}, "it is damaged, or of another version"),
        ({"ensemble": 10**9}, "an ensemble of 1000000000 networks"),
    ):
        (folder / "auto.json").write_text(json.dumps({**whole, "done": {**whole["done"], **changed}}))
        with pytest.raises(ValueError, match=f"finished search that cannot be read .*{told}.*: delete the folder"):
            call()


def test_a_folder_in_use_or_of_something_else_is_refused(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path
) -> None:
    write = partial(lm.records.write_record_lines, tmp_path / "others.jsonl")
    write([lm.records.SearchRecord("one")])
    given: dict[str, Any] = {"flops": FLOPS, "space": space, "records": [str(tmp_path / "others.jsonl")]}
    call = partial(lm.auto, arrays, progress=False, **given)
    call(output=tmp_path / "out")
    with pytest.raises(ValueError, match=r"holds the result of other data or settings \(limits\)"):
        call(max_parameters=1000, output=tmp_path / "out")
    write([lm.records.SearchRecord("two")])
    with pytest.raises(ValueError, match=r"holds the result of other data or settings \(records\)"):
        call(output=tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match="holds other files: give an 'output' that is empty or new"):
        call(output=tmp_path / "mine")
    (tmp_path / "out" / "auto.json").write_text("{")
    with pytest.raises(ValueError, match=r"auto.json' .*: delete the folder, or give another 'output'"):
        call(output=tmp_path / "out")
    (tmp_path / "wine.csv").write_text("")
    for output in (tmp_path / "wine.csv", tmp_path / "wine.csv" / "out"):
        with pytest.raises(ValueError, match=r"wine.csv\S*', where a file is: give the path of a folder\."):
            call(output=output)


def test_what_is_refused_leaves_no_trace(arrays: Arrays, images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give two or more classes"):
        lm.auto((arrays[0], ["one"] * 40), flops=FLOPS, output=tmp_path / "new" / "out", progress=False)
    with pytest.raises(ValueError, match="the FLOPs pay for no epoch"):
        lm.auto(arrays, flops=1, output=tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="holds other files"):
        lm.auto(images, flops=FLOPS, output=images, progress=False)
    for output in (images / "model", tmp_path / "new" / ".." / "images" / "dark" / "model"):
        with pytest.raises(
            ValueError, match=r"would lie in the data, '.*images', and may be read .*: give another 'output'"
        ):
            lm.auto(images, flops=FLOPS, output=output, progress=False)
    assert sorted(path.name for path in images.iterdir()) == ["bright", "dark"]


def test_data_that_are_too_few_or_of_another_kind(arrays: Arrays, space: lm.LayeredSpace) -> None:
    X, y = arrays
    with pytest.raises(ValueError, match="The data are of the kind 'images', not 'rows': leave 'kind' out"):
        lm.auto(arrays, kind="rows", flops=1e8, progress=False)
    result = lm.auto((X[:6], y[:6]), flops=(2e5, 2e5), space=space, progress=False)
    assert result.images == (4, 2)
    with pytest.raises(
        ValueError, match=r"has 0 classes of 3 examples or more, too few to learn from: add some of 'bri"
    ):
        lm.auto((X[:4], y[:4]), flops=FLOPS, space=space, progress=False)


def recorded(file: Path, trials: dict[str, list[lm.records.Trial]]) -> list[str]:
    """A file of the searches of other tasks."""
    lm.records.write_record_lines(file, [lm.records.SearchRecord(name, tried) for name, tried in trials.items()])
    return [str(file)]


@pytest.mark.parametrize(("others", "named"), [((0.9, 0.2), 1), ((0.1, 0.9), 2)])
def test_networks_that_did_well_on_other_tasks_are_tried_first_and_never_alone(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, others: tuple[float, float], named: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    two = [space.sample(generator) for _ in range(2)]
    recipes = [{"learning_rate": rate, "weight_decay": 0.1, "label_smoothing": 0.1} for rate in (0.003, 0.03)]
    trials = {
        name: [lm.records.Trial(two[n], scores[n], lm.Cost(flops=7), recipe=recipes[n]) for n in (0, 1)]
        for name, scores in (("one", (0.8, 0.3)), ("two", others))
    }
    known = recorded(tmp_path / "others.jsonl", trials)
    result = lm.auto(arrays, flops=6e6, space=space, records=known, progress=False)
    found = result.record.trials
    assert [trial.architecture for trial in found[:named]] == two[:named]
    assert [trial.recipe for trial in found[:named]] == [{**one, "augmentation": "none"} for one in recipes[:named]]
    assert len({Query.of(trial.architecture, trial.recipe) for trial in found}) >= 4
    assert result.meta_cost.flops == 14
    assert result.cost.flops + result.training_cost.flops == pytest.approx(6e6, rel=0.2)


def test_a_space_of_ones_own_needs_no_network_of_the_kind(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"depth": "2", "width": "8"}
    monkeypatch.setattr(ImageKind, "first", ({"stem": "patch_4"}, {"width": "16"}, own))
    options = AutoOptions(arrays, flops=6e6, progress=False)
    variants = InputVariants(read_given(arrays), {}, space, options.limits)
    setup = set_up_search(Job(options, kind_named("images"), variants, None, None, began=0.0, read_seconds=0.0))
    assert [query.architecture for query in setup.first] == [complete(space, own)]


@pytest.mark.parametrize(("kind", "judged"), [("images", (0.5, 0.2)), ("rows", (0.0, 0.0))])
def test_a_search_of_images_looks_ahead(
    kind: str, judged: tuple[float, float], arrays: Arrays, space: lm.LayeredSpace
) -> None:
    """Not behind an encoder. Ahead is half of seven tenths of a budget, of which the search has three tenths."""
    options = AutoOptions(arrays, flops=(6e6, 9e9), progress=False)
    variants = InputVariants(read_given(arrays), {}, space, options.limits)
    setup = set_up_search(Job(options, kind_named(kind), variants, None, None, began=0.0, read_seconds=0.0))
    _, searcher = plan_budget(setup)
    assert isinstance(searcher, lm.searchers.EvolvingHalving)
    assert (searcher.power, searcher.head_start) == judged
    assert searcher.ahead == pytest.approx(6e6 * 0.7 / 0.3 / 2)
    variants.encoded = ("frozen",)
    encoded = searcher_of(setup, [4, 2], 7e6)
    assert isinstance(encoded, lm.searchers.EvolvingHalving)
    assert (encoded.power, encoded.head_start) == (0, 0)


@pytest.mark.parametrize("upright", [True, False])
def test_images_are_mirrored_where_that_keeps_their_classes(upright: bool) -> None:
    X = np.random.default_rng(0).random((60, 8, 8), dtype=np.float32) / 2
    y = np.arange(60) % 2
    X[y == 0, :4] += 0.5
    X[y == 1, 4:] += 0.5  # the upper or the lower half is bright
    if upright:
        X = X.transpose(0, 2, 1).copy()  # the left or the right half
    space = lm.LayeredSpace(activations=("ReLU",), dropouts=(0,), depths=(1,), widths=(8,), readouts=("flat",))
    result = lm.auto((X, y), flops=(4e7, 1e7), space=space, records=(), progress=False)
    assert result.val_score > 0.9
    assert result.recipe.mirror is not upright


def test_records_without_augmentation_are_of_trainings_without(
    arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    two = [space.sample(generator) for _ in range(2)]

    def tried(second: dict[str, str]) -> list[lm.records.Trial]:
        told = [{"augmentation": "light"}, second]
        trials = {
            name: [lm.records.Trial(two[n], scores[n], lm.Cost(flops=7), recipe=told[n]) for n in (0, 1)]
            for name, scores in (("one", (0.9, 0.3)), ("two", (0.1, 0.8)))
        }
        known = recorded(tmp_path / "others.jsonl", trials)
        return lm.auto(arrays, flops=6e6, space=space, records=known, progress=False).record.trials

    old, new = tried({}), tried({"augmentation": "none"})
    assert [trial.recipe["augmentation"] for trial in old[:2]] == ["light", "none"]
    queries = [Query.of(trial.architecture, trial.recipe) for trial in old]
    assert queries == [Query.of(trial.architecture, trial.recipe) for trial in new]
    assert len(set(queries[:4])) == 4  # the first rung; the others are trained on
