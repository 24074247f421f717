"""Stored state of a search: the run folder, its configuration, journal, trials and front."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.runs.config import RunRecord as RunRecord
    from senas.runs.config import SearchOptions as SearchOptions
    from senas.runs.config import Training as Training
    from senas.runs.journal import Journal as Journal
    from senas.runs.lock import is_locked as is_locked
    from senas.runs.lock import run_lock as run_lock
    from senas.runs.pareto import dominated as dominated
    from senas.runs.pareto import hypervolume as hypervolume
    from senas.runs.pareto import pareto_front as pareto_front
    from senas.runs.provenance import search_code as search_code
    from senas.runs.provenance import senas_source_digest as senas_source_digest
    from senas.runs.rows import front_row as front_row
    from senas.runs.run import JOURNAL_FILE as JOURNAL_FILE
    from senas.runs.run import Run as Run
    from senas.runs.run import check_unused as check_unused
    from senas.runs.run import require_run as require_run
    from senas.runs.trial import RETRIED as RETRIED
    from senas.runs.trial import Failure as Failure
    from senas.runs.trial import Purpose as Purpose
    from senas.runs.trial import Reason as Reason
    from senas.runs.trial import Trial as Trial
    from senas.runs.trial import TrialTask as TrialTask
    from senas.runs.trial import averaged as averaged
    from senas.runs.trial import trial_seed as trial_seed

export_lazily(globals())
