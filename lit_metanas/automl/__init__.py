"""One call: data in, a searched and trained network out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_metanas.automl.calls import auto as auto
    from lit_metanas.automl.calls import distil as distil
    from lit_metanas.automl.options import AutoOptions as AutoOptions
    from lit_metanas.automl.scikit.auto_classifier import AutoClassifier as AutoClassifier
    from lit_metanas.automl.scikit.auto_regressor import AutoRegressor as AutoRegressor

_MODULES = {
    "AutoClassifier": "scikit.auto_classifier",
    "AutoOptions": "options",
    "AutoRegressor": "scikit.auto_regressor",
    "auto": "calls",
    "distil": "calls",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    """Import what is first asked for: the options alone need no torch, the estimators need scikit-learn."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
