"""Series of numbers, such as those of sensors: how they are read and made inputs, and tasks of them."""

from lit_metanas.kinds.series.scaled_series import ScaledSeries
from lit_metanas.kinds.series.series_tasks import SeriesTask, task_from_series

__all__ = ["ScaledSeries", "SeriesTask", "task_from_series"]
