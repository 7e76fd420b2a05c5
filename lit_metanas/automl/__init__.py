"""One call: data in, a searched and trained network out.

``calls`` holds the calls, and ``options`` what a user may say. ``budget_plan`` has all shares of the budget;
``budget_division`` divides it before the search, and says what is left after it. A call goes through
these modules. Each takes what is known, and adds to it (``Known`` in ``candidates``):

1. read: ``reading.job.open_job`` makes a ``Job`` of the data.
2. plan: ``candidates`` says what the search begins with, ``budget_division`` what each part may spend.
3. search: ``stages.run_search``; ``stages.score_trees`` then scores a rival on rows.
4. compare: ``linear_models`` trains linear models, says what the rest of the budget is, and compares.
5. train and test: ``stages`` (``train_one`` or ``train_front``) with ``last_training``.
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
