"""Zero-cost proxies."""

from lit_metanas.estimators.proxies.proxy_scores import ProxyEstimator
from lit_metanas.estimators.proxies.zero_cost import Nwot, ParameterCount, Proxy, Snip, Synflow

__all__ = ["Nwot", "ParameterCount", "Proxy", "ProxyEstimator", "Snip", "Synflow"]
