"""The live display: what a search shows of its running trials, on a terminal and elsewhere."""

import io

import numpy as np
import pytest
from rich.console import Console

from senas.costs.budget import Cost
from senas.execution.progress import SearchProgress
from senas.report.display import Display
from senas.runs.trial import Trial


def progress(tiny, count: int, **changes) -> SearchProgress:
    """Trials that are running, the first after one epoch, the second after two, and so on."""
    trials = [
        Trial(
            number=number, architecture=tiny.random(np.random.default_rng(number)), seed=0,
            cost=Cost(flops=1, params=1), epochs=tuple((epoch, epoch / 8) for epoch in range(1, number + 1)),
        )
        for number in range(1, count + 1)
    ]  # fmt: skip
    fields = {
        "purpose": "search", "ended": 0, "failed": 0, "running": count, "reporting": tuple(trials), "epochs": 10,
        "trials": 24, "best_accuracy": None, "hypervolume": 0.0, "front": 0, "last": None,
    }  # fmt: skip
    return SearchProgress(**{**fields, **changes})


@pytest.mark.parametrize(("epochs", "of"), [(10, "/10"), (None, "")])
def test_epochs_are_lines_at_most_every_ten_seconds(tiny, epochs, of):
    file = io.StringIO()
    with Display(Console(file=file, width=200)) as display:
        display.searching(progress(tiny, 0))
        display.searching(progress(tiny, 2, epochs=epochs))
        display.searching(progress(tiny, 1, epochs=epochs))  # too soon
    assert file.getvalue() == f"trial 1: epoch 1{of}, accuracy 12.50%; trial 2: epoch 2{of}, accuracy 25.00%\n"


@pytest.mark.parametrize("width", [60, 100])
def test_a_terminal_shows_epochs_below_the_counts(tiny, width):
    file = io.StringIO()
    with Display(Console(file=file, width=width, force_terminal=True)) as display:
        display.searching(progress(tiny, 6))
    shown = file.getvalue()
    assert "0/24 trials, 6 running, best -" in shown
    assert "trial 1: epoch 1/10, accuracy 12.50%" in shown and "trial 4: epoch 4/10, accuracy 50.00%" in shown
    assert "trial 5" not in shown and "2 more trials" in shown
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
