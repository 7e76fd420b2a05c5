"""The seconds of a training step: each kind of work, times its rate on a machine.

Rates are fitted to measured steps by non-negative least squares of relative errors. Justus et al. (2018) predict the
times of layers by a neural network; sums of work that have a meaning need fewer measurements.

1. Justus, Brennan, Bonner, McGough. Predicting the computational cost of deep learning models. IEEE Big Data 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.yaml_files import parse_yaml
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.training.precision import FLOAT32
from lit_metanas.training.step_time.recorded_work import step_work


@cache
def nominal_rates(precision: str = FLOAT32) -> Mapping[str, float]:
    """The seconds of one thread of a certain machine for a unit of each kind of work."""
    # Of one machine for all, so that what is decided by them repeats on every machine.
    tables = parse_yaml(files(__package__).joinpath("step_rates.yaml").read_text(encoding="utf-8"))
    if precision not in tables:
        raise ValueError(f"Times of steps are known for {' and '.join(tables)}, and the precision is '{precision}'.")
    rates: Mapping[str, float] = tables[precision]["rates"]
    return rates


def seconds_of(work: Mapping[str, float], rates: Mapping[str, float]) -> float:
    """The predicted seconds for some work; kinds without a rate take none."""
    return sum(amount * rates.get(kind, 0.0) for kind, amount in work.items())


def step_seconds(
    space: SearchSpace,
    architecture: Mapping[str, str],
    shape: Shape,
    way: int,
    *,
    batch_size: int,
    precision: str = FLOAT32,
) -> float:
    """The predicted seconds of a training step of an architecture: forward pass, loss, backward pass, AdamW."""
    work = step_work(space, architecture, shape, way).total(batch_size)
    return seconds_of(work, nominal_rates(precision))
