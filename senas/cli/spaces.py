"""`senas spaces`: a list of the shipped search spaces."""

from senas.cli.printing import console, next_command


def spaces() -> None:
    """List the shipped search spaces."""
    from senas.report import spaces_table
    from senas.spaces import load_space, shipped_spaces

    console().print(spaces_table([(name, load_space(name, check=False)) for name in shipped_spaces()]))
    next_command("senas", "search", "se-resnet-digits", "--latency-budget", "70%")
