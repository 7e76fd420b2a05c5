"""What decides the precision of a training, and what is computed in it."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from sharing_toys import TASK
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.objectives.classification import Classification
from lit_metanas.training import precision
from lit_metanas.training.child import fit_child
from lit_metanas.training.precision import BF16, FLOAT32, by_flags, by_timing, for_network

CPU = torch.device("cpu")
SPACE = lm.LayeredSpace(kernels=(3,), depths=(2,), widths=(8,), dropouts=(0.0,), norms=("batch",), pools=("max",))
LABELS = SPACE.sample(torch.Generator().manual_seed(0))
RECIPE = lm.Recipe(epochs=4, batch_size=8, augmentation="light")


def child(space: lm.SearchSpace = SPACE, recipe: lm.Recipe = RECIPE) -> lm.Child:
    """The same each time."""
    torch.manual_seed(0)
    return lm.Child(space=space, architecture=LABELS, shape=(1, 8, 8), way=3, recipe=recipe)


def weights_of(one: lm.Child) -> Tensor:
    return torch.cat([value.detach().flatten() for value in one.network.parameters()])


def trained(name: str, around: str = FLOAT32) -> lm.Child:
    one = child()
    with precision.autocast(around, CPU):
        fit_child(one, TASK.train, seed=0, precision=name)
    return one


@pytest.fixture
def no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bf16."""
    monkeypatch.setattr(precision, "fast_bf16", lambda device: False)


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with bf16."""
    monkeypatch.setattr(precision, "fast_bf16", lambda device: True)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[str]]:
    """A clock that only trainings move on: by a second in bf16, by so many in float32; what is trained is kept."""

    def made(gain: float) -> list[str]:
        now, done = 0.0, list[str]()

        def train(name: str) -> None:
            nonlocal now
            now += 1.0 if name == BF16 else gain
            done.append(name)

        monkeypatch.setattr(precision, "perf_counter", lambda: now)
        done.append(by_timing([train, train], CPU, seconds=5.0))
        return done

    return made


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize(("gain", "chosen"), [(1.25, BF16), (1.15, FLOAT32)])
def test_bf16_must_be_a_fifth_faster(timed: Callable[[float], list[str]], gain: float, chosen: str) -> None:
    *done, decided = timed(gain)
    assert decided == chosen
    assert done == [FLOAT32, FLOAT32, BF16, BF16] * 2  # a round that does not count, and one after which time is up


@pytest.mark.usefixtures("no_flags")
def test_a_processor_without_bf16_takes_float32_and_times_nothing(timed: Callable[[float], list[str]]) -> None:
    assert timed(10.0) == [FLOAT32]
    assert by_flags("auto", CPU) == FLOAT32
    assert by_flags(BF16, CPU) == BF16  # as it was given
    estimator = lm.estimators.TrainingEstimator(TASK, SPACE, 0, RECIPE, precision="auto")
    assert "precision" not in estimator.settings


@pytest.mark.usefixtures("flags")
def test_scores_name_the_precision_and_follow_it() -> None:
    estimator = partial(lm.estimators.TrainingEstimator, TASK, SPACE, 0, RECIPE)
    plain, flagged, given = (estimator(precision=name) for name in (FLOAT32, "auto", BF16))
    assert "precision" not in plain.settings
    assert flagged.settings["precision"] == given.settings["precision"] == BF16
    first, second, third = (dict(one(LABELS, fidelity=1.0).weights or {}) for one in (plain, flagged, given))
    assert all(torch.equal(tensor, third[name]) for name, tensor in second.items())
    assert any(not torch.equal(tensor, first[name]) for name, tensor in second.items())


def test_passes_are_in_bf16_and_all_else_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    one, seen = child(), dict[str, set[torch.dtype]]()

    def note(name: str, tensor: Tensor) -> None:
        seen.setdefault(name, set()).add(tensor.dtype)

    for name, module in one.network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda module, given, made, name=name: note(f"{name} makes", made))
            module.register_forward_pre_hook(lambda module, given, name=name: note(f"{name} has", module.weight))
    plain = Classification.loss

    def loss(self: Classification, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        note("scores", scores)
        assert not torch.is_autocast_enabled("cpu")
        return plain(self, scores, targets, label_smoothing)

    monkeypatch.setattr(Classification, "loss", loss)
    fit_child(one, TASK.train, seed=0, precision=BF16)
    assert seen.pop("scores") == {torch.float32}
    assert len(seen) == 6  # of two convolutions and a classifier
    for name, types in seen.items():
        assert types == {torch.bfloat16 if name.endswith("makes") else torch.float32}, name
    assert {tensor.dtype for tensor in one.network.state_dict().values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(
    ("side", "kernel", "chosen"), [(1, 3, FLOAT32), (1, 1, BF16), (2, 5, BF16), (2, 7, FLOAT32), (3, 7, BF16)]
)
def test_a_network_whose_weights_meet_only_padding_is_trained_in_float32(side: int, kernel: int, chosen: str) -> None:
    network = nn.Sequential(nn.Conv2d(4, 16, kernel, 2, kernel // 2), nn.BatchNorm2d(16))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    inputs = torch.randn(1, 4, side, side)
    assert for_network(BF16, network, CPU, scores=lambda network: network(inputs)) == chosen
    assert for_network(FLOAT32, network, CPU, scores=lambda network: network(inputs)) == FLOAT32
    assert network.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_network_that_fails_on_an_example_stays_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(4, 16, 3))
    with pytest.raises(RuntimeError, match="expected input"):
        for_network(BF16, network, CPU, scores=lambda network: network(torch.zeros(1, 5, 8, 8)))
    assert network.training


def test_a_training_on_maps_of_one_pixel_is_in_float32() -> None:
    images = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    split = lm.Split(images, torch.arange(2).repeat(8))
    space = lm.GridSpace(stages=(4,), depths=(1,), widths=(16,))
    made = []
    for name in (FLOAT32, BF16):
        torch.manual_seed(0)
        architecture = space.sample(torch.Generator().manual_seed(0))
        one = lm.Child(space=space, architecture=architecture, shape=(3, 4, 4), way=2, recipe=lm.Recipe(epochs=1))
        fit_child(one, split, seed=0, precision=name)
        made.append(weights_of(one))
    assert torch.equal(*made)


@pytest.mark.parametrize("name", [FLOAT32, BF16])
def test_a_training_has_its_own_precision_whatever_its_caller_has(name: str) -> None:
    others = [weights_of(trained(name, around)) for around in (FLOAT32, BF16)]
    assert torch.equal(others[0], others[1])
    other = BF16 if name == FLOAT32 else FLOAT32
    assert not torch.equal(others[0], weights_of(trained(other)))


def test_a_search_names_its_precision() -> None:
    results = {
        name: lm.search(TASK, SPACE, recipe=RECIPE, flops=2e7, precision=name, progress=False)
        for name in (FLOAT32, BF16)
    }
    assert [one.precision for one in results.values()] == [FLOAT32, BF16]
    assert "precision of the trainings: bf16-mixed" in str(results[BF16])
    assert "precision" not in str(results[FLOAT32])
    assert {weights.dtype for weights in results[BF16].network.parameters()} == {torch.float32}
    with pytest.raises(ValueError, match="search: precision is 'half'; give auto, 32-true or bf16-mixed"):
        lm.search(TASK, SPACE, precision="half")
