"""Processes that differ are stopped, with the name of the tensor and the process."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule
from meta_toys import fit, make_model
from ranks import run_ranks
from torch import nn

from lit_metanas.callbacks import ReplicaCheck
from lit_metanas.callbacks.replica_check import checksums, difference, rank_state

SCRIPT = Path(__file__).with_name("toys") / "spoiled_ranks.py"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.bool])
def test_every_change_of_an_element_changes_the_checksum(dtype):
    value = torch.rand(7, 5, generator=torch.Generator().manual_seed(0)).mul(2).to(dtype)
    state = {"": value}
    for place in range(value.numel()):
        other = value.clone()
        other.view(-1)[place] = ~other.view(-1)[place] if dtype == torch.bool else other.view(-1)[place] + 1
        state[f"{place}"] = other
    assert len(set(checksums(state).values())) == 36


def test_the_checksum_is_of_bits_in_their_places():
    value = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    state = {"": value, "T": value.T, "laid out": value.T.contiguous(), "nan": torch.tensor(math.nan)}
    found = checksums(state | {"same": value.clone(), "0": torch.tensor(0.0), "-0": torch.tensor(-0.0)})
    assert found[""] == found["same"] != found["T"] == found["laid out"]
    assert found["0"] != found["-0"]
    assert found["nan"] == checksums({"nan": torch.tensor(math.nan)})["nan"]


def test_what_is_compared():
    model = make_model()
    trainer, _ = fit(model)
    names = list(rank_state(trainer, model))
    assert len(names) == len(set(names))
    parameters = [name for name, _ in model.named_parameters()]
    assert names[: len(parameters)] == parameters
    expected = ["logits.pruned", "outer_steps", "spent", "chosen architecture", "learning rates of optimizer 1"]
    assert set(expected) < set(names)
    for key in ("exp_avg", "exp_avg_sq", "step"):
        assert {f"{key} of {name}" for name in parameters} < set(names)
    assert sum(name.startswith("sampled child, ") for name in names) == len(model.space.choices)


def test_batch_norm_statistics_are_each_processes_own():
    class Module(LightningModule):
        def __init__(self):
            super().__init__()
            self.network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
            self.register_buffer("own", torch.zeros(1))

    names = list(rank_state(SimpleNamespace(optimizers=[]), Module()))
    assert names == ["network.0.weight", "network.0.bias", "network.1.weight", "network.1.bias", "own"]


def test_the_process_that_differs_from_most_is_named():
    same, other = {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "c": 7}
    for states, told in (
        ([same, same, other], "process 2 has a different 'b' from the others, and 1 other difference:"),
        ([other, same, same], "process 0 has a different 'b' from the others"),
        ([same, {**same, "c": 4}], "process 1 has a different 'c' from the other: the training"),
        ([same, {**same, "c": 4}, {**same, "c": 5}, same], "processes 1, 2 have a different 'c'"),
        ([same, {"a": 1, "b": 2}], "process 1 has a different 'c'"),
    ):
        assert difference(states).startswith(told)


def test_one_process_has_nothing_to_compare(monkeypatch):
    monkeypatch.setattr("lit_metanas.callbacks.replica_check.rank_state", None)
    fit(make_model(), callbacks=[ReplicaCheck(every_n_steps=1)])
    with pytest.raises(ValueError, match="every_n_steps is 0; give at least 1"):
        ReplicaCheck(every_n_steps=0)


@pytest.mark.slow
def test_a_spoiled_tensor_is_named_on_both_processes(tmp_path):
    first, second = run_ranks(SCRIPT, tmp_path, "", 2, seconds=900)
    assert first == second
    assert first["before"] == ""
    weight = next(name for name, _ in make_model().named_parameters() if name.startswith("supernet."))
    names = {
        "weight": weight,
        "logits": "logits.values",
        "buffer": "logits.pruned",
        "average": f"exp_avg of {weight}",
        "step": "step of logits.values",
        "rate": "learning rates of optimizer 0",
        "lacking": f"exp_avg of {weight}",
        "child": "sampled child, ",
    }
    for way, name in names.items():
        assert f"process 1 has a different '{name}" in first[way], way
    # Spoiled in step 5, compared after steps 1, 4 and 7.
    told = f"After 7 training steps process 1 has a different '{weight}' from the other: the "
    assert first["stopped"].startswith(told)
