"""Presentation of results: tables, pictures, the live display."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.report.display import Display as Display
    from senas.report.figure import plot_run as plot_run
    from senas.report.se_figure import draw_se_costs as draw_se_costs
    from senas.report.tables import complexity_table as complexity_table
    from senas.report.tables import data_lines as data_lines
    from senas.report.tables import data_table as data_table
    from senas.report.tables import front_caption as front_caption
    from senas.report.tables import front_table as front_table
    from senas.report.tables import profile_lines as profile_lines
    from senas.report.tables import se_cost_table as se_cost_table
    from senas.report.tables import spaces_table as spaces_table
    from senas.report.tables import summary_caption as summary_caption

export_lazily(globals())
