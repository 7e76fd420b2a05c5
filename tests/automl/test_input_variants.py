"""Preprocessings of the same data, chosen in the same search as architecture and recipe."""

import warnings
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import same_weights, shorten_trials
from PIL import Image

import lit_metanas as lm
from lit_metanas.estimators.input_variants import InputVariants, VariantEstimator
from lit_metanas.estimators.limits import NetworkLimits
from lit_metanas.kinds.given_data import other_ways, read_given
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.records.record import PREPROCESSING

COLOUR, GREY, HALF, SHARP = "colour 16x16", "grey 16x16", "colour 8x8", "grey 64x64"
SEARCHED: dict[str, Any] = {"flops": (7e8, 2e8), "seed": 0, "records": (), "progress": False}
"""Of boards: some networks at 32x32, then others at 64x64."""

pytestmark = pytest.mark.filterwarnings("ignore:'boards' at 32x32 pixels has equal examples")

STEPS = 6
"""Of a candidate's training."""

Found = tuple[lm.SearchResult, Path]


def make_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let candidates be trained for few steps, and begin without augmentation, which would blur single pixels."""
    shorten_trials(monkeypatch, STEPS)
    monkeypatch.setattr(ImageKind, "recipe", {})


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small budget pays for several candidates."""
    make_quick(monkeypatch)


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
        make_quick(patched)
        folder = tmp_path_factory.mktemp("found") / "out"
        return lm.auto(boards, space=shallow, output=folder, **SEARCHED), folder


@pytest.fixture(scope="module")
def shallow() -> lm.LayeredSpace:
    """Small networks that look at neighbours."""
    return lm.LayeredSpace(
        kernels=(3, 5), activations=("ReLU",), dropouts=(0,), depths=(1,), widths=(4, 8), norms=("layer",)
    )


def variants_of(data: Any, space: lm.SearchSpace, limits: NetworkLimits | None = None, **more: Any) -> InputVariants:
    given = {"kind": None, "test": None, "group": None, **more}
    task = read_given(data, **given)
    return InputVariants(task, other_ways(data, task, **given), space, limits or NetworkLimits())


def under(variants: InputVariants, label: str) -> lm.Task:
    return variants.of({PREPROCESSING: label}).task


def test_each_variant_has_the_same_examples_in_the_same_order(
    coloured: tuple[np.ndarray, np.ndarray], space: lm.LayeredSpace
) -> None:
    X, y = coloured
    numbers = np.arange(40, dtype=np.float32) / 40  # what number an image is, by a colour of all its pixels
    X = np.broadcast_to(numbers[:, None, None, None], X.shape).copy()
    variants = variants_of((X, y), space)
    assert variants.labels == (COLOUR, HALF, GREY)
    shapes = [tuple(under(variants, label).shape) for label in variants.labels]
    assert shapes == [(3, 16, 16), (3, 8, 8), (1, 16, 16)]
    for label in variants.labels[1:]:
        for part in ("train", "val", "test"):
            own, usual = getattr(under(variants, label), part), getattr(variants.usual.task, part)
            torch.testing.assert_close(own.inputs.mean((1, 2, 3)), usual.inputs.mean((1, 2, 3)))
            assert torch.equal(own.labels, usual.labels)


def test_only_the_last_few_variants_are_kept(coloured: Any, space: lm.LayeredSpace) -> None:
    X, y = coloured
    task, made = read_given((X, y)), count()
    plain = other_ways((X, y), task, kind=None, test=None, group=None)

    def counted(label: str) -> lm.Task:
        next(made)
        return plain[label]()

    ways = {label: lambda label=label: counted(label) for label in plain}
    variants = InputVariants(task, {**ways, "again": ways[GREY], "and again": ways[GREY]}, space, NetworkLimits())
    for label in (COLOUR, GREY, HALF, GREY, HALF, "again", HALF):
        variants.of({PREPROCESSING: label})
    assert next(made) == 3  # none of the usual one
    variants.of({PREPROCESSING: GREY})
    assert next(made) == 5


def test_costs_measures_and_limits_are_those_of_the_variant(coloured: Any, space: lm.LayeredSpace) -> None:
    architecture = space.sample(torch.Generator().manual_seed(0))
    free = variants_of(coloured, space)
    plain = {
        label: lm.estimators.TrainingEstimator(under(free, label), space, 0, lm.Recipe(epochs=2))
        for label in free.labels
    }
    estimator = VariantEstimator(free, 0, lm.Recipe(epochs=2))
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
    limited = variants_of(coloured, space, NetworkLimits(flops=(sizes[HALF] + sizes[GREY]) / 2))
    told = VariantEstimator(limited, 0, lm.Recipe())
    assert told.refusal(architecture, {PREPROCESSING: HALF}) is None
    for recipe in ({PREPROCESSING: GREY}, {PREPROCESSING: COLOUR}, {}):
        assert "multiply-adds, and the limit is" in str(told.refusal(architecture, recipe))
    with pytest.raises(ValueError, match="no preprocessing 'sepia': take one of colour 16x16, colour 8x8, grey"):
        told.with_recipe({PREPROCESSING: "sepia"})


def test_data_that_change_meanwhile_are_refused_once(images: Path, space: lm.LayeredSpace) -> None:
    variants = variants_of(images, space)
    (images / "dark" / "0.png").unlink()
    estimator = VariantEstimator(variants, 0, lm.Recipe())
    architecture = space.sample(torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match=r"'grey 32x32' is left out: The data of 'images' have changed since"):
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
    assert tried[0] == "grey 32x32"  # as the files are
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
    exported = lm.load(folder).predict([str(file) for file in files])
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
    with warnings.catch_warnings(action="ignore"):  # a class is never predicted
        within = call(max_flops=words)
    assert "characters" not in {str(trial.recipe[PREPROCESSING]) for trial in within.record.trials}
    assert within.flops <= words


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


def test_a_search_begins_with_a_preprocessing_that_has_a_network_within_the_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here the vectors of all words are above the limit, and those of characters are not."""
    words = {"good": "praise", "fine": "praise", "nice": "praise", "bad": "blame", "poor": "blame", "dull": "blame"}
    rows = [f"{word} thing{n} other{n} last{n},{label}" for word, label in words.items() for n in range(100)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]))
    space = lm.SequenceSpace(
        operations=("conv_3",), activations=("ReLU",), dropouts=(0.0,), skips=("none",), depths=(1,), widths=(16,),
        readouts=("max",),
    )  # fmt: skip
    task = read_given(tmp_path / "texts.csv")
    ways = other_ways(tmp_path / "texts.csv", task, kind=None, test=None, group=None)

    def begins_with(most: float) -> str:
        return InputVariants(task, ways, space, NetworkLimits(parameters=most)).fitting().usual.label

    assert [begins_with(most) for most in (1e6, 4_000, 10)] == ["words", "characters", "words"]
    options: dict[str, Any] = {"space": space, "max_parameters": 4_000, "flops": 3e8, "records": (), "workers": 1}
    result = lm.auto(tmp_path / "texts.csv", **options)
    assert "no network for words is within the limits: begins with characters." in capsys.readouterr().err
    assert result.parameters <= 4_000
    assert result.view in ("characters", "byte pairs")
