"""Errors that a user can cause or has to hear about; each message is one line: what, where, found, allowed."""

import difflib
from collections.abc import Iterable


class SenasError(ValueError):
    """Wrong input. The command line prints the message and exits with status 2."""


class ParseError(SenasError):
    """A file or value does not have the form its reader expects."""


class ArchitectureError(SenasError):
    """An architecture cannot be built as described."""


class SpaceError(SenasError):
    """A search space contradicts itself or its backbone."""


class ProfileError(SenasError):
    """A latency profile does not fit what it is asked for."""


class BudgetError(SenasError):
    """A budget that no architecture of the space can keep, or that is no budget at all."""


class DataError(SenasError):
    """A data set that cannot be found, read, or fed to the network."""


class RunError(SenasError):
    """A run folder that cannot be created, opened, or does not hold what is asked of it."""


class OptionError(SenasError):
    """An argument outside its allowed values."""


class FailedError(RuntimeError):
    """What was asked for was done, in vain. The command line prints the message and exits with status 1."""


class SearchFailedError(FailedError):
    """A search that ran as asked and has nothing to show."""


class TrainingDivergedError(FailedError):
    """The loss is no longer a finite number."""


def one_of(value: str, allowed: Iterable[str]) -> str:
    """Say that `value` was found where one of `allowed` belongs, pointing at the nearest of them.

    Returns:
        The tail of an error message, such as `found 'standart', did you mean 'standard'? allowed: identity, standard`.
    """
    options = sorted(allowed)
    value = value if len(value) <= 60 else f"{value[:57]}..."
    nearest = difflib.get_close_matches(value, options, n=1, cutoff=0.5)
    hint = f", did you mean '{nearest[0]}'?" if nearest else ","
    return f"found {value!r}{hint} allowed: {', '.join(options)}"
