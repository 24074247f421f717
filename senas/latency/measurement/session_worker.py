"""Process of one measurement session: an order as JSON on standard input, answers as lines of JSON on standard output.

`{"ready": true}` once everything is imported, `{"progress": share}` while it measures, then
`{"measured": {digest: measurement}}` or `{"error": line}`.
"""

import importlib
import json
import os
import sys
import time
from typing import TextIO

from senas.errors import SenasError
from senas.io import from_plain, to_plain
from senas.latency.measurement.session import SessionOrder, measure_in_process

_PROGRESS_SECONDS = 0.2  # between two answers, since reading them takes time on a core as well


def main() -> None:
    """Read the order, measure, answer."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may print; standard output is for answers
    _answer(answers, "ready", True)
    request, last = json.load(sys.stdin), 0.0

    def report(share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            _answer(answers, "progress", share)

    try:
        for name in request["imports"]:
            importlib.import_module(name)
        measured = measure_in_process(from_plain(SessionOrder, request["order"], "order of a session"), report)
        _answer(answers, "measured", to_plain(measured))
    except SenasError as error:
        _answer(answers, "error", str(error))
    except KeyboardInterrupt:  # the parent process was interrupted as well and reports it
        sys.exit(130)


def _answer(answers: TextIO, name: str, content: object) -> None:
    answers.write(json.dumps({name: content}) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
