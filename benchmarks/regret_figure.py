"""Regret against the number of trained children, drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from regrets import Regrets

from lit_metanas.io.files import replacing


def draw(found: Mapping[str, Regrets], path: Path) -> None:
    """Two panels, validation and test: means over tasks and seeds, with 95 % bands over seeds."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=False, layout="constrained")
    for axis, signal in zip(axes, ("val", "test"), strict=True):
        for name, regret in found.items():
            values = getattr(regret, signal)
            children = np.arange(1, values.shape[-1] + 1)
            means = values.mean((0, 1))
            # The tasks are the same for all searchers, so that the band is over seeds.
            error = 1.96 * np.sqrt((values.var(1, ddof=1) / values.shape[1]).mean(0) / len(values))
            (line,) = axis.plot(children, means, label=name, linewidth=2 if name == next(iter(found)) else 1.2)
            axis.fill_between(children, np.maximum(means - error, 0), means + error, color=line.get_color(), alpha=0.15)
        axis.set_xlabel("trained children")
        axis.set_title({"val": "validation", "test": "test, chosen by validation"}[signal])
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("regret, points of accuracy")
    axes[1].legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    pyplot.close(figure)
