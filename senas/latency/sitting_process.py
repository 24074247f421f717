"""The process of one sitting: an order as JSON on standard input, one line of JSON on standard output for each event.

`{"progress": share}` while it measures, then `{"measured": {digest: measurement}}` or `{"error": line}`.
"""

import importlib
import json
import sys

from senas.errors import SenasError
from senas.latency.sitting import SittingOrder, measure_networks
from senas.parsing import from_plain, to_plain


def main() -> None:
    """Read, measure, answer."""
    told = json.load(sys.stdin)
    try:
        for name in told["imports"]:
            importlib.import_module(name)
        order = from_plain(SittingOrder, told["order"], "order of a sitting")
        measured = measure_networks(order, lambda share: _say("progress", share))
        _say("measured", to_plain(measured))
    except SenasError as error:
        _say("error", str(error))
    except KeyboardInterrupt:  # the parent was interrupted as well, and says so
        sys.exit(130)


def _say(name: str, what: object) -> None:
    sys.stdout.write(json.dumps({name: what}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
