"""What the commands print of a front and of a profile."""

from dataclasses import replace

import numpy as np
from conftest import formula_profile
from rich.console import Console

from senas.analysis.summary import AccuracyEstimate, RunSummary
from senas.costs.budget import Cost
from senas.costs.se_cost import se_costs
from senas.report.tables import front_table, profile_lines, se_cost_table
from senas.runs.trial import Trial


def test_a_profile_is_described_by_what_it_covers_and_how_well_it_predicts(tiny):
    profile = formula_profile(tiny)
    text = "\n".join(profile_lines(profile))
    assert f"{len(profile.entries)} parts of tiny measured, on {profile.device.name}: eager, fp32, batch 1" in text
    assert "on 2 networks not used in any fit: mean error 0.0%, worst 0.0%, rank correlation 1.000" in text
    assert "95 % take at most 1.100 times the prediction" in text
    assert "refuse" not in text and "took longer" not in text


def test_a_profile_that_took_long_or_predicts_badly_says_so(tiny):
    profile = formula_profile(tiny)
    profile = replace(
        profile,
        provenance=replace(profile.provenance, seconds=1.6),  # the limit is 1 s
        validation=replace(profile.validation, mean_error=profile.validation.limit + 0.01),
    )
    *_, slow, bad = profile_lines(profile)
    assert slow == "the minimal number of rounds took longer than the limit of 1 s"
    assert bad.startswith(f"searches will refuse it: its mean error exceeds {profile.validation.limit:.0%}")


def test_what_se_adds_is_a_row_for_each_stage_and_variant_and_a_column_for_each_reduction(tiny):
    console = Console(width=120)
    with console.capture() as captured:
        console.print(se_cost_table(se_costs(tiny, formula_profile(tiny))))
    lines = captured.get().splitlines()
    assert lines[0].strip() == "what an SE block adds to its cell"
    assert all(column in captured.get() for column in ("r = 2", "r = 4", "FLOPs"))
    # stages 2 and 3 offer both integrations or one, stage 4 one reduction: a dash stands where there is nothing
    rows = [line for line in lines if " us" in line]
    assert [(row.split()[1], row.split()[5]) for row in rows] == [
        ("2", "pre"),
        ("2", "standard"),
        ("3", "standard"),
        ("4", "standard"),
    ], rows
    assert "-" in rows[-1].split()


def test_no_figure_of_a_front_is_cut_off_however_narrow_the_terminal(tiny):
    cost = Cost(flops=987_654_321, params=98_765_432, latency_ms=123.456, upper_ms=234.567)
    trial = Trial(
        number=123, architecture=tiny.random(np.random.default_rng(0)), seed=0, cost=cost, status="finished",
        accuracy=0.98765, measured_ms=123.987,
    )  # fmt: skip
    estimate = AccuracyEstimate(accuracy=0.97531, on_front=1.0)
    summary = RunSummary(
        estimates={trial.digest: estimate}, hypervolume=0.5, random_hypervolume=0.4, random_was_trained=False,
        templates=(),
    )  # fmt: skip
    for width, shown in (
        (60, "123 98.77% 97.53% 123.456 123.987"),
        (100, "123 98.77% 97.53% 100% 123.456 234.567 123.987 987.654M 98.765M"),
    ):
        console = Console(width=width)
        with console.capture() as captured:
            console.print(front_table([trial], summary=summary, width=width))
        lines = captured.get().splitlines()
        assert max(map(len, lines)) <= width and "\N{HORIZONTAL ELLIPSIS}" not in captured.get()
        assert f"{shown} {trial.digest[:8]}" in [" ".join(line.split()) for line in lines]
