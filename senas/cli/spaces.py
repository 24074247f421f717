"""`senas spaces`: a list of the shipped search spaces."""

from senas.cli.printing import console, next_command


def spaces() -> None:
    """List the shipped search spaces."""
    from senas.report import spaces_table
    from senas.spaces import load_space, shipped_spaces

    target = console()
    loaded = [(name, load_space(name, check=False)) for name in shipped_spaces()]
    target.print(spaces_table(loaded, width=target.width))
    next_command("senas", "search", "se-resnet-digits", "--latency-budget", "70%")
