"""Frozen pretrained networks that turn raw examples into features, in front of a network that is searched."""

from lit_metanas.training.encoders.encoded_task import EncodedTask, encode
from lit_metanas.training.encoders.encoder import Encoder
from lit_metanas.training.encoders.read_encoder import read_encoder

__all__ = ["EncodedTask", "Encoder", "encode", "read_encoder"]
