"""Plain and all-SE versions of a space's template."""

from dataclasses import replace

import numpy as np
import pytest

import senas
from senas.spaces.templates import make_templates
from senas.spaces.toml_file import load_space, shipped_spaces


class TestTemplates:
    def test_by_hand(self):
        # se-resnet-cifar: three cells a stage as the backbone; of the widths 16 and 24, 24 and 32, 48 and 64 its own.
        plain, with_se = make_templates(load_space("se-resnet-cifar")).values()
        assert plain == senas.reference("resnet20")
        assert with_se == senas.reference("resnet20", se=senas.SEConfig(reduction=16))

    def test_the_nearest_where_the_space_has_not_the_backbones_own(self, tiny):
        # tiny: depths up to 2, 2 and 1 for the backbone's 3; widths 4, 8 or 12, and 12; r4 is nearest to r16.
        plain, with_se = make_templates(tiny).values()
        assert [cell.channels for cell in plain.cells] == [4, 4, 12, 12, 12]  # type: ignore[attr-defined]
        assert plain.stem.channels == 4  # type: ignore[attr-defined]
        assert {cell.se for cell in with_se.cells} == {senas.SEConfig(reduction=4)}

    def test_a_version_that_the_space_has_not_is_left_out(self, tiny):
        stages = tuple(replace(stage, se=stage.se[1:]) for stage in tiny.stages)
        assert list(make_templates(replace(tiny, stages=stages))) == ["all-SE"]

    @pytest.mark.parametrize("name", shipped_spaces())
    def test_those_of_every_shipped_space_are_architectures_of_it(self, name):
        space = load_space(name)
        for arch in make_templates(space).values():
            assert space.architecture(space.sample_at(np.maximum(space.indices_of(arch), 0))) == arch
