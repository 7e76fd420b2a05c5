"""What can be built: architectures, search spaces, and the networks they describe."""

from lit_metanas.spaces.any_input import KernelSpace, NGramSpace, PatchSpace, RocketSpace, default_space
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells import DARTSCell, ENASMacro, MetaNASCell
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.encoder_decoder import EncoderDecoderSpace
from lit_metanas.spaces.encodings import Candidates, Encoding, OneHotEncoding
from lit_metanas.spaces.grid import GridSpace
from lit_metanas.spaces.layered import LayeredSpace
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.mlp import MLPSpace, TextRowSpace
from lit_metanas.spaces.nas_bench_101 import NASBench101
from lit_metanas.spaces.nas_bench_201 import NASBench201, NASBench201Encoding
from lit_metanas.spaces.nas_bench_graph import NASBenchGraph, NASBenchGraphEncoding
from lit_metanas.spaces.sequence import SequenceSpace
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost, Supernet, inherit
from lit_metanas.spaces.union import UnionSpace

__all__ = [
    "Architecture",
    "Builder",
    "Candidates",
    "Choice",
    "ChoiceSpace",
    "DARTSCell",
    "ENASMacro",
    "EncoderDecoderSpace",
    "Encoding",
    "Gate",
    "GridSpace",
    "KernelSpace",
    "LayeredSpace",
    "MLPSpace",
    "MetaNASCell",
    "Mixture",
    "NASBench101",
    "NASBench201",
    "NASBench201Encoding",
    "NASBenchGraph",
    "NASBenchGraphEncoding",
    "NGramSpace",
    "NetworkCost",
    "OneHotEncoding",
    "PatchSpace",
    "RocketSpace",
    "SearchSpace",
    "SequenceSpace",
    "Supernet",
    "TextRowSpace",
    "UnionSpace",
    "default_space",
    "inherit",
    "one_hot",
]
