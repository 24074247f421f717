"""Loading of the data set that a command was given, with what it takes said beforehand."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from senas.cli.printing import progress_console

if TYPE_CHECKING:
    from senas.architecture import Input
    from senas.training import Dataset, Loading


def load_and_tell(
    data: str, network_input: "Input", *, stream: bool | None, skip_damaged: int, before: "Loading | None" = None
) -> "tuple[Dataset, Loading]":
    """Load a data set; print beforehand how much memory it takes, show progress, and print how it was understood.

    Args:
        data: Name of the data set.
        network_input: Input of the network.
        stream: Whether to stream the images of a folder; `None` for what was done before, or for what memory allows.
        skip_damaged: Number of damaged images to leave out, beside those that were left out before.
        before: How the search loaded the same data, if one did.

    Raises:
        DataError: See `senas.load_data` and `senas.plan_loading`.
    """
    from senas.training import load_data, plan_loading

    with _decoding_bar() as progress:
        plan = plan_loading(
            data,
            network_input,
            streamed=before.streamed if before and stream is None else stream,
            skip_damaged=skip_damaged,
            skip=before.skip if before else (),
            progress=progress,
        )
        for line in plan.lines:
            progress_console().print(line, markup=False)
        loaded = load_data(data, network_input, plan.loading, progress=progress)
    for note in loaded.notes:
        progress_console().print(f"{data}: {note}", markup=False)
    return loaded, plan.loading


@contextmanager
def _decoding_bar() -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (images done, images in all) that shows a bar on a terminal, from its first call on."""
    with ExitStack() as stack:
        bars: list[Callable[[int, int], None]] = []

        def show(done: int, total: int) -> None:
            if not bars:
                from rich.progress import MofNCompleteColumn, Progress

                columns = (*Progress.get_default_columns(), MofNCompleteColumn())
                console = progress_console()
                bar = stack.enter_context(
                    Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
                )
                task = bar.add_task("decoding images")
                bars.append(lambda done, total: bar.update(task, completed=done, total=total))
            bars[0](done, total)

        yield show
