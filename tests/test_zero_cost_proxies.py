"""Zero-cost proxies by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from zero_cost_proxies import PROXIES, gradient_norm, naswot, proxy_score, synflow

import senas
from senas.training.data.dataset import Split
from senas.training.data.sources import load_data


def batch(*images: list[list[int]]) -> Split:
    """Images of one channel, all of the first class."""
    tensor = torch.tensor(images, dtype=torch.uint8)[:, None]
    return Split(images=tensor, labels=torch.zeros(len(images), dtype=torch.int64))


def linear(weights: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
    return layer


def test_synflow_by_hand():
    # |w| = (1, 2) and (3): ones give 3, then 9. By the product rule each of the two layers contributes 9.
    network = nn.Sequential(nn.Flatten(), linear([[1.0, -2.0]]), nn.ReLU(), linear([[-3.0]]))
    assert synflow(network, batch([[0, 0]])) == pytest.approx(math.log(18))


def test_naswot_by_hand():
    # Two images that are each other's opposite once normalised: one unit is on for the one, the other for the other.
    network = nn.Sequential(nn.Flatten(), linear([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]), nn.ReLU())
    opposite = batch([[255, 0]], [[0, 255]])
    # The third unit's input is 0, off for both: the images agree in 1 of 3 units, K = [[3, 1], [1, 3]].
    assert naswot(network, opposite) == pytest.approx(math.log(8), abs=1e-6)


def test_gradient_norm_by_hand():
    # Pixels (1, -1) once normalised; both logits are 0, so the loss of class 0 has the slopes (-1/2, 1/2) by them and
    # [[-1/2, 1/2], [1/2, -1/2]] by the weights, of norm 1.
    network = nn.Sequential(nn.Flatten(), linear([[0.0, 0.0], [0.0, 0.0]]))
    assert gradient_norm(network, batch([[255, 0]])) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("name", PROXIES)
def test_every_proxy_judges_networks_repeatably(name):
    space = senas.load_space("se-resnet-digits")
    train = load_data("digits", space.input).train
    some = train.take(torch.arange(16))
    archs = [space.random(np.random.default_rng(seed)) for seed in range(6)]
    before = torch.random.get_rng_state()
    scores = [proxy_score(name, arch, some) for arch in archs]
    assert scores == [proxy_score(name, arch, some) for arch in archs]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.isfinite(scores).all()
    assert len(set(scores)) == len(archs)
