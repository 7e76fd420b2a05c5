"""Samplers that know a space, in studies whose parameters have other names and kinds; and records of such studies."""

from itertools import product

import pytest
import torch
from letters import optimized
from meta_toys import make_trainer
from optuna.samplers import RandomSampler

from lit_metanas.searchers import MetaSampler, QuerySearcher, RegularisedEvolution, record_of
from lit_metanas.spaces import Choice, ChoiceSpace, LayeredSpace, OneHotEncoding
from lit_metanas.surrogates import MetaSurrogate, RecordDataModule
from lit_metanas.surrogates.meta_surrogate import SURROGATE_KEY, surrogate_entry

pytestmark = pytest.mark.usefixtures("quiet_optuna")


class Blocks(ChoiceSpace):
    """Labels that are integers, floats and booleans, and a choice that matters in deep networks alone."""

    choices = (
        Choice("depth", (1, 2, 3, 4)),
        Choice("width", (16, 32, 64)),
        Choice("rate", (0.0, 0.1, 0.2)),
        Choice("bias", (False, True)),
        Choice("skip", ("none", "add"), active_if=(("depth", frozenset({3, 4})),)),
    )


SPACE = Blocks()
NAMES = [choice.name for choice in SPACE.choices]


def value(architecture, task=0.0):
    labels = {name: architecture.get(name, "none") for name in NAMES}
    score = (int(labels["depth"]) - 3 - task) ** 2 + abs(int(labels["width"]) - 32) / 16 + 10 * float(labels["rate"])
    return -score + (labels["bias"] == "True") + 0.5 * (labels["skip"] == "add")


def asked(trial, prefix="", *, conditional=True):
    """What a user's own code asks: a number is asked for as a number."""
    parameters = {
        "depth": trial.suggest_int(f"{prefix}depth", 1, 4),
        "width": trial.suggest_categorical(f"{prefix}width", [16, 32, 64]),
        "rate": trial.suggest_float(f"{prefix}rate", 0.0, 0.2, step=0.1),
        "bias": trial.suggest_categorical(f"{prefix}bias", [True, False]),
    }
    if parameters["depth"] > 2 or not conditional:
        parameters["skip"] = trial.suggest_categorical(f"{prefix}skip", ["none", "add"])
    return SPACE.from_parameters(parameters, prefix="")


def tried(study, prefix=""):
    return [SPACE.from_parameters(trial.params, prefix) for trial in study.trials]


SAMPLERS = {
    "meta": lambda **options: MetaSampler(space=SPACE, seed=0, **options),
    "evolution": lambda **options: RegularisedEvolution(population=6, sample=3, space=SPACE, seed=0, **options),
}
every_sampler = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)


@every_sampler
def test_a_study_of_numbers_is_searched_as_one_of_labels(make):
    prefix = "net."
    ours = optimized(make(), 30, lambda trial: value(SPACE.suggest(trial)))
    theirs = optimized(make(prefix=prefix), 30, lambda trial: value(asked(trial, prefix, conditional=False)))
    assert tried(theirs, prefix) == tried(ours, "arch.")
    assert {type(trial.params[f"{prefix}depth"]) for trial in theirs.trials} == {int}


@every_sampler
def test_labels_that_a_study_does_not_have_are_not_proposed(make):
    def narrow(trial):
        labels = {
            "depth": trial.suggest_int("depth", 1, 9, step=2),
            "width": trial.suggest_int("width", 16, 40, log=True),
            "rate": trial.suggest_float("rate", 0.05, 0.5),
            "bias": trial.suggest_categorical("bias", ["True"]),
            "skip": trial.suggest_categorical("skip", ["add", "concatenate"]),
        }
        return sum(map(float, (labels["depth"], labels["width"], labels["rate"])))

    study = optimized(make(prefix=""), 8, narrow)
    possible = {SPACE.canonical(dict(zip(NAMES, labels, strict=True)))
                for labels in product((1, 3), (16, 32), (0.1, 0.2), (True,), ("add",))}  # fmt: skip
    assert set(tried(study)) <= possible
    assert len(set(tried(study)[1:])) >= len(possible) - 1


class Optimizers(ChoiceSpace):
    """A label is misspelt."""

    choices = (Choice("opt", ("adam", "sgd", "rmspropp")), Choice("depth", (1, 2)))


