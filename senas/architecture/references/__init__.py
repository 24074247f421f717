"""Networks of the literature by name."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.architecture.references.catalogue import REFERENCES as REFERENCES
    from senas.architecture.references.catalogue import reference as reference

export_lazily(globals())
