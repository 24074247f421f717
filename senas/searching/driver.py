"""Ray Tune around the bridge: a local cluster or a joined one, workers that are reused, quiet output."""

import gc
import logging
import math
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import ray
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.schedulers import TrialScheduler
from ray.tune.stopper import Stopper

from senas.errors import OptionError, SearchFailedError
from senas.searching.bridge import RayEvents, StrategySearcher
from senas.searching.record import SearchOptions
from senas.searching.worker import run_trial
from senas.training.evaluator import Evaluate

T = TypeVar("T")

_ROUND = 1_000  # trials that Ray Tune runs at a time; starting anew costs some seconds
_IMPATIENT = 5.0  # seconds after an interrupt in which another one says nothing new

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def run_tune(
    searcher: StrategySearcher,
    evaluate: Evaluate,
    options: SearchOptions,
    address: str | None,
    scheduler: TrialScheduler | None,
) -> None:
    """Let Ray Tune ask the searcher until it has no more to propose.

    Args:
        searcher: proposes, and hears of what became of it.
        evaluate: is sent to the workers.
        options: of the search.
        address: of a cluster to join.
        scheduler: may end trials early.

    Raises:
        SearchFailedError: Ray failed.
        BaseException: whatever was raised while a question or an event was dealt with.
    """
    with (
        _interruptible(searcher),
        _ray(address, options.concurrency * options.cpus_per_trial),
        _scratch_folder() as scratch,
    ):
        _check_resources(options)
        trainable = tune.with_resources(
            partial(run_trial, evaluate=ray.put(evaluate)),
            {"cpu": options.cpus_per_trial, "gpu": options.gpus_per_trial},
        )
        while not searcher.over:
            started = searcher.started
            _run_round(searcher, trainable, scheduler, options.concurrency, scratch)
            if searcher.broken is not None:  # its traceback would keep Ray Tune's workers and their CPUs
                searcher.broken.__traceback__ = searcher.broken.__context__ = None
            gc.collect()
            if searcher.broken is not None:
                raise searcher.broken
            searcher.release()
            if started == searcher.started and not searcher.over:
                raise SearchFailedError("Ray Tune ended before the search; senas resume goes on from there")


def _run_round(
    searcher: StrategySearcher, trainable: Any, scheduler: TrialScheduler | None, concurrency: int, scratch: str
) -> None:
    """Let Ray Tune run some trials: it keeps all it knows of each to the end, so a long search is cut in rounds."""
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=_ROUND,
            max_concurrent_trials=concurrency,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=scratch, verbose=0, stop=_WhenStalled(searcher), callbacks=[RayEvents(searcher)]
        ),
    )
    try:
        tuner.fit()
    except KeyboardInterrupt:
        searcher.broken = searcher.broken or KeyboardInterrupt()
    except Exception as error:  # Ray's own, or one of ours that Ray has wrapped
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        searcher.broken = searcher.broken or SearchFailedError(
            f"Ray failed ({reason[0]}); what has ended is kept: senas resume goes on from there"
        )


class _WhenStalled(Stopper):
    """Ends an experiment in which nothing more can happen."""

    def __init__(self, searcher: StrategySearcher):
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002  # no single trial
        return False

    def stop_all(self) -> bool:
        return self._searcher.stalled


def run_alone(work: Callable[[], T], address: str) -> T:
    """Run a function on a node of a cluster, on a GPU that nothing else uses meanwhile.

    Args:
        work: is sent there, as is what it returns.
        address: of the cluster's head.

    Raises:
        OptionError: no cluster answers, or none of its nodes has a GPU.
        Exception: whatever `work` raises.
    """
    with _ray(address, cpus=1):
        if ray.cluster_resources().get("GPU", 0) < 1:
            raise OptionError(f"device: found cuda, but the cluster at {address} has no GPU")
        try:
            return ray.get(ray.remote(num_cpus=0, num_gpus=1, max_retries=0)(_call).remote(work))
        except RayTaskError as error:
            raise error.cause from None


def _call(work: Callable[[], T]) -> T:
    return work()


@contextmanager
def _ray(address: str | None, cpus: float) -> Iterator[None]:
    """Join a cluster, or start one on this machine and stop it afterwards; quiet, and without usage statistics."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what fails is in the journal, with its reason
    if ray.is_initialized():
        yield
        return
    resources = {} if address else {"num_cpus": math.ceil(cpus), "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **resources)
    except ConnectionError as error:
        raise OptionError(f"address: found {address}, where no Ray cluster answers ({error})") from None
    except Exception as error:  # Ray says what it cannot do in plain exceptions
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise SearchFailedError(f"Ray cannot be started ({said[0]}); is the temporary folder full?") from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_resources(options: SearchOptions) -> None:
    """A trial that no cluster node can hold would wait for ever."""
    there = ray.cluster_resources()
    for name, needed in (("CPU", options.cpus_per_trial), ("GPU", options.gpus_per_trial)):
        if needed > there.get(name, 0):
            found = f"{there.get(name, 0):g}"
            raise OptionError(f"{name.lower()}s_per_trial: found {needed:g}, allowed: at most the {found} that Ray has")


@contextmanager
def _interruptible(searcher: StrategySearcher) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end a search, whatever Ray is doing.

    Ray would end the process at once on SIGTERM, and an exception raised inside one of its finalizers is lost: so the
    searcher is told as well, and raises it again when it is next asked.
    """
    first: list[float] = []

    def interrupt(_signal: int, _frame: object) -> None:
        if first and time.monotonic() - first[0] < _IMPATIENT:
            return  # it is ending already, and must not be interrupted in the middle of that
        first[:] = [time.monotonic()]
        searcher.broken = KeyboardInterrupt()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _scratch_folder() -> Iterator[str]:
    """Where Ray Tune writes files that nobody reads: the journal is the truth of a run."""
    folder = tempfile.mkdtemp(prefix="senas-ray-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
