"""Presentation of results: tables, pictures, the live display."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.report.display import Display as Display
    from senas.report.figure import plot_run as plot_run
    from senas.report.network_table import complexity_table as complexity_table
    from senas.report.network_table import latency_lines as latency_lines
    from senas.report.profile_tables import comparison_lines as comparison_lines
    from senas.report.profile_tables import latency_unit as latency_unit
    from senas.report.profile_tables import profile_lines as profile_lines
    from senas.report.profile_tables import se_cost_table as se_cost_table
    from senas.report.se_figure import draw_se_costs as draw_se_costs
    from senas.report.tables import SE_COLUMN as SE_COLUMN
    from senas.report.tables import data_lines as data_lines
    from senas.report.tables import data_table as data_table
    from senas.report.tables import front_caption as front_caption
    from senas.report.tables import front_table as front_table
    from senas.report.tables import no_summary_reason as no_summary_reason
    from senas.report.tables import spaces_table as spaces_table
    from senas.report.tables import summary_caption as summary_caption

export_lazily(globals())
