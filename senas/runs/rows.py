"""Trials as plain data, for JSON and for tables of other tools."""

from collections.abc import Mapping

from senas.io import to_plain
from senas.runs.trial import Trial


def front_row(trial: Trial, estimates: Mapping[str, float] | None = None) -> dict[str, object]:
    """Return a trial of the front as plain data, for `front.json` and `senas front --json`.

    Args:
        trial: Trial of the front.
        estimates: Further columns, such as the expected accuracy.
    """
    return {
        "digest": trial.digest,
        "number": trial.number,
        "accuracy": trial.accuracy,
        "trainings": trial.trainings,
        **to_plain(trial.cost),
        "measured_ms": trial.measured_ms,
        "drift": trial.drift,
        **(estimates or {}),
        "se": trial.architecture.describe_se(),
        "cells": len(trial.architecture.cells),
        "architecture": to_plain(trial.architecture),
    }


def trial_row(trial: Trial, *, on_front: bool) -> dict[str, object]:
    """Return any trial as plain data without nested tables."""
    return {
        "number": trial.number,
        "digest": trial.digest,
        "purpose": trial.purpose,
        "status": trial.status,
        "accuracy": trial.accuracy,
        "on_front": on_front,
        **to_plain(trial.cost),
        "measured_ms": trial.measured_ms,
        "drift": trial.drift,
        "seed": trial.seed,
        "epochs": len(trial.epochs),
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "failure": trial.failure,
        "se": trial.architecture.describe_se(),
    }
