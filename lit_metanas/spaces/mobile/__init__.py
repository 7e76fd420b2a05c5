"""Stages of inverted residual blocks."""

from lit_metanas.spaces.mobile.mobile_layout import MobileStage
from lit_metanas.spaces.mobile.mobile_macro import MobileMacro

__all__ = ["MobileMacro", "MobileStage"]
