"""A cost model of time: the seconds of a training step of any architecture."""

from lit_metanas.training.step_time.recorded_work import StepWork, step_work
from lit_metanas.training.step_time.step_rates import StepTimes, nominal_times, step_seconds

__all__ = ["StepTimes", "StepWork", "nominal_times", "step_seconds", "step_work"]
