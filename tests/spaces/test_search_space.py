"""What every search space can do: canonical architectures, sampling, Optuna."""

from collections import Counter

import optuna
import pytest
import torch

from lit_metanas.spaces import Architecture, Choice, LayeredSpace, NASBench101


@pytest.fixture
def space():
    return LayeredSpace(depths=(1, 2), widths=(4, 8), kernels=(3, 5), activations=("ReLU",), dropouts=(0.0, 0.2))


def every_label(space, place=0):
    return {choice.name: choice.labels[place] for choice in space.choices}


def test_canonical_drops_inactive_choices(space):
    shallow = every_label(space)
    assert shallow["depth"] == "1"
    canonical = space.canonical(shallow)
    assert isinstance(canonical, Architecture)
    assert set(canonical) == {"depth", *(f"layer1.{group}" for group in space.layout.questions)}
    other = {**shallow, "layer2.kernel": "5", "layer2.width": "8"}
    assert space.canonical(other) == canonical
    assert space.canonical({**other, "depth": "2"}) != space.canonical({**shallow, "depth": "2"})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"layer9.kernel": "3"}, "Unknown choice 'layer9.kernel': LayeredSpace has 'layer"),
        ({"layer1.kernel": "4"}, "Choice 'layer1.kernel' has no label '4': use 3, 5."),
        ({"layer1.kernel": None}, "Choice 'layer1.kernel' is missing: use one of 3, 5."),
    ],
)
def test_canonical_names_the_culprit(space, change, text):
    labels = {name: label for name, label in {**every_label(space), **change}.items() if label is not None}
    with pytest.raises(ValueError) as caught:
        space.canonical(labels)
    assert text in str(caught.value)


def test_derive_takes_the_largest_logits(space):
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        logits = {choice.name: torch.randn(len(choice.labels), generator=generator) for choice in space.choices}
        architecture = space.derive(logits)
        for choice in space.choices:
            if choice.active(architecture):
                best = max(range(len(choice.labels)), key=lambda i: float(logits[choice.name][i]))
                assert architecture[choice.name] == choice.labels[best]
            else:
                assert choice.name not in architecture


def test_sample_is_uniform_over_labels_and_reproducible(space):
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return [space.sample(generator) for _ in range(2000)]

    first = draw(3)
    assert first == draw(3)
    assert first != draw(4)
    # Three standard deviations of a share are 3 * sqrt(0.25 / n).
    counts = Counter(architecture["layer1.kernel"] for architecture in first)
    assert counts["3"] / 2000 == pytest.approx(0.5, abs=0.034)
    deep = [architecture for architecture in first if architecture["depth"] == "2"]
    assert len(deep) / 2000 == pytest.approx(0.5, abs=0.034)
    assert sum(architecture["layer2.width"] == "8" for architecture in deep) / len(deep) == pytest.approx(0.5, abs=0.05)


@pytest.fixture(autouse=True)
def _quiet_optuna():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_suggest_asks_for_every_choice_and_drops_inactive_ones(space):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        architecture = space.suggest(trial)
        assert list(trial.params) == [f"arch.{choice.name}" for choice in space.choices]
        assert trial.distributions == space.distributions()
        assert architecture == space.canonical(architecture)
        assert ("layer2.kernel" in architecture) == (architecture["depth"] == "2")
        assert all(trial.params[f"arch.{name}"] == label for name, label in architecture.items())
        seen.add(architecture["depth"])
        study.tell(trial, 0.0)
    assert seen == {"1", "2"}


def test_what_hangs_on_an_inactive_choice_is_inactive(space):
    space.choices = (
        Choice("a", ("1", "2")),
        Choice("b", ("1", "2"), active_if=(("a", frozenset({"1"})),)),
        Choice("c", ("1", "2"), active_if=(("b", frozenset({"1"})),)),
    )
    assert space.canonical({"a": "2", "b": "1", "c": "1"}) == Architecture({"a": "2"})
    assert space.canonical({"a": "1", "b": "2", "c": "1"}) == Architecture({"a": "1", "b": "2"})
    assert len(space.canonical({"a": "1", "b": "1", "c": "1"})) == 3


def test_a_trial_tells_its_architecture(space):
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        architecture = space.sample(generator)
        parameters = {f"net.{name}": label for name, label in architecture.items()}
        assert space.from_parameters({**parameters, "rate": 0.1}, "net.") == architecture
        trial = optuna.trial.FixedTrial({**every_label(space), **architecture})
        assert space.suggest(trial, prefix="") == space.from_parameters(trial.params, prefix="") == architecture
    labels = {f"arch.{name}": label for name, label in every_label(space).items()}
    assert space.from_parameters({**labels, "arch.depth": 1.0}) == space.canonical(every_label(space))
    with pytest.raises(ValueError, match=r"There is no parameter 'arch\.depth' for the choice 'depth', but 'depth'\."):
        space.from_parameters({"depth": 1})
    with pytest.raises(ValueError, match=r"'depth' is 7, which is not a label of the choice: use 1, 2\."):
        space.from_parameters({"depth": 7}, prefix="")
    assert list(space.distributions("net.")) == [f"net.{choice.name}" for choice in space.choices]
    assert space.canonical({**every_label(space), "depth": 1, "layer1.width": 8})["layer1.width"] == "8"


def test_listed_cells_are_within_a_limit() -> None:
    space = NASBench101(vertices=4).limited(lambda found: "pools" if "maxpool3x3" in found.values() else None)
    listed = list(space.architectures())
    assert listed
    assert all(space.violation(one) is None for one in listed)
