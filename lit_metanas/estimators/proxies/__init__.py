"""Zero-cost proxies."""

from lit_metanas.estimators.proxies.proxy_scores import ProxyEstimator
from lit_metanas.estimators.proxies.zero_cost import (
    FlopCount,
    GradNorm,
    Jacov,
    L2Norm,
    Nwot,
    ParameterCount,
    Proxy,
    Snip,
    Synflow,
)

__all__ = [
    "FlopCount",
    "GradNorm",
    "Jacov",
    "L2Norm",
    "Nwot",
    "ParameterCount",
    "Proxy",
    "ProxyEstimator",
    "Snip",
    "Synflow",
]