def misspelt(trial):
    optimizer = trial.suggest_categorical("opt", ["adam", "sgd", "rmsprop"])
    return trial.suggest_int("depth", 1, 2) + trial.suggest_float("lr", 1e-4, 1e-1, log=True) + (optimizer == "rmsprop")


def test_trials_with_a_label_that_the_space_lacks_are_left_out_with_a_warning():
    study = optimized(RandomSampler(seed=0), 30, misspelt, study_name="mine")
    lost = sum(trial.params["opt"] == "rmsprop" for trial in study.trials)
    with pytest.warns(UserWarning, match=rf"leaves out {lost} of 30 trials of the study 'mine': 'opt' is 'rms"):
        record = record_of(study, Optimizers(), prefix="")
    assert 0 < lost == 30 - len(record.trials)


@pytest.mark.parametrize(
    ("space", "prefix", "reason"),
    [
        (SPACE, "arch.", r"no trial has an architecture of Blocks\. There is no parameter 'arch\.depth'"),
        (LayeredSpace(), "", "no trial has an architecture of LayeredSpace"),
        (None, "", "give the space of its parameters"),
    ],
    ids=["prefix", "another space", "no space"],
)
def test_a_study_without_an_architecture_is_refused_with_the_reason(space, prefix, reason):
    study = optimized(RandomSampler(seed=0), 2, lambda trial: value(asked(trial, conditional=False)), study_name="a2")
    with pytest.raises(ValueError, match=f"The study 'a2' cannot be read: {reason}"):
        record_of(study, space, prefix=prefix)


def studies(tasks=(0.0, 0.5, 1.0), searches=2):
    return {
        (task, seed): optimized(RandomSampler(seed=seed), 20, lambda trial, task=task: value(asked(trial), task),
                                study_name=f"{task}, {seed}")
        for task in tasks for seed in range(searches)
    }  # fmt: skip


def learned(records):
    model = MetaSurrogate(encoding=OneHotEncoding(SPACE))
    make_trainer(limit_val_batches=0).fit(model, RecordDataModule(encoding=model.encoding, records=records))
    return model


def test_searches_of_one_task_are_one_source_and_tasks_are_several():
    found = studies()
    by_task = learned([record_of(study, SPACE, task=f"task {task}", prefix="") for (task, _), study in found.items()])
    assert list(by_task.sources) == ["task 0.0", "task 0.5", "task 1.0"]
    assert min(len(source.features) for source in by_task.sources.values()) > 20
    study = found[0.5, 1]
    study.set_user_attr("task", "task 0.5")
    assert record_of(study, SPACE, prefix="").task_id == "task 0.5"


def test_a_surrogate_in_memory_is_that_of_its_checkpoint(tmp_path):
    model = learned([record_of(study, SPACE, prefix="") for study in studies(searches=1).values()])
    torch.save({SURROGATE_KEY: surrogate_entry(model.encoding, model.surrogate)}, tmp_path / "learned.ckpt")
    options = ({"surrogate": model}, {"checkpoint": str(tmp_path / "learned.ckpt")}, {})
    samplers = [SAMPLERS["meta"](prefix="", **given) for given in options]
    found = [tried(optimized(sampler, 12, lambda trial: value(asked(trial)))) for sampler in samplers]
    assert found[0] == found[1] != found[2]
    assert samplers[0].meta_cost.queries == 60
    for given in ({"encoding": model.encoding}, {"checkpoint": str(tmp_path / "learned.ckpt")}):
        with pytest.raises(ValueError, match="needs nothing else; leave out checkpoint and encoding"):
            SAMPLERS["meta"](surrogate=model, **given)
    with pytest.raises(ValueError, match="surrogate is of another space than LayeredSpace"):
        MetaSampler(space=LayeredSpace(), surrogate=model)


def test_a_missing_checkpoint_is_noticed_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        SAMPLERS["meta"](checkpoint=str(tmp_path / "absent.ckpt"))


@every_sampler
def test_a_search_of_ours_has_one_prefix(make):
    with pytest.raises(ValueError, match=r"has the prefix 'net\.', which is for studies of your own: leave it out"):
        QuerySearcher(sampler=make(prefix="net.")).sampler.check(SPACE)
