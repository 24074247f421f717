"""Accuracies of trainings that were stopped early."""

from dataclasses import replace

import pytest
from test_pareto import trial

from senas.analysis.extrapolation import extrapolated_accuracy


def test_an_unfinished_training_counts_by_what_it_promises():
    # After epoch 2 the errors of two finished trials shrank from 0.4 to 0.1 and from 0.5 to 0.25: to 0.375, the median.
    finished = [
        replace(trial(1, 0.9, 1), epochs=((1, 0.2), (2, 0.6), (3, 0.9))),
        replace(trial(2, 0.75, 1), epochs=((1, 0.2), (2, 0.5), (3, 0.75))),
    ]
    stopped = replace(trial(3, 0.2, 1, "stopped"), epochs=((1, 0.1), (2, 0.2)))
    assert extrapolated_accuracy(stopped, finished) == pytest.approx(1 - 0.8 * 0.375)
    assert extrapolated_accuracy(stopped, []) == 0.2  # nothing to go by
    assert extrapolated_accuracy(replace(stopped, epochs=((9, 0.2),)), finished) == 0.2
    assert extrapolated_accuracy(finished[0], finished[1:]) == 0.9
    assert extrapolated_accuracy(trial(4, None, 1, "failed"), finished) is None
