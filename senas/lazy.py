"""Lazy package exports: names that are imported on first use."""

import ast
import importlib
from pathlib import Path
from typing import Any


def export_lazily(namespace: dict[str, Any]) -> None:
    """Make a package import the names of its `if TYPE_CHECKING:` block on first use.

    The exports of a package are listed only in that block: type checkers and readers see ordinary imports, and the
    package gets `__getattr__`, `__dir__` and `__all__` for the same names. A name must not be that of a module in the
    package, since importing the module would replace it.

    Args:
        namespace: Global variables of the package's `__init__.py`, which calls this with `globals()`.
    """
    package: str = namespace["__name__"]
    modules = _exported_modules(Path(namespace["__file__"]))

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = getattr(importlib.import_module(modules[name]), name)
        namespace[name] = value
        return value

    namespace["__all__"] = sorted(modules)
    namespace["__getattr__"] = load
    namespace["__dir__"] = lambda: namespace["__all__"]


def _exported_modules(path: Path) -> dict[str, str]:
    """Return the module of each name that the `if TYPE_CHECKING:` block of a file imports."""
    blocks = [
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}
