"""Search spaces: from TOML files to choices, and from choices to architectures."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.spaces.space import Sample as Sample
    from senas.spaces.space import SearchSpace as SearchSpace
    from senas.spaces.sums import PartSums as PartSums
    from senas.spaces.templates import TemplateName as TemplateName
    from senas.spaces.templates import make_templates as make_templates
    from senas.spaces.toml_file import load_space as load_space
    from senas.spaces.toml_file import shipped_spaces as shipped_spaces

export_lazily(globals())
