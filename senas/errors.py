"""Errors that a user can cause or that are reported to one; each message is one line: what, where, found, allowed."""

import difflib
from collections.abc import Iterable


class SenasError(ValueError):
    """Error for wrong input. The command line prints the message and exits with status 2."""


class ParseError(SenasError):
    """Error for a file or value that does not have the expected form."""


class ArchitectureError(SenasError):
    """Error for an architecture that cannot be built as described."""


class SpaceError(SenasError):
    """Error for a search space that contradicts itself or its backbone."""


class ProfileError(SenasError):
    """Error for a latency profile that cannot be used for what is requested."""


class BudgetError(SenasError):
    """Error for a budget that no architecture of the space can keep, or that is not a valid budget."""


class DataError(SenasError):
    """Error for a data set that cannot be found, read, or used with the network."""


class DamagedImageError(DataError):
    """Error for an image file whose content cannot be decoded."""


class RunError(SenasError):
    """Error for a run folder that cannot be created or opened, or does not contain what is requested."""


class OptionError(SenasError):
    """Error for an argument outside its allowed values."""


class FailedError(RuntimeError):
    """Error for correct input with a failed outcome. The command line prints the message and exits with status 1."""


class SearchFailedError(FailedError):
    """Error for a search that ran on correct input and has no result."""


class TrainingDivergedError(FailedError):
    """Error for a training whose loss is no longer a finite number."""


class DecodingFailedError(FailedError):
    """Error for images that could not be decoded for another reason than their content."""


class ExportFailedError(FailedError):
    """Error for a network that has no file in a format which computes what it computes; none was written."""


def one_of(value: str, allowed: Iterable[str]) -> str:
    """Return the part of an error message that names a wrong value, the allowed ones and the most similar of them.

    Args:
        value: Value that was found.
        allowed: Allowed values.

    Returns:
        The end of an error message, such as `found 'standart', did you mean 'standard'? allowed: identity, standard`.
    """
    options = sorted(allowed)
    value = value if len(value) <= 60 else f"{value[:57]}..."
    nearest = difflib.get_close_matches(value, options, n=1, cutoff=0.5)
    hint = f", did you mean '{nearest[0]}'?" if nearest else ","
    return f"found {value!r}{hint} allowed: {', '.join(options)}"
