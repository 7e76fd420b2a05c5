"""The comparison of the choices of ``auto``: what each method may change, its pairs, and its table."""

from functools import partial

import numpy as np
import pytest
import torch

import lit_metanas as lm
from lit_metanas.automl import budget_plan
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.kinds.kind import kind_named
from lit_metanas.records.record import PREPROCESSING


@pytest.fixture
def module(load):
    return load("auto_choices")


@pytest.fixture
def rows():
    """Makes a task of rows."""
    labels = torch.arange(60) % 2
    return partial(lm.task_from_arrays, torch.randn(60, 4) + labels[:, None], labels)


@pytest.fixture
def toy(rows):
    """A task of rows."""
    return rows()


@pytest.fixture
def digits(module, tmp_path):
    """Makes a task of ten words by six speakers, each recording of another length."""
    sounds = [np.random.default_rng(n).integers(-9000, 9000, 800 + 40 * n).astype(np.int16) for n in range(60)]
    np.savez(
        tmp_path / "fsdd_8k_int16.npz",
        audio=np.concatenate(sounds),
        offsets=np.cumsum([0, *map(len, sounds)]),
        label=np.arange(60) % 10,
        speaker=np.arange(60) // 10,
        speaker_names=np.array(["ann", "bob", "cid", "dee", "eve", "fay"]),
    )
    return partial(module.TASKS["spoken digits"].draw, module.Folders(tmp_path, tmp_path))


@pytest.fixture
def sentences(module):
    """Makes a task of texts, long ones."""
    by_class = {verb: [f"{verb} it {n} " + "times " * 30 for n in range(8)] for verb in ("fold", "cut")}

    def draw(preprocessing=module.WORDS):
        return module.text_task("toy/sentences", by_class, preprocessing, (4, 2, 2))

    return draw


def images(module, *shape):
    """A task of images."""
    labels = [label % 2 for label in range(20)]
    return module.task_of("toy/images", torch.rand(20, *shape), labels, module.divide(labels, (4, 2, 4)))


def row(module, method, seed, test, task="digits", **chosen):
    recipe = {"augmentation": "light", **chosen}
    return module.Row(task, method, seed, test, 1, 2, 3, architecture={}, recipe=recipe, seconds=0.0)


def test_a_method_changes_what_it_may_and_nothing_else(module, rows, toy, monkeypatch):
    monkeypatch.setattr(budget_plan, "STEPS_OF_A_TRIAL", 3)  # else so few FLOPs pay for one candidate alone
    found, auto, fixed = [], lm.auto, dict(vars(ImageKind))
    monkeypatch.setattr(lm, "auto", lambda *args, **more: found.append(auto(*args, **more)) or found[-1])
    usual, ways = module.usual_network(toy), module.ways_of(toy, rows)
    assert usual.items() >= kind_named("rows").first[0].items()
    for method, choices in module.METHODS.items():
        made = module.search("table", toy, method, seed=0, epochs=60, ways=ways)
        if method == "no search":
            assert (made.architecture, made.recipe["epochs"], made.search) == (dict(usual), 60, 0)
            whole = made.training
            continue
        spent = made.search + made.training
        if spent < 0.8 * whole:  # only where a small network has had all epochs that it may have
            assert found[-1].recipe.epochs == budget_plan.SHARES.most_trained * budget_plan.SHARES.longest
            assert found[-1].architecture != usual
        else:
            assert spent == pytest.approx(whole, rel=0.2)
        trials = found[-1].record.trials
        assert trials[0].architecture == usual
        changed = [{name: value for name, value in t.recipe.items() if name != PREPROCESSING} for t in trials]
        assert all(set(recipe) == set(choices.recipe) for recipe in changed)
        others = {trial.architecture for trial in trials} - {usual}
        assert choices.architecture or not others
        assert others or method != "architecture"  # so few trials of other methods may all change the recipe
        assert (len({tuple(recipe.items()) for recipe in changed}) > 1) == bool(choices.recipe)
        views = {trial.recipe.get(PREPROCESSING) for trial in trials}
        assert len(views) > 1 if choices.preprocessing else views == {None}
        assert made.recipe.get(PREPROCESSING, "") == found[-1].view
        assert made.recipe.get(PREPROCESSING) in views
    assert fixed == dict(vars(ImageKind))


