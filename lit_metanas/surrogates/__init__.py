"""Surrogates: predict the score of an architecture from earlier searches."""

from lit_metanas.surrogates.gaussian_process import GaussianProcess
from lit_metanas.surrogates.meta_surrogate import MetaSurrogate, RecordDataModule
from lit_metanas.surrogates.transfer import TransferSurrogate

__all__ = ["GaussianProcess", "MetaSurrogate", "RecordDataModule", "TransferSurrogate"]
