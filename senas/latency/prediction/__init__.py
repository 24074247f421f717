"""Prediction of latencies from what a profile measured.

`calibration` predicts the latency of a part or a network from its features, with an upper bound, and describes drift.
`features` counts what needs no measurement, `imputation` estimates the parts that were not measured, and `validation`
compares predictions with measurements.
"""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.latency.prediction.calibration import CONFIDENCE as CONFIDENCE
    from senas.latency.prediction.calibration import NO_FEATURES as NO_FEATURES
    from senas.latency.prediction.calibration import Calibration as Calibration
    from senas.latency.prediction.calibration import Drift as Drift
    from senas.latency.prediction.calibration import PredictorFeatures as PredictorFeatures
    from senas.latency.prediction.features import structural_features as structural_features
    from senas.latency.prediction.imputation import choose_parts as choose_parts
    from senas.latency.prediction.imputation import impute as impute
    from senas.latency.prediction.validation import Validation as Validation
    from senas.latency.prediction.validation import repeat_error as repeat_error
    from senas.latency.prediction.validation import validate as validate

export_lazily(globals())
