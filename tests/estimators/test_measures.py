"""What is known of an architecture without training."""

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from lit_metanas.estimators.estimator import latency, network_measures
from lit_metanas.spaces import LayeredSpace

SPACE = LayeredSpace(kernels=(1, 7), activations=("ReLU",), depths=(1, 3), widths=(2, 32))
SHAPE = (1, 28, 28)


def architecture(depth, kernel, width):
    labels = {choice.name: choice.labels[0] for choice in SPACE.choices}
    labels |= {name: kernel for name in labels if name.endswith("kernel")}
    labels |= {name: width for name in labels if name.endswith("width")}
    return SPACE.canonical({**labels, "depth": depth})


class Clock:
    """Stands still but for what is added to ``now``."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("lit_metanas.estimators.estimator.perf_counter", lambda: self.now)


def test_measures_are_those_of_the_child(monkeypatch):
    measures = network_measures(SPACE, SHAPE, 5, torch.device("cpu"))
    small, large = architecture("1", "1", "2"), architecture("3", "7", "32")
    for own in (small, large):
        child = SPACE.child(own, SHAPE, 5)
        assert measures["parameters"](own) == sum(p.numel() for p in child.parameters() if p.requires_grad)
        assert measures["flops"](own) == SPACE.cost(own, SHAPE, 5).flops
    assert measures["latency"](small) > 0
    clock = Clock(monkeypatch)  # counts the multiply-adds of convolutions

    def count(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            clock.now += output.numel() * module.weight[0].numel()

    with register_module_forward_hook(count):
        assert 0 < measures["latency"](small) < measures["latency"](large) < measures["flops"](large)


def test_latency_is_the_median_time_of_one_input_in_evaluation_mode(monkeypatch):
    clock = Clock(monkeypatch)

    class Sleeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, inputs):
            assert inputs.shape == (1, 3, 4, 5)
            assert not self.training
            self.calls += 1
            clock.now += 0.5 if self.calls in (1, 3) else 0.01  # warming up, and one disturbance
            return inputs

    sleeper = Sleeper()
    assert latency(sleeper, (3, 4, 5), repeats=5, warmup=1) == pytest.approx(0.01)
    assert sleeper.calls == 6


def test_latency_waits_for_any_accelerator(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    device = torch.device("meta")  # computes nothing, and is not the CPU
    latency(nn.Conv2d(1, 2, 3, device=device), SHAPE, repeats=5, warmup=1)
    assert waited == [device] * 6
    latency(nn.Conv2d(1, 2, 3), SHAPE, repeats=5, warmup=1)
    assert len(waited) == 6
