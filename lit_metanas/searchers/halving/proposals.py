"""First queries of a search from the records of others: pairs of an architecture and a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite, log10

import torch
from torch import Tensor

from lit_metanas.estimators.estimator import Query
from lit_metanas.records.record import PREPROCESSING, SearchRecord, Trial
from lit_metanas.records.statistics import rank_gaussian
from lit_metanas.searchers.samplers.portfolio_sampler import SourceScores
from lit_metanas.spaces import Architecture, ChoiceSpace, OneHotEncoding
from lit_metanas.surrogates.gaussian_process import GaussianProcess, GroupedKernel, fit_parameters

NEAR = 0.3
"""Trainings are compared if their FLOPs differ by at most this much in the logarithm to base 10, a factor of two."""


def promising(records: Sequence[SearchRecord], space: ChoiceSpace, flops: float) -> list[Query]:
    """The recorded pairs with the best expected score after a training of ``flops``, best first."""
    # A Gaussian process learns from one-hot labels and values and from the logarithm of the FLOPs, so that short and
    # long trainings inform each other (as in freeze-thaw, Swersky et al. 2014). Scores become normal quantiles of their
    # ranks among similar trainings of one record, because sources differ in the level of their scores.
    trials, values = _ranked(records, space)
    if not trials:
        return []
    queries = [Query.of(trial.architecture, trial.recipe) for trial in trials]
    budgets = torch.tensor([log10(trial.trained) for trial in trials], dtype=torch.float64)
    features, widths = _features(queries, space)
    distinct = list(dict.fromkeys(queries))
    if len(values.unique()) > 1:
        places = torch.tensor([queries.index(query) for query in distinct])
        wanted = torch.cat([features[places], torch.full((len(distinct), 1), log10(flops)).double()], dim=1)
        known = torch.cat([features, budgets[:, None]], dim=1)
        order = _predict(known, (*widths, 1), values, wanted).argsort(descending=True, stable=True).tolist()
        distinct = [distinct[place] for place in order]
    return distinct


def covering(records: Sequence[SearchRecord], space: ChoiceSpace, number: int, least: float = 0.0) -> list[Query]:
    """At most ``number`` recorded pairs that cover the tasks of the records: see ``SourceScores.cover``."""
    return SourceScores(fitting(records, space), space).cover(number, least)


def fitting(records: Sequence[SearchRecord], space: ChoiceSpace) -> list[SearchRecord]:
    """The records' trials that a space can build, without their preprocessing, which fits only their own data."""
    found = []
    for record in records:
        known = [own for trial in record.trials if (own := _known(trial, record.space, space)) is not None]
        if known:
            found.append(replace(record, space=space.name, trials=known))
    return found


def expected_heights(
    records: Sequence[SearchRecord], space: ChoiceSpace, architectures: Sequence[Architecture]
) -> list[tuple[Query, float]]:
    """The expected score of each architecture on a new task, with its best recorded recipe; empty if unknown."""
    # A Gaussian process learns the mean heights of the recorded pairs over the tasks from one-hot labels and values.
    source = SourceScores(records, space)
    means = source.scores.nanmean(0)
    if len(means.unique()) < 2 or not architectures:
        return []
    recipes = list(dict.fromkeys(member.recipe for member in source.members))
    wanted = [Query(architecture, recipe) for architecture in architectures for recipe in recipes]
    features, widths = _features([*source.members, *wanted], space)
    known, others = features[: len(means)], features[len(means) :]
    values = (means - means.mean()) / means.std()
    best = _predict(known, widths, values, others).view(len(architectures), len(recipes)).max(1)
    chosen = zip(architectures, best.indices.tolist(), best.values.tolist(), strict=True)
    return [(Query(architecture, recipes[place]), value) for architecture, place, value in chosen]


def _predict(known: Tensor, widths: Sequence[int], values: Tensor, wanted: Tensor) -> Tensor:
    """The scores of wanted features ``(m, d)`` by a Gaussian process on those of known ones."""
    kernel = GroupedKernel.of(known, widths)
    process = GaussianProcess(kernel, fit_parameters(kernel, known, values, kernel.prior), known, values)
    return process(wanted).mean


def _ranked(records: Sequence[SearchRecord], space: ChoiceSpace) -> tuple[list[Trial], Tensor]:
    """The usable trials, and the normal quantiles of their ranks, shape ``(n,)``, float64."""
    trials: list[Trial] = []
    values = [torch.zeros(0, dtype=torch.float64)]
    for record in records:
        usable = [t for t in record.trials if t.scored and isfinite(t.value) and 0 < t.trained < inf]
        usable = [trial for trial in usable if space.recorded("", trial.architecture) is not None]
        own = sorted(usable, key=lambda trial: trial.trained)
        while own:
            near = [trial for trial in own if log10(trial.trained) <= log10(own[0].trained) + NEAR]
            own = own[len(near) :]
            if len(near) > 1:
                trials += near
                values.append(rank_gaussian(torch.tensor([trial.value for trial in near], dtype=torch.float64)))
    return trials, torch.cat(values)


def _known(trial: Trial, recorded: str, space: ChoiceSpace) -> Trial | None:
    """A trial of a recorded space without its preprocessing, if the space has its architecture."""
    if (architecture := space.recorded(recorded, trial.architecture)) is None:
        return None
    recipe = {name: value for name, value in trial.recipe.items() if name != PREPROCESSING}
    return replace(trial, architecture=architecture, recipe=recipe)


def _features(queries: Sequence[Query], space: ChoiceSpace) -> tuple[Tensor, tuple[int, ...]]:
    """One-hot labels and values, shape ``(n, d)``, float64, and the widths of the groups, a field of a recipe each."""
    encoding = OneHotEncoding(space)
    parts, widths = [encoding([query.architecture for query in queries])], [*encoding.groups]
    recipes = [dict(query.recipe) for query in queries]
    for name in sorted({name for recipe in recipes for name in recipe}):
        seen = list(dict.fromkeys(recipe.get(name) for recipe in recipes))
        places = torch.tensor([seen.index(recipe.get(name)) for recipe in recipes])
        parts.append(torch.nn.functional.one_hot(places, len(seen)).double())
        widths.append(len(seen))
    return torch.cat(parts, dim=1), tuple(widths)
