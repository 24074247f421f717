"""`senas resume`: continues a search, or extends it."""

from typing import Annotated, Any

from typer import Option

from senas.cli.options import AddressOption, RunArgument, parsed_options, with_options
from senas.cli.printing import interrupted, progress_console, show_run
from senas.runs import SearchOptions


@with_options(SearchOptions, chosen=lambda name, info: info.resumable or name == "trials", optional=True)
def resume(
    run: RunArgument,
    force: Annotated[bool, Option("--force", help="Continue with other code than the run was searched with.")] = False,
    address: AddressOption = None,
    **options: Any,
) -> None:
    """Continue a search where it stopped, whatever stopped it; or, with options, train more.

    An option that is not given keeps its last value; trials, times and replicates are totals for the whole run.
    """
    from senas.runs import require_run

    given = parsed_options(SearchOptions, options)
    require_run(run)
    if not given.get("baseline"):
        given.pop("baseline", None)
    from senas.execution import measure_front
    from senas.execution import resume as resume_search
    from senas.report import Display

    try:
        with Display(progress_console()) as display:
            resumed = resume_search(run, force=force, address=address, on_progress=display.searching, **given)
            measure_front(resumed, address=address)
    except KeyboardInterrupt:
        interrupted(run)
    else:
        show_run(resumed)
