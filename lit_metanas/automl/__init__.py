"""One call: data in, a searched and trained network out.

``options`` holds what a user may say, ``budget_plan`` all shares of the budget. ``calls.run_auto`` has the data read,
calls ``stages.run_stages``, which goes through the other stages and returns the result, and has it written. The stages
add what they find out to ``Known`` (in ``known``).

1. read: ``job.open_job`` makes a ``Job`` of the data.
2. plan: ``search_setup.set_up_search`` chooses the first networks, ``budget_division.divide`` divides the budget.
3. search: ``stages.run_search``; ``stages.score_trees`` then scores a rival on rows, and
   ``linear_models.train_linear_and_settle`` trains linear models and settles what the rest may spend.
4. compare and train: ``stages.train_one``, with ``linear_models.compare`` and ``last_training``; or
   ``front.train_front``.
5. test: ``stages.collect``.
6. write: ``output``.
"""

from typing import TYPE_CHECKING

from lit_metanas.io.packages import lazy_names

if TYPE_CHECKING:
    from lit_metanas.automl.calls import auto as auto, distil as distil
    from lit_metanas.automl.options import AutoOptions as AutoOptions
    from lit_metanas.automl.scikit.estimators import AutoClassifier as AutoClassifier, AutoRegressor as AutoRegressor

_MODULES = {
    "AutoClassifier": "scikit.estimators",
    "AutoOptions": "options",
    "AutoRegressor": "scikit.estimators",
    "auto": "calls",
    "distil": "calls",
}

__all__ = [*_MODULES]

__getattr__ = lazy_names(__name__, _MODULES)  # the options alone need no torch, the estimators need scikit-learn
