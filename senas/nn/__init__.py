"""Architectures as torch modules: the SE block, the network, its graph, and its weights on disk."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.nn.fused import fuse_squeeze_excite as fuse_squeeze_excite
    from senas.nn.graph import architecture_graph as architecture_graph
    from senas.nn.network import Network as Network
    from senas.nn.network import build_network as build_network
    from senas.nn.network import build_part as build_part
    from senas.nn.running import compiled as compiled
    from senas.nn.running import has_triton as has_triton
    from senas.nn.running import tf32_products as tf32_products
    from senas.nn.running import unlimited_compilation as unlimited_compilation
    from senas.nn.se import SqueezeExcite as SqueezeExcite
    from senas.nn.weights import WEIGHTS_FILE as WEIGHTS_FILE
    from senas.nn.weights import load_tensors as load_tensors
    from senas.nn.weights import read_network as read_network
    from senas.nn.weights import require_same as require_same
    from senas.nn.weights import save_network as save_network

export_lazily(globals())
