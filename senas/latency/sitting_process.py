"""The process of one sitting: an order as JSON on standard input, one line of JSON on standard output for each event.

`{"progress": share}` while it measures, then `{"measured": {digest: measurement}}` or `{"error": line}`.
"""

import importlib
import json
import os
import sys
import time
from typing import TextIO

from senas.errors import SenasError
from senas.latency.sitting import SittingOrder, measure_networks
from senas.parsing import from_plain, to_plain

_PROGRESS_SECONDS = 0.2  # between two, since whoever reads them needs a core to do so


def main() -> None:
    """Read, measure, answer."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    told, last = json.load(sys.stdin), 0.0

    def report(share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            _say(answers, "progress", share)

    try:
        for name in told["imports"]:
            importlib.import_module(name)
        measured = measure_networks(from_plain(SittingOrder, told["order"], "order of a sitting"), report)
        _say(answers, "measured", to_plain(measured))
    except SenasError as error:
        _say(answers, "error", str(error))
    except KeyboardInterrupt:  # the parent was interrupted as well, and says so
        sys.exit(130)


def _say(answers: TextIO, name: str, what: object) -> None:
    answers.write(json.dumps({name: what}) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
