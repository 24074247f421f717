"""Retraining after an interrupt."""

import pytest

from senas.errors import SenasError
from senas.training.data.sources import load_data
from senas.training.recipe import Recipe
from senas.training.retraining import retrain


def test_retraining_goes_on_where_it_was_interrupted(tiny, tmp_path):
    arch, recipe = tiny.cheapest(lambda part: part.out_shape.channels), Recipe(epochs=4)
    data = load_data("digits", arch.input)
    whole = retrain(arch, data=data, recipe=recipe, out=tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(epoch, loss):
        if epoch == 2:
            raise StopError

    with pytest.raises(StopError):
        retrain(arch, data=data, recipe=recipe, out=tmp_path / "part", on_epoch=stop)
    epochs: list[int] = []
    part = retrain(
        arch, data=data, recipe=recipe, out=tmp_path / "part", on_epoch=lambda epoch, _: epochs.append(epoch)
    )
    assert epochs == [3, 4]
    assert (part.test_accuracy, part.loss) == (whole.test_accuracy, whole.loss)
    for name in ("weights.safetensors", "architecture.json"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "part" / "checkpoint.safetensors").exists()
    assert retrain(arch, data=data, recipe=recipe, out=tmp_path / "part") == part  # done: nothing is trained
    with pytest.raises(SenasError, match="holds a retraining with seed 0, found 1"):
        retrain(arch, data=data, recipe=recipe, out=tmp_path / "part", seed=1)
