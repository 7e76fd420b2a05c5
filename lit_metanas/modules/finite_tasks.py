"""Tasks whose loss or gradient is not finite are left out of an outer step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lit_metanas.episodes.task import Episode
from lit_metanas.meta import Parameters, TaskNoise
from lit_metanas.meta.task_map import Metrics

Mean = Callable[[Sequence[Episode], Sequence[TaskNoise]], tuple[Parameters, Metrics]]


def mean_of_finite(
    mean: Mean, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics, Tensor]:
    """The mean over a process's tasks, to which the others add nothing.

    Args:
        mean: gives the mean gradient and the metrics of tasks.
        episodes: the tasks, at least one.
        noises: one for each.

    Returns:
        The gradient, a sum divided by the number of all tasks; the metrics of all tasks; and which of them are finite,
        shape ``(tasks,)``: only where some are not does each get a pass of its own.
    """
    gradients, metrics = mean(episodes, noises)
    if _finite(gradients, metrics):
        return gradients, metrics, torch.ones_like(metrics["losses"])
    parts = [mean([episode], [noise]) for episode, noise in zip(episodes, noises, strict=True)]
    finite = [_finite(*part) for part in parts]
    total = gradients.mapped(torch.zeros_like)
    for (own, _), good in zip(parts, finite, strict=True):
        total = total.mapped(torch.add, own) if good else total
    rows = [own for _, own in parts]
    joined = {k: torch.cat([row[k] for row in rows]) for k, value in metrics.items() if value.dim()}
    metrics = {**metrics, **joined}
    return total.mapped(lambda value: value / len(parts)), metrics, metrics["losses"].new_tensor(finite)


def rescaled(gradients: Parameters, metrics: Metrics, good: Tensor) -> tuple[Parameters, Metrics]:
    """The mean over the finite tasks, of which there is at least one, and their metrics.

    Args:
        gradients: sum over finite tasks, divided by the number of all.
        metrics: of all tasks.
        good: which are finite, shape ``(tasks,)``.
    """
    if bool(good.all()):
        return gradients, metrics
    scale = len(good) / int(good.sum())
    kept = {name: value[good] for name, value in metrics.items() if value.dim()}
    kept |= {"loss": kept["losses"].mean(), "accuracy": kept["accuracies"].mean()}
    return gradients.mapped(lambda value: value * scale), kept


def identity(episode: Episode, *, seed: int, epoch: int, index: int) -> str:
    """What draws an episode again, in words."""
    return f"Episode '{episode.id}' (seed {seed}, epoch {epoch}, index {index}, classes {', '.join(episode.classes)})"


def _finite(gradients: Parameters, metrics: Metrics) -> bool:
    values = torch.cat([value.reshape(-1) for value in (*gradients.flat().values(), metrics["losses"])])
    return bool(values.isfinite().all())
