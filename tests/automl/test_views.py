"""Preprocessings of the same data, chosen in the same search as architecture and recipe."""

from __future__ import annotations

from functools import partial
from itertools import combinations, count
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import interrupt, paced, same_weights
from PIL import Image
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas.automl import budget_plan, front, last_training
from lit_metanas.automl.budget_plan import divide
from lit_metanas.automl.candidates import Job, begin
from lit_metanas.automl.options import AutoOptions, NetworkLimits
from lit_metanas.automl.output import OutputFolder
from lit_metanas.automl.views import ViewEstimator, Views
from lit_metanas.estimators import training_estimator
from lit_metanas.kinds import kind as data_kinds
from lit_metanas.kinds.given_data import other_ways, read_given
from lit_metanas.kinds.images import image_kind
from lit_metanas.records.record import PREPROCESSING

COLOUR, GREY, HALF, SHARP = "colour 16x16", "grey 16x16", "colour 8x8", "grey 64x64"
SEARCHED: dict[str, Any] = {"flops": (7e8, 2e8), "seed": 0, "records": (), "progress": False}
"""Of boards: some networks at 32x32, then others at 64x64."""

pytestmark = pytest.mark.filterwarnings("ignore:'boards' at 32x32 pixels has equal examples")

STEPS = 6
"""Of a candidate's training."""

