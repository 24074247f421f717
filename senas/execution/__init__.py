"""Execution of a search: NNI strategies propose, Ray Tune runs the trials, the journal records them.

The controller decides what runs next, retries failed trials and ends the search at its limits; it does not know Ray.
`trial_runner` opens it and hands it to an executor. `ray_driver` is the default executor, which runs trials on Ray Tune
and handles interrupts.
"""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.execution.address import check_address as check_address
    from senas.execution.controller import SearchLimits as SearchLimits
    from senas.execution.current_profile import profile_for_search as profile_for_search
    from senas.execution.current_profile import profile_of_elsewhere as profile_of_elsewhere
    from senas.execution.evaluation import evaluate_trial as evaluate_trial
    from senas.execution.nni_engine import ProposalEngine as ProposalEngine
    from senas.execution.progress import SearchProgress as SearchProgress
    from senas.execution.ray_searcher import StrategySearcher as StrategySearcher
    from senas.execution.searching import measure_front as measure_front
    from senas.execution.searching import resume as resume
    from senas.execution.searching import search as search
    from senas.execution.trial_runner import TrialExecutor as TrialExecutor
    from senas.execution.trial_runner import open_controller as open_controller

export_lazily(globals())
