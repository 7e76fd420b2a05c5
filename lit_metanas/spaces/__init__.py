"""What can be built: architectures, search spaces, and the networks they describe."""

from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.candidates import Candidates
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.darts_cell import DARTSCell
from lit_metanas.spaces.enas_macro import ENASMacro
from lit_metanas.spaces.encoding import Encoding
from lit_metanas.spaces.layered import LayeredSpace
from lit_metanas.spaces.metanas_cell import MetaNASCell
from lit_metanas.spaces.mixture import Gate, Mixture, one_hot
from lit_metanas.spaces.mobile_layout import MobileStage
from lit_metanas.spaces.mobile_macro import MobileMacro
from lit_metanas.spaces.nas_bench_101 import NASBench101
from lit_metanas.spaces.nas_bench_201 import NASBench201
from lit_metanas.spaces.nas_bench_201_encoding import NASBench201Encoding
from lit_metanas.spaces.nas_bench_graph import NASBenchGraph
from lit_metanas.spaces.nas_bench_graph_encoding import NASBenchGraphEncoding
from lit_metanas.spaces.one_hot_encoding import OneHotEncoding
from lit_metanas.spaces.space import NetworkCost, SearchSpace, Shape, Supernet, inherit

__all__ = [
    "Architecture",
    "Candidates",
    "Choice",
    "ChoiceSpace",
    "DARTSCell",
    "ENASMacro",
    "Encoding",
    "Gate",
    "LayeredSpace",
    "MetaNASCell",
    "Mixture",
    "MobileMacro",
    "MobileStage",
    "NASBench101",
    "NASBench201",
    "NASBench201Encoding",
    "NASBenchGraph",
    "NASBenchGraphEncoding",
    "NetworkCost",
    "OneHotEncoding",
    "SearchSpace",
    "Shape",
    "Supernet",
    "inherit",
    "one_hot",
]
