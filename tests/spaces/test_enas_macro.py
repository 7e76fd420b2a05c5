"""ENAS's macro space against plain sums over candidates, its children, and hooks' counts."""

import optuna
import pytest
import torch
import torch.nn.functional as F
from space_toys import images as drawn

from lit_metanas.spaces import ENASMacro

SHAPE = (2, 9, 7)


def images(examples, seed=0, dtype=torch.float64):
    return drawn(examples, SHAPE, seed, dtype)


def normalised(x):
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (var + 1e-5).sqrt()


def reference(space, parameters, gates, x):
    """Plain sums over all candidates: gates count by their weights alone."""

    def kernel(key):
        return parameters[f"body.{key}.weight"]

    def operation(label, x, key):
        if label == "avg_pool_3x3":
            ones = F.avg_pool2d(F.pad(torch.ones_like(x), (1, 1, 1, 1)), 3, 1)
            return normalised(F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1) / ones)
        if label == "max_pool_3x3":
            return normalised(F.unfold(F.pad(x, (1,) * 4, value=-1e9), 3).unflatten(1, (-1, 9)).amax(2).view_as(x))
        size = int(label[-1])
        if label.startswith("conv"):
            return normalised(F.conv2d(x.relu(), kernel(f"{key}.1"), padding=size // 2))
        for first in (0, 4):
            x = F.conv2d(x.relu(), kernel(f"{key}.{first + 1}"), padding=size // 2, groups=x.shape[1])
            x = normalised(F.conv2d(x, kernel(f"{key}.{first + 2}")))
        return x

    scale, shift = parameters["body.stem.1.scale"], parameters["body.stem.1.shift"]
    stem = normalised(F.conv2d(x, kernel("stem.0"), padding=1))
    outputs = [stem * scale[:, None, None] + shift[:, None, None]]
    for layer in range(1, space.layers + 1):
        total = 0.0
        for choice in space.choices:
            place, _, what = choice.name.partition(".")
            if place != f"layer{layer}":
                continue
            for label, weight in zip(choice.labels, gates[choice.name].weights, strict=True):
                if what == "operation":
                    total = total + weight * operation(label, outputs[-1], f"layers.{layer - 1}.{label}")
                elif label == "skip_connect":
                    total = total + weight * outputs[int(what.removeprefix("skip"))]
        outputs.append(normalised(total))
        if layer in (space.layers // 3, 2 * space.layers // 3):
            outputs = [F.avg_pool2d(output, 2, ceil_mode=True) for output in outputs]
    return outputs[-1].mean((2, 3))


@pytest.mark.parametrize("kind", ["soft", "hard", "index"])
def test_supernet_is_the_sum_over_candidates(double_supernet, random_gates, kind):
    space = ENASMacro(layers=4, channels=4)
    net, parameters = double_supernet(space, SHAPE)
    gates = random_gates(space, kind, torch.Generator().manual_seed(1))
    inputs = images(5)
    torch.testing.assert_close(net(inputs, gates), reference(space, parameters, gates, inputs), rtol=0, atol=1e-9)


def test_space_of_the_paper():
    space = ENASMacro()
    assert space.size == 6**12 * 2**66
    first = "layer1.operation layer2.operation layer2.skip0 layer3.operation layer3.skip0 layer3.skip1"
    assert [choice.name for choice in space.choices][:6] == first.split()
    trial = optuna.trial.FixedTrial({f"arch.{choice.name}": choice.labels[-1] for choice in space.choices})
    architecture = space.suggest(trial)
    assert len(architecture) == 12 + 66
    assert space.violation(architecture) is None
    assert space.canonical(architecture) == architecture
