"""A ridge on features of many fixed convolutions, after MiniRocket and MultiRocket (Dempster 2021, Tan 2022).

Differs from MultiRocket in that 8 biases of each kernel and dilation are quantiles over all examples, and in that a
feature is the share of positive values or their mean, without where and how long these are.
"""

from itertools import combinations

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import conv1d

BIASES, LENGTH = 8, 9
"""Biases of each kernel and dilation; numbers of a kernel."""


def kernels():
    """All 84 kernels of nine numbers that are -1, but for three that are 2."""
    found = torch.full((84, 1, LENGTH), -1.0)
    for kernel, places in zip(found, combinations(range(LENGTH), 3), strict=True):
        kernel[0, list(places)] = 2.0
    return found


def features(learned, tested, seed):
    """Features of series ``(n, channels, steps)``, by biases of those to learn from; each kernel sums some channels."""
    generator = torch.Generator().manual_seed(seed)
    found = [[], []]
    for changes in (0, 1):
        parts = [part.diff(n=changes, dim=2) for part in (learned, tested)]
        channels, steps = parts[0].shape[1:]
        longest = max(0, int(np.log2(max(1, (steps - 1) / (LENGTH - 1)))))
        for dilation in {2**power for power in range(longest + 1)}:
            chosen = torch.rand(84, channels, 1, generator=generator) < 0.5
            chosen[torch.arange(84), torch.randint(channels, (84,), generator=generator)] = True
            weights, reach = kernels() * chosen, (LENGTH - 1) * dilation // 2
            answers = [conv1d(part, weights, padding=reach, dilation=dilation) for part in parts]
            some = answers[0].transpose(0, 1).flatten(1)
            some = some[:, torch.randint(some.shape[1], (20_000,), generator=generator)]
            for bias in some.quantile((torch.arange(BIASES) + 0.5) / BIASES, dim=1)[..., None]:
                for own, answer in zip(found, answers, strict=True):
                    above = (answer - bias).clamp(min=0)
                    share = (above > 0).float().mean(2)
                    own += [share, above.mean(2) / share.clamp(min=1e-6)]
    return [torch.cat(own, 1).numpy() for own in found]


def run(train, test, seconds, seed, model="Rocket ridge"):
    """The accuracy on ``test``; it takes seconds. Series are ``(n, channels, steps)``."""
    learned, tested = features(train[0], test[0], seed)
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    return ridge.fit(learned, train[1]).score(tested, test[1])


MODELS = {"Rocket ridge": run}
