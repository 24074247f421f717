"""Where the data that comes with senas lies: inside an installed wheel, or beside the package in a checkout."""

from pathlib import Path
from typing import Literal


def shipped_folder(name: Literal["search_spaces", "profiles"]) -> Path:
    """The folder of shipped files, in a wheel, a checkout or an editable install alike."""
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
