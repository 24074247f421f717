"""Latencies, counts and durations as text."""

import pytest

from senas.errors import SenasError
from senas.io.units import parse_count, parse_duration, parse_latency


def test_amounts_are_read_as_people_write_them():
    assert parse_latency("5ms", "x").value == 5.0
    assert parse_latency(" 800 us ", "x").value == pytest.approx(0.8)
    assert parse_latency("0.1s", "x").value == 100.0
    assert parse_count("300M", "x").value == 300e6
    assert parse_count("1.2G", "x").value == pytest.approx(1.2e9)
    assert parse_count("50000", "x").value == 50_000
    share = parse_count("70%", "x")
    assert share.relative and share.value == pytest.approx(0.7)
    assert parse_duration("2h", "x") == 7200
    for wrong in ("5", "", "ms", "5 bananas", "-3ms", "1e999ms", "inf ms", "0%", "5ms 3ms", "٣ms"):
        with pytest.raises(SenasError):
            parse_latency(wrong, "--latency-budget")
