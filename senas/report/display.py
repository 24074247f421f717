"""Live display of long tasks: a progress bar on a terminal, plain lines elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from senas.execution import SearchProgress
from senas.runs import Purpose, Reason, Trial
from senas.training import TrainingPosition

_LINE_SECONDS = 10.0  # minimal time between plain lines of progress
_WIDE = 90  # characters of a terminal from which on there is a bar and the time that is left
_MAX_SHOWN = 4  # running trials whose epochs are shown
_REASONS: dict[Reason, str] = {
    "exception": "the evaluation raised an exception",
    "diverged": "the loss diverged",
    "invalid": "the evaluation returned no accuracy",
    "memory": "out of memory",
    "lost": "the worker was lost",
    "time": "over the time limit",
}
_NAMES: dict[Purpose, tuple[str, str]] = {  # names of the activity and of the trials that are counted
    "search": ("searching", "trials"),
    "baseline": ("training the baseline", "of the baseline"),
    "replicate": ("training again", "replicates"),
}


class Display:
    """Context manager that shows progress.

    Args:
        console: Console to print to; its `is_terminal` decides between a live bar and plain lines.
    """

    def __init__(self, console: Console):
        self._console = console
        wide = console.width >= _WIDE
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=24)] if wide else []),
            TextColumn("{task.fields[done]}"),
            TimeElapsedColumn(),
            *([TextColumn("left"), TimeRemainingColumn()] if wide else []),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last_line = 0.0
        self._loss: float | None = None  # of the last epoch of a retraining
        self._last_text = ""
        self._shown: tuple[int, int] | None = None  # number and attempts of the trial whose end was shown last

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, line: str) -> None:
        """Print a note on a line of its own."""
        self._print(line)

    def profiling(self, share: float) -> None:
        """Show the share of a latency profile that is measured, in [0, 1]."""
        self._show("measuring latency", share, 1.0, f"{share:.0%}", f"measuring latency: {share:.0%}")

    def searching(self, progress: SearchProgress) -> None:
        """Show the progress of a search after a trial has started, reported an epoch, or ended."""
        best = "-" if progress.best_accuracy is None else f"{progress.best_accuracy:.2%}"
        summary = f"best {best}, hypervolume {progress.hypervolume:.4f}, {progress.front} on the front"
        failed = f", {progress.failed} failed" if progress.failed else ""
        name, unit = _NAMES[progress.purpose]
        trial, shown = progress.last, self._shown
        self._shown = (0, 0) if trial is None else (trial.number, trial.attempts)
        # `shown` is `None` at first: an earlier session has shown the last trial already
        if trial is not None and shown not in (None, self._shown):
            count = f"{progress.ended}/{progress.trials}{'' if progress.purpose == 'search' else f' {unit}'}"
            self._print(f"{count}: trial {trial.number} {_outcome(trial)}; {summary}{failed}")
        epochs = _epochs(progress)
        if self._console.is_terminal or epochs:
            done = f"{progress.ended}/{progress.trials} {unit}, {progress.running} running{failed}, best {best}"
            self._show(name, progress.ended, progress.trials, "\n".join([done, *epochs]), "; ".join(epochs))
        if progress.note:
            self._print(f"{progress.ended} of {progress.trials} trials: {progress.note}")

    def training(self, position: TrainingPosition, epochs: int, images_per_second: float) -> None:
        """Show the progress of a retraining after a step."""
        epoch, share = position.epoch + 1, position.step / position.steps
        shown = f"epoch {epoch}/{epochs}, step {position.step}/{position.steps}"
        speed = f", {images_per_second:.0f} images/s" if images_per_second else ""
        loss = "" if self._loss is None else f", loss {self._loss:.4f}"
        self._show("retraining", position.epoch + share, epochs, f"{shown}{loss}{speed}", f"{shown}{loss}{speed}")

    def trained(self, epoch: int, epochs: int, loss: float) -> None:
        """Show the loss of an epoch of a retraining, and show it until the next one has ended."""
        self._loss = loss
        line = f"epoch {epoch}/{epochs}: loss {loss:.4f}"
        self._show("retraining", epoch, epochs, f"{epoch}/{epochs} epochs, loss {loss:.4f}", line)

    def _show(self, name: str, done: float, total: float, text: str, line: str) -> None:
        """Update the bar of a task with a text or, without a terminal, print a line if the last one is old enough."""
        if self._console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = self._bar.add_task(name, total=total, done="")
            for task in self._tasks.values():
                self._bar.update(task, visible=task == self._tasks[name])
            self._bar.update(self._tasks[name], completed=done, total=total, done=text)
        elif line != self._last_text and (done >= total or time.monotonic() - self._last_line >= _LINE_SECONDS):
            self._last_line, self._last_text = time.monotonic(), line
            self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _epochs(progress: SearchProgress) -> list[str]:
    """Return how far the running trials are that have reported an epoch, some words each."""
    of = "" if progress.epochs is None else f"/{progress.epochs}"
    latest = [(trial.number, *trial.epochs[-1]) for trial in progress.reporting]
    shown = [f"trial {number}: epoch {epoch}{of}, accuracy {accuracy:.2%}" for number, epoch, accuracy in latest]
    return shown if len(shown) <= _MAX_SHOWN else [*shown[:_MAX_SHOWN], f"{len(shown) - _MAX_SHOWN} more trials"]


def _outcome(trial: Trial) -> str:
    """Return a few words on how an attempt at a trial ended."""
    if trial.accuracy is not None:
        return f"{trial.status}, accuracy {trial.accuracy:.2%}"
    if not trial.failures:
        return trial.status
    status = "failed" if trial.status == "failed" else "runs again"
    return f"{status} ({_REASONS[trial.failures[-1].reason]})"