Found = tuple[lm.SearchResult, Path]


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are trained for few steps, so that a small budget pays for several."""
    monkeypatch.setattr(budget_plan, "STEPS_OF_A_TRIAL", STEPS)


@pytest.fixture
def coloured() -> tuple[np.ndarray, np.ndarray]:
    """Forty images of 16x16 pixels, of two classes that differ in what is red and what is green alone."""
    generator = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = np.zeros((40, 3, 16, 16), dtype=np.float32)
    noise = generator.random((40, 16, 16)) / 2
    X[np.arange(40), y] = noise / np.array([0.299, 0.587])[y, None, None] * 0.299  # equally bright as grey
    return X, y


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of 64x64 pixels: chess boards of single pixels, or an even grey; at 32x32 all are even."""
    generator, root = np.random.default_rng(0), tmp_path_factory.mktemp("data") / "boards"
    board = 2 * (np.indices((64, 64)).sum(0) % 2) - 1
    for name, contrast in (("board", 100), ("flat", 0)):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(15):
            pixels = 128 + generator.integers(-20, 20) + contrast * board
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def whole(boards: Path, shallow: lm.LayeredSpace, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search of boards, and its folder."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(budget_plan, "STEPS_OF_A_TRIAL", STEPS)
        folder = tmp_path_factory.mktemp("found") / "out"
        return lm.auto(boards, space=shallow, output=folder, **SEARCHED), folder


@pytest.fixture(scope="module")
def shallow() -> lm.LayeredSpace:
    """Small networks that look at neighbours."""
    return lm.LayeredSpace(
        kernels=(3, 5), activations=("ReLU",), dropouts=(0,), depths=(1,), widths=(4, 8), norms=("layer",)
    )


def views_of(data: Any, space: lm.SearchSpace, limits: NetworkLimits | None = None, **more: Any) -> Views:
    """All views of data."""
    given = {"kind": None, "test": None, "group": None, **more}
    task = read_given(data, **given)
    return Views(task, other_ways(data, task, **given), space, limits or NetworkLimits())


def under(views: Views, label: str) -> lm.Task:
    """The task of a view."""
    return views.of({PREPROCESSING: label}).task


def photos(root: Path, side: int, number: int = 6) -> Path:
    """Two classes of images in folders."""
    generator = np.random.default_rng(0)
    for name in ("one", "two"):
        (root / name).mkdir(parents=True)
        for place in range(number):
            pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{place}.png")
    return root


def test_each_view_has_the_same_examples_in_the_same_order(
    coloured: tuple[np.ndarray, np.ndarray], space: lm.LayeredSpace
) -> None:
    X, y = coloured
    numbers = np.arange(40, dtype=np.float32) / 40  # what number an image is, by a colour of all its pixels
    X = np.broadcast_to(numbers[:, None, None, None], X.shape).copy()
    views = views_of((X, y), space)
    assert views.labels == (COLOUR, HALF, GREY)
    shapes = [tuple(under(views, label).shape) for label in views.labels]
    assert shapes == [(3, 16, 16), (3, 8, 8), (1, 16, 16)]
    for label in views.labels[1:]:
        for part in ("train", "val", "test"):
            own, usual = getattr(under(views, label), part), getattr(views.usual.task, part)
            torch.testing.assert_close(own.inputs.mean((1, 2, 3)), usual.inputs.mean((1, 2, 3)))
            assert torch.equal(own.labels, usual.labels)


def test_views_of_paths_are_read_again(tmp_path: Path, space: lm.LayeredSpace) -> None:
    root = photos(tmp_path / "photos", side=64)
    views = views_of(root, space)
    assert views.labels == ("colour 32x32", "colour 64x64", "colour 16x16", "grey 32x32")
    direct = lm.FolderTask(str(root), (3, 64, 64))[0]
    assert torch.equal(under(views, "colour 64x64").test.inputs, direct.test.inputs)
    root = photos(tmp_path / "small", side=20)  # of which no more would be seen at 64x64
    for file in root.glob("*/*.png"):
        Image.open(file).convert("L").convert("RGB" if file.stem == "1" else "L").save(file)
    views = views_of(root, space)
    assert views.labels == ("grey 32x32", "grey 16x16")  # as all files are
    assert torch.equal(views.usual.task.test.inputs, lm.FolderTask(str(root), (1, 32, 32))[0].test.inputs)
    Image.new("RGB", (20, 20), "red").save(root / "two" / "0.png")
    assert views_of(root, space).labels == ("colour 32x32", "colour 16x16", "grey 32x32")


def test_what_is_offered_depends_on_the_kind_of_data(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).lognormal(size=(40, 2))
    table = views_of((rows, np.arange(40) % 2), lm.MLPSpace(shared=True))
    assert table.labels == ("standardised columns", "quantiles of columns", "standardised together")
    scores = under(table, "quantiles of columns").train.inputs
    assert float(scores[:, 0].mean().abs()) < 0.2
    assert scores.abs().max() <= 3
    together = under(table, "standardised together").preprocessing
    assert isinstance(together, lm.kinds.StandardisedColumns)
    assert len(set(together.means)) == len(set(together.deviations)) == 1
    lines = [f"{a},{b},{n % 2},{n // 4}" for n, (a, b) in enumerate(rows)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,label,group", *lines]))
    read = views_of(tmp_path / "rows.csv", lm.MLPSpace(shared=True), group="group")
    assert read.labels == table.labels
    assert torch.equal(under(read, "quantiles of columns").train.labels, read.usual.task.train.labels)
    texts = [f"text {n} " + " ".join(f"w{(n * k) % 9}" for k in range(50)) for n in range(40)]
    said = views_of((texts, [n % 2 for n in range(40)]), lm.SequenceSpace())
    assert said.labels == ("words", "words, first 96 of a text", "characters", "byte pairs")
    assert [under(said, label).shape.steps for label in said.labels] == [32, 96, 128, 48]
    data = TensorDataset(torch.from_numpy(rows), torch.arange(40) % 2)
    listed = views_of(data, lm.MLPSpace(shared=True), group=[*range(20)] * 2)
    assert listed.labels == table.labels
    inputs = [under(listed, label).train.inputs for label in listed.labels]
    assert not any(torch.equal(one, other) for one, other in combinations(inputs, 2))
    task = read_given((rows, np.arange(40) % 2))
    assert other_ways(task, task, kind=None, test=None, group=None) == {}


def test_sounds_have_bands_and_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wave

    words = lm.kinds.SpokenWords()
    for word in (0, 1):
        (tmp_path / f"word{word}").mkdir()
        for number, sound in enumerate(words.sounds("test", word, range(4))):
            with wave.open(str(tmp_path / f"word{word}" / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes((sound * 32767).short().numpy().tobytes())
    views = views_of(tmp_path, lm.SequenceSpace())
    assert views.labels == ("40 bands, 25 ms", "80 bands, 25 ms", "20 bands, 25 ms", "40 bands, 50 ms")
    assert tuple(under(views, "40 bands, 50 ms").shape) == (41, 50)
    monkeypatch.setattr(data_kinds, "MOST_BYTES", 1)  # and so none that takes more than usual
    assert views_of(tmp_path, lm.SequenceSpace()).labels == tuple(one for one in views.labels if "80" not in one)


def test_what_takes_too_much_memory_is_no_choice(
    tmp_path: Path, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos(tmp_path / "photos", side=64)
    texts = [f"text {n} " + "more " * (n % 5) for n in range(40)], [n % 2 for n in range(40)]

    def labels(most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        monkeypatch.setattr(data_kinds, "MOST_BYTES", most)
        return views_of(root, space).labels, views_of(texts, lm.SequenceSpace()).labels

    larger, longest = 12 * 3 * 64 * 64 * 4, 40 * 128 * 8
    whole = labels(max(larger, longest))
    assert "colour 64x64" in whole[0]
    assert "characters" in whole[1]
    assert labels(larger - 1)[0] == tuple(one for one in whole[0] if one != "colour 64x64")
    assert labels(longest - 1)[1] == tuple(one for one in whole[1] if one != "characters")
    assert labels(1)[0] == ("colour 32x32", "colour 16x16", "grey 32x32")


def test_only_the_last_few_views_are_kept(coloured: Any, space: lm.LayeredSpace) -> None:
    X, y = coloured
    task, made = read_given((X, y)), count()
    plain = other_ways((X, y), task, kind=None, test=None, group=None)

    def counted(label: str) -> lm.Task:
        next(made)
        return plain[label]()

    ways = {label: lambda label=label: counted(label) for label in plain}
    views = Views(task, {**ways, "again": ways[GREY], "and again": ways[GREY]}, space, NetworkLimits())
    for label in (COLOUR, GREY, HALF, GREY, HALF, "again", HALF):
        views.of({PREPROCESSING: label})
    assert next(made) == 3  # none of the usual one
    views.of({PREPROCESSING: GREY})
    assert next(made) == 5


def test_costs_measures_and_limits_are_those_of_the_view(coloured: Any, space: lm.LayeredSpace) -> None:
    architecture = space.sample(torch.Generator().manual_seed(0))
    free = views_of(coloured, space)
    plain = {
        label: lm.estimators.TrainingEstimator(under(free, label), space, 0, lm.Recipe(epochs=2))
        for label in free.labels
    }
    estimator = ViewEstimator(free, 0, lm.Recipe(epochs=2))
    for label in free.labels:
        own = estimator.with_recipe({PREPROCESSING: label, "learning_rate": 0.003})
        assert own.settings[PREPROCESSING] == label
        assert own.settings["learning_rate"] == 0.003
        assert own.cost(architecture, 0.5) == plain[label].cost(architecture, 0.5)
        for name in ("parameters", "flops"):
            assert own.measures[name](architecture) == plain[label].measures[name](architecture)
        same = estimator.with_recipe({PREPROCESSING: label})
        assert same(architecture, fidelity=0.5).value == plain[label](architecture, fidelity=0.5).value
    sizes = {label: space.cost(architecture, under(free, label).shape, 2).flops for label in free.labels}
    assert sizes[HALF] < sizes[GREY] < sizes[COLOUR]
    limited = views_of(coloured, space, NetworkLimits(flops=(sizes[HALF] + sizes[GREY]) / 2))
    told = ViewEstimator(limited, 0, lm.Recipe())
    assert told.refusal(architecture, {PREPROCESSING: HALF}) is None
    for recipe in ({PREPROCESSING: GREY}, {PREPROCESSING: COLOUR}, {}):
        assert "multiply-adds, and the limit is" in str(told.refusal(architecture, recipe))
    with pytest.raises(ValueError, match="no preprocessing 'sepia': take one of colour 16x16, colour 8x8, grey"):
        told.with_recipe({PREPROCESSING: "sepia"})


def test_data_that_change_meanwhile_are_refused_once(tmp_path: Path, space: lm.LayeredSpace) -> None:
    root = photos(tmp_path / "photos", side=8)
    views = views_of(root, space)
    (root / "one" / "0.png").unlink()
    estimator = ViewEstimator(views, 0, lm.Recipe())
    architecture = space.sample(torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match=r"'grey 32x32' is left out: The data of 'photos' have changed since"):
        assert estimator.refusal(architecture, {PREPROCESSING: "grey 32x32"}) is not None
    assert "have changed" in str(estimator.refusal(architecture, {PREPROCESSING: "grey 32x32"}))
    assert estimator.refusal(architecture, {}) is None


def labels_of(result: lm.SearchResult) -> list[str]:
    """The preprocessings that a search tried, in turn."""
    return [str(trial.recipe[PREPROCESSING]) for trial in result.record.trials]


def test_detail_that_the_usual_size_loses_is_found_told_and_exported(
    boards: Path, shallow: lm.LayeredSpace, whole: Found
) -> None:
    found, folder = whole
    tried = labels_of(found)
    assert set(tried[:6]) == {"grey 32x32"}  # as the files are
    assert SHARP in tried
    assert (found.view, tuple(found.shape), found.test_accuracy) == (SHARP, (1, 64, 64), 1)
    assert found.flops == shallow.cost(found.architecture, (1, 64, 64), 2).flops
    assert found.val_score == max(t.value for t in found.record.trials if t.recipe[PREPROCESSING] == SHARP) == 1
    assert found.training_cost.flops == found.recipe.epochs * 3 * 24 * found.flops <= 2e8
    files = sorted((boards / "board").glob("*.png"))[:3]
    by_hand = torch.stack([torch.from_numpy(np.array(Image.open(file))) for file in files])
    scores = found.network(by_hand[:, None].float() / 255).softmax(1).detach()
    told = found.predict([str(file) for file in files])
    for row, one in zip(scores, told, strict=True):
        assert one["board"] == pytest.approx(float(row[0]), abs=1e-6)
    exported = lm.load_exported(folder).predict([str(file) for file in files])
    torch.testing.assert_close(exported, scores, atol=1e-5, rtol=0)
    assert f"  preprocessing: {SHARP}\n" in repr(found)
    assert f"- Preprocessing: {SHARP}" in (folder / "README.md").read_text()
    assert f"seed 0, preprocessing: {SHARP}" in (folder / "report" / "report.md").read_text()
    (record,) = lm.records.read_record_lines(folder / "records.jsonl")
    assert [trial.recipe[PREPROCESSING] for trial in record.trials] == tried
    again = lm.auto(boards, space=shallow, output=folder, **SEARCHED)
    assert (again.view, again.val_score, again.test_score) == (SHARP, 1, 1)
    repeated = lm.auto(boards, space=shallow, **{**SEARCHED, "flops": found.budget})
    assert labels_of(repeated) == tried
    for other in (again, repeated):
        assert same_weights(found.network, other.network)


@pytest.mark.parametrize(("module", "at"), [(training_estimator, 9), (last_training, 1)], ids=["search", "training"])
def test_an_interrupted_search_goes_on_with_its_views(
    module: Any,
    at: int,
    boards: Path,
    shallow: lm.LayeredSpace,
    whole: Found,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(OutputFolder, "write", lambda *args, **more: None)
        interrupt(patched, module, at)
        stopped = lm.auto(boards, space=shallow, output=tmp_path / "out", **SEARCHED)
        assert (stopped.stopped, stopped.view, tuple(stopped.shape)) == (True, SHARP, (1, 64, 64))
        goes_on = lm.auto(boards, space=shallow, output=tmp_path / "out", **SEARCHED)
    assert labels_of(goes_on) == labels_of(whole[0])
    assert same_weights(goes_on.network, whole[0].network)


def test_limits_hold_for_the_view_that_is_used(boards: Path, shallow: lm.LayeredSpace) -> None:
    usual = max(shallow.cost(one, (1, 32, 32), 2).flops for one in shallow.architectures())
    found = lm.auto(boards, space=shallow, max_flops=usual, **SEARCHED)
    shapes = {f"grey {side}x{side}": (1, side, side) for side in (16, 32, 64)}
    tried = [(trial.architecture, shapes[str(trial.recipe[PREPROCESSING])]) for trial in found.record.trials]
    assert len({shape for _, shape in tried}) > 1
    assert all(shallow.cost(one, shape, 2).flops <= usual for one, shape in tried)
    assert any(shallow.cost(one, (1, 64, 64), 2).flops > usual for one, _ in tried)


def test_the_networks_of_a_front_have_their_own_views(
    coloured: Any, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "POINTS", 3)
    given: dict[str, Any] = {"space": space, "records": (), "pareto": "flops", "progress": False}
    shapes = {COLOUR: (3, 16, 16), HALF: (3, 8, 8), GREY: (1, 16, 16)}
    found = lm.auto(coloured, flops=(2e7, 2e6), output=tmp_path / "out", **given)
    assert len({one.view for one in found.front}) > 1
    assert [one.flops for one in found.front] == sorted(one.flops for one in found.front)
    for name, one in zip(found.front_names, found.front, strict=True):
        assert tuple(one.shape) == shapes[one.view]
        assert one.flops == space.cost(one.architecture, one.shape, 2).flops
        assert tuple(lm.load_exported(tmp_path / "out" / "front" / name).shape) == shapes[one.view]
        assert f"preprocessing {one.view}" in (tmp_path / "out" / "front" / "front.md").read_text()
    for trial in found.record.trials:
        size = space.cost(trial.architecture, shapes[str(trial.recipe[PREPROCESSING])], 2).flops
        assert trial.measures == {"flops": size}
    again = lm.auto(coloured, flops=(2e7, 2e6), output=tmp_path / "out", **given)
    assert [(one.view, one.test_score) for one in again.front] == [(one.view, one.test_score) for one in found.front]


def test_texts_are_read_in_several_ways_even_where_one_network_is_known(tmp_path: Path) -> None:
    """The classes are told by endings alone, of words that each stand in one text."""
    generator = np.random.default_rng(0)
    stems = ["".join(generator.choice(list("bdfklmnprst"), 5)) for _ in range(80)]
    classes = [n % 2 for n in range(80)]
    texts = [f"a {stem}{('aaa', 'ooo')[label]}" for stem, label in zip(stems, classes, strict=True)]
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(16,), readouts=("max",))
    known = lm.records.Trial(space.sample(torch.Generator().manual_seed(0)), 0.9, lm.Cost(flops=7), recipe={})
    lm.records.write_record_lines(tmp_path / "other.jsonl", [lm.records.SearchRecord("other", [known])])
    call = partial(
        lm.auto, (texts, classes), flops=1e9, space=space, records=[str(tmp_path / "other.jsonl")], progress=False
    )
    found = call()
    assert {"words", "characters"} <= {str(trial.recipe[PREPROCESSING]) for trial in found.record.trials}
    assert found.view == "characters"
    assert found.test_accuracy == 1
    words = space.cost(known.architecture, lm.task_from_texts(texts, classes).shape, 2).flops
    within = call(max_flops=words)
    assert "characters" not in {str(trial.recipe[PREPROCESSING]) for trial in within.record.trials}
    assert within.flops <= words


@pytest.mark.parametrize(("length", "longer"), [(60, False), (100, True)])
def test_of_texts_without_words_more_characters_are_tried_where_there_are_more(length: int, longer: bool) -> None:
    generator = np.random.default_rng(0)
    genes = ["".join(generator.choice(list("acgt"), length)) for _ in range(20)]
    offered = data_kinds.kind_named("texts").preprocessings(lm.task_from_texts(genes, [0, 1] * 10), None)
    assert next(iter(offered)) == "characters"
    assert not any("words" in label for label in offered)
    assert ("characters, first 128 of a text" in offered) == longer


def test_no_network_begins_with_the_vectors_of_other_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, kinds, inherited = lm.estimators.TrainingEstimator.__call__, dict[int, str](), list[tuple[str, str]]()
    kept = []  # so that no other tensor gets the address of one

    def score(self: lm.estimators.TrainingEstimator, architecture: lm.Architecture, **more: Any) -> lm.estimators.Score:
        own, start = self.task.preprocessing.digest, more["start"]
        if start is not None:
            inherited.append((kinds[id(start["body.stem.embedding.weight"])], own))
        found = plain(self, architecture, **more)
        kept.append(found.weights["body.stem.embedding.weight"])
        kinds[id(kept[-1])] = own
        return found

    monkeypatch.setattr(lm.estimators.TrainingEstimator, "__call__", score)
    texts = [f"{verb} the sheet number {n} now" for n in range(20) for verb in ("fold", "cut")]
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(4, 8), dropouts=(0.0,))
    found = lm.auto((texts, [0, 1] * 20), flops=(2.5e7, 1e6), space=space, records=(), progress=False)
    assert len({*labels_of(found)}) > 2
    assert len(inherited) > 2
    assert [pair for pair in inherited if pair[0] != pair[1]] == []


def test_small_budgets_and_tasks_keep_to_one_view(coloured: Any, space: lm.LayeredSpace) -> None:
    few = lm.auto(coloured, flops=(8e6, 1e6), space=space, records=(), progress=False)
    assert 1 <= len(few.record.trials) <= 6
    assert set(labels_of(few)) == {COLOUR}
    task = lm.auto(lm.task_from_arrays(*coloured), flops=(3e7, 1e6), space=space, records=(), progress=False)
    assert task.view == ""
    assert len(task.record.trials) > 6
    assert not any(PREPROCESSING in trial.recipe for trial in task.record.trials)
    assert "preprocessing:" not in repr(task)


def test_minutes_leave_time_for_reading_again(
    coloured: Any, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, 1e6)
    options = AutoOptions(None, minutes=2, progress=False, records=())

    def searched(reading: float, views: Views) -> float:
        job = Job(options, data_kinds.kind_named("images"), views, None, None, perf_counter(), reading)
        begun = begin(job)
        return divide(begun.work, options, begun.rungs).search

    views = views_of(coloured, space)
    one = Views(views.usual.task, {}, space, NetworkLimits())
    assert searched(0.0, views) - searched(5.0, views) == pytest.approx(1e7, rel=0.1)  # of two others
    assert searched(5.0, one) == pytest.approx(searched(0.0, one), rel=0.05)


def test_images_in_memory_are_resized_only_once_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    resized, fit = list[tuple[int, ...]](), image_kind.fit_images

    def noted(images: torch.Tensor, shape: lm.ImageShape) -> torch.Tensor:
        resized.append(tuple(shape))
        return fit(images, shape)

    monkeypatch.setattr(image_kind, "fit_images", noted)
    data = (np.random.default_rng(0).random((20, 3, 32, 32)), [0, 1] * 10)
    ways = other_ways(data, read_given(data), kind=None, test=None, group=None)
    assert not resized
    ways["colour 16x16"]()
    assert set(resized) == {(3, 16, 16)}