def test_where_nothing_is_offered_all_is_the_method_before(module, toy, monkeypatch):
    monkeypatch.setattr(budget_plan, "STEPS_OF_A_TRIAL", 3)
    before, last = (module.search("a", toy, method, 0, 30, ways={}) for method in ("both and augmentation", "all"))
    assert (last.test, last.search, last.architecture) == (before.test, before.search, before.architecture)
    assert last.recipe == before.recipe


def test_the_preprocessings_are_those_that_auto_offers(module, rows, toy, digits, sentences):
    photographs, small = images(module, 3, 16, 16), images(module, 1, 8, 8)
    assert [*module.ways_of(photographs, module.photographs)] == ["colour 16x16", "colour 8x8", "grey 16x16"]
    assert module.ways_of(small, module.TASKS["digits"].draw) == {}
    columns = ["pieces of columns", "standardised columns", "quantiles of columns", "standardised together"]
    assert [*module.ways_of(toy, rows)] == columns
    texts, sounds = module.ways_of(sentences(), sentences), module.ways_of(digits(), digits)
    assert {label: made().shape.steps for label, made in texts.items()} == {
        "words": 24,
        "words, first 96 of a text": 96,
        "characters": 128,
        "byte pairs": 48,
    }
    assert {label: tuple(made().shape) for label, made in sounds.items()} == {
        "40 bands, 25 ms": (41, 48),
        "80 bands, 25 ms": (81, 48),
        "20 bands, 25 ms": (21, 48),
        "40 bands, 50 ms": (41, 24),
    }


def test_each_part_has_the_same_examples_under_all_of_them(module, digits):
    usual = digits()
    for made in module.ways_of(usual, digits).values():
        task = made()
        for part, number in (("train", 30), ("val", 10), ("test", 20)):
            own, same = getattr(task, part), getattr(usual, part)
            assert torch.equal(own.labels, same.labels)
            lengths = [one.preprocessing.seconds(split.inputs) for one, split in ((task, own), (usual, same))]
            assert len(set(lengths[1])) >= number / 5
            assert lengths[0] == pytest.approx(lengths[1], abs=0.04)


def test_the_table_compares_equal_seeds(module):
    rows = [row(module, "both", seed, 90.0 + seed) for seed in range(3)]
    rows += [row(module, "both and augmentation", seed, 92.0 + seed) for seed in range(2)]
    rows += [row(module, "all", 0, 93.0, preprocessing="40 bands, 50 ms"), row(module, "all", 1, 94.0)]
    assert module.ahead(rows, "both and augmentation") == (2, 2.0, 2.0, 2.0)
    lines = list(module.table(rows))
    assert lines[0].startswith("digits        both                            91.0 %, 3.0 tried, 3 FLOPs")
    assert lines[1].endswith("FLOPs; augmentation light / light")
    assert lines[2].endswith("; augmentation light / light; preprocessing 40 bands, 50 ms / usual")
    assert lines[3] == "both and augmentation against both: +2.00 points (+2.00 to +2.00), 2 pairs"
    assert lines[4] == "all against both: +3.00 points (+3.00 to +3.00), 2 pairs"


def test_a_stopped_run_goes_on(module, toy, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "TASKS", {"table": module.Setting(lambda folders: toy, 100)})
    monkeypatch.setattr(
        module, "search", lambda name, task, method, seed, epochs, ways: row(module, method, seed, epochs, name)
    )
    file = tmp_path / "rows.jsonl"
    given = ["--data", str(tmp_path), "--tasks", "table", "--results", str(file), "--part", "0.1"]
    module.main([*given, "--seeds", "0"])
    whole = file.read_text()
    file.write_text(whole[:-20])
    module.main([*given, "--seeds", "0", "1"])
    rows = module.read_rows(file, module.Row)
    assert len(rows) == len(set(map(repr, rows))) == 2 * len(module.METHODS)
    assert {row.test for row in rows} == {10}
