"""Runs of Ray Tune and of single functions on Ray: a local cluster or a joined one, reused workers, no output."""

import gc
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.schedulers import TrialScheduler
from ray.tune.stopper import Stopper

from senas.errors import OptionError, SearchFailedError
from senas.execution.interrupts import hangups_blocked, interruptible
from senas.execution.ray_searcher import RayEvents, StrategySearcher
from senas.execution.worker import run_trial
from senas.runs import SearchOptions
from senas.training import Evaluate

T = TypeVar("T")

_TRIALS_PER_ROUND = 1_000  # trials of one Ray Tune experiment; starting the next one takes some seconds

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
_LOCAL_WITHOUT_HOME = {"RAY_AUTH_MODE": "disabled"}  # otherwise Ray writes a token into the home
_MAX_SOCKET_FOLDER = 35  # ASCII characters; Ray appends 70 for a socket, whose path may have 107
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # a new folder of a random name is made in one
_FULL_BYTES = 2**24


def run_ray_tune(
    searcher: StrategySearcher,
    evaluate: Evaluate,
    options: SearchOptions,
    scheduler: TrialScheduler | None,
    *,
    address: str | None,
) -> None:
    """Run trials with Ray Tune until the searcher has no more to propose.

    Args:
        searcher: Searcher that proposes trials and receives their results.
        evaluate: Evaluate function, which is sent to the workers.
        options: Options of the search.
        scheduler: Scheduler that may end trials early, if any.
        address: Address of a cluster to join; `None` to start a local one.

    Raises:
        SearchFailedError: A failure of Ray.
        BaseException: Any exception that the searcher raised when Ray Tune called it.
    """
    with (
        interruptible(searcher),
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
            if searcher.broken is not None:  # its traceback would keep Ray Tune's workers, and their CPUs, alive
                searcher.broken.__traceback__ = searcher.broken.__context__ = None
            gc.collect()
            if searcher.broken is not None:
                raise searcher.broken
            searcher.release()
            if started == searcher.started and not searcher.over:
                raise SearchFailedError("Ray Tune ended before the search; senas resume continues it")


def _run_round(
    searcher: StrategySearcher, trainable: Any, scheduler: TrialScheduler | None, concurrency: int, scratch: str
) -> None:
    """Run trials in one Ray Tune experiment, which keeps the data of each, so that a long search needs several."""
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=_TRIALS_PER_ROUND,
            max_concurrent_trials=concurrency,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=scratch, verbose=0, stop=_StalledStopper(searcher), callbacks=[RayEvents(searcher)]
        ),
    )
    try:
        tuner.fit()
    except KeyboardInterrupt:
        searcher.broken = searcher.broken or KeyboardInterrupt()
    except Exception as error:  # an error of Ray, or one of ours that Ray has wrapped
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        searcher.broken = searcher.broken or SearchFailedError(
            f"Ray failed ({reason[0]}); trials that have ended are kept, senas resume continues the search"
        )


class _StalledStopper(Stopper):
    """Stopper that ends an experiment in which no trial can make progress."""

    def __init__(self, searcher: StrategySearcher):
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002  # never stops a single trial
        return False

    def stop_all(self) -> bool:
        return self._searcher.stalled


def run_alone(work: Callable[[], T], address: str) -> T:
    """Run a function on a node of a cluster, on a GPU that nothing else uses meanwhile.

    Args:
        work: Function to run; it and its result are pickled.
        address: Address of the cluster's head.

    Returns:
        The result of the function.

    Raises:
        OptionError: No cluster at the address, or none of its nodes has a GPU.
        Exception: Any exception that `work` raises.
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
    """Join a cluster, or start one on this machine and stop it afterwards, without log output or usage statistics."""
    local = address is None
    with _quiet(_LOCAL_WITHOUT_HOME if local and not os.access(Path.home(), os.W_OK) else {}), ExitStack() as stack:
        if ray.is_initialized():
            yield
            return
        options: dict[str, Any] = {}
        if local:
            folder = stack.enter_context(_socket_folder())
            options = {"num_cpus": math.ceil(cpus), "include_dashboard": False, "_temp_dir": folder}
        try:
            with hangups_blocked():
                ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **options)
        except ConnectionError as error:
            raise OptionError(f"address: found {address}, where no Ray cluster answers ({error})") from None
        except Exception as error:  # Ray raises plain exceptions if it cannot start
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise SearchFailedError(f"Ray cannot be started ({reason[0]}){_disk_hint()}") from None
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _socket_folder() -> Iterator[str | None]:
    """Give a folder of our own for Ray's sockets if their paths would not be valid in Ray's; `None` for Ray's."""
    chosen = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if chosen.isascii() and len(chosen) <= _MAX_SOCKET_FOLDER:
        yield None
        return
    for parent in _SHORT_FOLDERS:
        if os.access(parent, os.W_OK | os.X_OK):
            folder = tempfile.mkdtemp(prefix="senas-", dir=parent)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return
    yield None


def _disk_hint() -> str:
    """Return a hint for the end of a message if the temporary folder is full."""
    folder = tempfile.gettempdir()
    return f"; {folder} is full" if shutil.disk_usage(folder).free < _FULL_BYTES else ""


@contextmanager
def _quiet(further: Mapping[str, str]) -> Iterator[None]:
    """Set Ray's environment variables, and further ones, and mute its logger; restore all at the end."""
    before = _ray_variables()
    logger = logging.getLogger("ray")
    level = logger.level
    os.environ.update({**_QUIET, **further} | before)
    logger.setLevel(logging.CRITICAL)  # failures are in the journal, with their reasons
    try:
        yield
    finally:
        logger.setLevel(level)
        for name in _ray_variables():  # Ray sets some as well
            del os.environ[name]
        os.environ.update(before)


def _ray_variables() -> dict[str, str]:
    """Return the environment variables that are Ray's or that it sets."""
    ours = ("RAY_", "TUNE_", "PYTHONBREAKPOINT")
    return {name: value for name, value in os.environ.items() if name.startswith(ours)}


def _check_resources(options: SearchOptions) -> None:
    """Raise `OptionError` if a trial needs more than any node has, since it would wait forever."""
    needed = {"CPU": options.cpus_per_trial, "GPU": options.gpus_per_trial}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= needed[name] for name in needed) for node in nodes):
        return
    for name, amount in needed.items():
        most = max((node.get(name, 0) for node in nodes), default=0)
        if amount > most:
            found = f"found {amount:g}, allowed: at most the {most:g} that Ray has on one node"
            raise OptionError(f"{name.lower()}s_per_trial: {found}")
    found = " and ".join(f"{amount:g}" for amount in needed.values())
    raise OptionError(f"cpus_per_trial, gpus_per_trial: found {found}, allowed: at most what one node of Ray has")


@contextmanager
def _scratch_folder() -> Iterator[str]:
    """Yield a temporary folder for Ray Tune's files, which are not read again: a run is restored from its journal."""
    folder = tempfile.mkdtemp(prefix="senas-ray-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
