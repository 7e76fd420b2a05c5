"""Zero-cost proxies."""

from lit_metanas.estimators.proxies.proxy_scores import ProxyEstimator
from lit_metanas.estimators.proxies.zero_cost import ParameterCount, Proxy, Synflow

__all__ = ["ParameterCount", "Proxy", "ProxyEstimator", "Synflow"]
