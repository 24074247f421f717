"""Weights on disk."""

import pytest
import torch

from senas.architecture.references.catalogue import reference
from senas.architecture.se import SEConfig
from senas.errors import SenasError
from senas.nn.network import Network, build_network
from senas.nn.weights import read_network, save_network


def test_weights_round_trip_and_are_checked(tmp_path):
    arch = reference("resnet20", se=SEConfig(reduction=4), input_size=8)
    network = build_network(arch, seed=3).eval()
    save_network(tmp_path, arch, network)
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(read_network(tmp_path, Network)(images), network(images))
    reference("resnet20", input_size=8).save(tmp_path / "architecture.json")
    with pytest.raises(SenasError, match=r"cells.0.sum.branch.se.expand.bias: found \(16,\), expected None"):
        read_network(tmp_path, Network)
    (tmp_path / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(SenasError, match="not a safetensors file"):
        read_network(tmp_path, Network)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(SenasError, match="no such file"):
        read_network(tmp_path, Network)
