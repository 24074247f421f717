"""`senas retrain`: a trial of a run, or an architecture from a file."""

from dataclasses import replace
from pathlib import Path

from senas.architecture import Architecture
from senas.errors import OptionError
from senas.launch.options import ProgressDisplay, check_device
from senas.retraining import RetrainResult, retrain
from senas.searching.run import Run
from senas.training.loop import Recipe
from senas.training.sources import load_data


def launch_retrain(
    source: Path,
    *,
    pick: str,
    epochs: int,
    data: str | None,
    device: str,
    seed: int,
    out: Path | None,
    display: ProgressDisplay,
) -> tuple[Path, RetrainResult]:
    """Retrain a trial of a run, or an architecture from a file.

    Returns:
        The folder with the weights, and the result.
    """
    check_device(device)
    if source.suffix == ".json":
        arch, name, home = Architecture.load(source), data or "digits", Path("retrain")
        recipe = Recipe(epochs=epochs)
    else:
        run = Run(source)
        trained = run.record.training
        if data is None and trained is None:
            raise OptionError(f"--data: {source} was searched with an evaluate function of its own, name a data set")
        arch, name, home = run.pick(pick).architecture, data or (trained.data if trained else ""), source / "retrain"
        recipe = replace(trained.recipe, epochs=epochs) if trained else Recipe(epochs=epochs)
    folder = out or home / arch.digest
    result = retrain(
        arch,
        data=load_data(name, arch.input),
        recipe=recipe,
        out=folder,
        seed=seed,
        device=device,
        on_epoch=lambda epoch, loss: display.training(epoch, epochs, loss),
    )
    return folder, result
