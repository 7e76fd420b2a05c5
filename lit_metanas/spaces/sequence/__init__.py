"""The search space of networks for series of feature vectors and sequences of tokens."""

from lit_metanas.spaces.sequence.sequence_space import SequenceSpace

__all__ = ["SequenceSpace"]
