"""The search space of networks that read a sequence and write another one."""

from lit_metanas.spaces.encoder_decoder.encoder_decoder_space import EncoderDecoderSpace

__all__ = ["EncoderDecoderSpace"]
