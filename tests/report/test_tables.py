"""What the commands print of a front, of a network and of a profile, however narrow the terminal."""

from dataclasses import replace

import numpy as np
from conftest import formula_profile, measurement
from rich.console import Console

from senas.analysis.posterior import MIN_RESULTS
from senas.analysis.summary import AccuracyEstimate, RunSummary
from senas.costs.budget import Cost
from senas.costs.se_cost import se_costs, summarize_se_costs
from senas.latency.profile.breakdown import latency_breakdown
from senas.report.network_table import complexity_table, latency_lines
from senas.report.profile_tables import profile_lines, se_cost_table
from senas.report.tables import front_table, no_summary_reason, spaces_table
from senas.runs.trial import Trial
from senas.spaces.toml_file import load_space, shipped_spaces


def test_a_profile_is_described_by_what_it_covers_and_how_well_it_predicts(tiny):
    profile = formula_profile(tiny)
    text = "\n".join(profile_lines(profile))
    assert f"{len(profile.entries)} parts of tiny (1x8x8) measured; times are of one forward pass on" in text
    assert f"{profile.device.name}: eager, fp32, batch 1, 1 thread, a formula" in text
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


def test_a_profile_of_imprecise_parts_says_so(tiny):
    profile = formula_profile(tiny)
    wide = {
        key: replace(entry, measured=replace(measurement(entry.estimate_ms), interval=0.04))
        for key, entry in profile.entries.items()
    }
    imprecise = replace(profile, entries=wide, protocol=replace(profile.protocol, precise_parts=0.0))
    assert "warning: the parts are imprecise, half of their 95 % intervals are wider than 4.0%" in "".join(
        profile_lines(imprecise)
    )
    assert "imprecise" not in "".join(profile_lines(profile))


def printed(table, width: int = 120) -> list[str]:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width and "\N{HORIZONTAL ELLIPSIS}" not in captured.get()
    return [" ".join(line.replace("│", " ").split()) for line in lines]


def test_what_se_adds_is_a_row_for_each_stage_and_block(tiny):
    lines = printed(se_cost_table(se_costs(tiny, formula_profile(tiny))))
    assert lines[0] == "what an SE block adds to its cell"
    rows = [line.split()[:3] for line in lines if "us" not in line and "±" in line]
    # stages 2 and 3 offer both integrations or one, stage 4 one reduction
    assert rows == [
        ["2", "1", "r2/pre"],
        ["2", "1", "r4/pre"],
        ["2", "1", "r2"],
        ["2", "1", "r4"],
        ["3", "1", "r2"],
        ["3", "1", "r4"],
        ["4", "1", "r4"],
    ]


def test_what_se_adds_is_shown_with_its_noise_or_not_at_all(tiny):
    cost = se_costs(tiny, formula_profile(tiny))[0]
    clear = replace(cost, latency_ms=0.05, latency_share=0.2, noise_ms=0.01, noise_share=0.04)
    unclear = replace(clear, noise_ms=0.06, noise_share=0.24)
    contrary = replace(clear, latency_share=-0.2)  # medians of different cells
    imputed = replace(clear, noise_ms=None, noise_share=None, measured=False)
    for shown, text in (
        (clear, "50.0 ± 10.0 +20.0 ± 4.0 %"),
        (unclear, "within ± 60.0 within ± 24.0 %"),
        (contrary, "within ± 10.0 within ± 4.0 %"),
        (imputed, "~50.0 ~+20.0%"),
    ):
        assert any(text in line for line in printed(se_cost_table([shown])))
    assert "2 of 3 within their noise" in summarize_se_costs([clear, unclear, contrary])


def test_tables_leave_out_columns_rather_than_cut_cells(tiny):
    names = shipped_spaces()
    spaces = [(name, load_space(name, check=False)) for name in names]
    for width in (60, 80, 100, 140):
        rows = printed(spaces_table(spaces, width=width), width)
        assert {name for name in names if any(row.startswith(f"{name} ") for row in rows)} == set(names)
    assert "3x224x224 2: 4" not in printed(spaces_table(spaces, width=100), 100)


def test_a_network_is_shown_with_its_latency_cell_by_cell(tiny):
    profile = formula_profile(tiny)
    arch = tiny.costliest(lambda part: profile.part_ms(part))
    latency = latency_breakdown(arch, profile)
    total = f"{latency.latency_ms:.3f} {latency.se_ms:.3f} {latency.se_ms / latency.latency_ms:.1%}"
    for width in (60, 140):
        rows = printed(complexity_table(arch, latency=latency, width=width), width)
        assert rows[0] == f"architecture {arch.digest}"
        assert any(row.startswith("total ") and row.endswith(total) for row in rows)
        assert any(row.startswith("stage 2: basic") and " 0.050 " in row for row in rows)  # see formula_ms
    lines = latency_lines(latency, profile)
    assert f"95 % bound {1.1 * latency.latency_ms:.3f} ms" in lines[0]
    assert lines[1] == f"ms: one forward pass on {profile.device.name}: eager, fp32, batch 1, 1 thread, a formula"
    assert not any("warning" in line for line in lines[:2])


def test_a_front_without_estimates_says_why(tiny):
    archs = [tiny.random(np.random.default_rng(seed)) for seed in range(3)]
    cost = Cost(flops=1, params=1)
    trials = [
        Trial(number=number, architecture=arch, seed=0, cost=cost, status="finished", accuracy=0.5)
        for number, arch in enumerate(archs, start=1)
    ]
    running = replace(trials[2], number=4, seed=1, status="running", accuracy=None)
    assert no_summary_reason([*trials[:2], running]) == (
        f"expected accuracy, on front and the comparison with random search need {MIN_RESULTS} finished trainings, "
        "found 2"
    )


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
        assert f"{shown} {trial.digest[:8]}" in printed(front_table([trial], summary=summary, width=width), width)
