"""Analysis of a run: expected accuracies, comparison with random search and the template, follow-up trials."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.analysis.extrapolation import extrapolated_accuracy as extrapolated_accuracy
    from senas.analysis.followup import FollowUpTrials as FollowUpTrials
    from senas.analysis.posterior import MIN_RESULTS as MIN_RESULTS
    from senas.analysis.posterior import AccuracyPosterior as AccuracyPosterior
    from senas.analysis.summary import RunSummary as RunSummary
    from senas.analysis.summary import TemplateEstimate as TemplateEstimate
    from senas.analysis.summary import summarize_run as summarize_run

export_lazily(globals())
