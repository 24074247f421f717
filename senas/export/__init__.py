"""Modules as files that a runtime reads: written, run there, and compared with PyTorch before they get their name."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.export.agreement import TOLERANCE as TOLERANCE
    from senas.export.agreement import Agreement as Agreement
    from senas.export.agreement import compare as compare
    from senas.export.formats import FORMATS as FORMATS
    from senas.export.formats import ExportFormat as ExportFormat
    from senas.export.formats import require_format as require_format
    from senas.export.module import ExportedModule as ExportedModule
    from senas.export.module import export_module as export_module

export_lazily(globals())
