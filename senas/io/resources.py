"""Folders of the data files shipped with senas: inside an installed wheel, or beside the package in a checkout."""

from pathlib import Path
from typing import Literal


def shipped_folder(name: Literal["search_spaces", "profiles"]) -> Path:
    """Return the folder of shipped files: in a wheel, a checkout or an editable install."""
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
