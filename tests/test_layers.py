"""Architecture of the package: imports go down the layers, through front doors, and never in a circle."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from senas.testing import SMALL_SPACE

PACKAGE = Path(__file__).parent.parent / "senas"

# From the ground up; a room may import from its own layer and those before it.
LAYERS = [
    ["errors", "version", "lazy"],
    ["io"],
    ["architecture"],
    ["spaces"],
    ["nn"],
    ["export"],
    ["latency"],
    ["costs"],
    ["training"],
    ["strategies"],
    ["runs"],
    ["analysis"],
    ["execution"],
    ["report"],
    ["testing", "cli"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Where a heavy library may be imported, by the first parts of the module's name.
ALLOWED = {
    "ray": ["execution"],
    "nni": ["strategies", "execution", "testing"],
    "fvcore": ["costs.flops"],
    "onnx": ["export"],
    "onnxruntime": ["export"],
    "torch": ["nn", "export", "latency", "costs.flops", "training", "execution.worker", "cli"],
    "typer": ["cli"],
    "rich": ["report", "cli"],
}


def modules() -> dict[str, Path]:
    paths = (path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def packages() -> list[str]:
    return [".".join(path.parent.relative_to(PACKAGE).parts) for path in PACKAGE.rglob("__init__.py")]


def imports(path: Path) -> set[tuple[str, str]]:
    """What a file imports, as (module, name)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {(str(node.module), alias.name) for alias in node.names}
    return found


def of_senas(path: Path) -> set[tuple[str, str]]:
    return {(module.removeprefix("senas."), name) for module, name in imports(path) if module.startswith("senas.")}


def door(importer: str, target: str) -> str:
    """The largest package around a module that the importing file is not in, or the module itself."""
    owner, parts = importer.split(".")[:-1], target.split(".")
    for length in range(1, len(parts) + 1):
        if owner[:length] != parts[:length]:
            return ".".join(parts[:length])
    return target


def test_every_room_has_a_layer():
    assert {name.split(".")[0] for name in modules()} <= set(RANK)


def test_imports_go_down_only():
    upward = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target, _ in of_senas(path)
        if RANK[target.split(".")[0]] > RANK[name.split(".")[0]]
    ]
    assert upward == []


def test_rooms_import_each_others_doors():
    behind = [
        f"{name} imports {target}, expected {door(name, target)}"
        for name, path in modules().items()
        if name not in packages()  # a door imports what is behind it
        for target, _ in of_senas(path)
        if door(name, target) != target
    ]
    assert behind == []


def test_no_two_files_import_each_other_in_a_circle():
    known, graph = modules(), nx.DiGraph()
    for name, path in known.items():
        for target, imported in of_senas(path):
            home = target
            if target in packages() and name != target:  # through a door, to the file behind it
                home = exports(known[target]).get(imported, f"{target}.{imported}")
            if name not in packages():
                graph.add_edge(name, home)
    assert list(nx.simple_cycles(graph)) == []


def exports(path: Path) -> dict[str, str]:
    """The module of each name that a front door exports."""
    blocks = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    nodes = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module).removeprefix("senas.") for node in nodes for alias in node.names}


def test_heavy_libraries_stay_in_their_rooms():
    strays = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target, _ in imports(path)
        if (library := target.split(".")[0]) in ALLOWED
        and not any(f"{name}.".startswith(f"{room}.") for room in ALLOWED[library])
    ]
    assert strays == []


def test_measuring_needs_torch_and_numpy_alone():
    rooms = ("latency", "nn", "spaces", "architecture", "io")
    found = {
        target.split(".")[0]
        for name, path in modules().items()
        if name.split(".")[0] in rooms
        and name not in ("nn.weights", "nn.graph", "nn.fused_kernel", "latency.devices.nvml")
        for target, _ in imports(path)
    }
    assert found - set(sys.stdlib_module_names) == {"senas", "torch", "numpy"}


@pytest.mark.slow  # trains, and measures a profile, in a process that imports torch
def test_a_bare_device_builds_trains_and_measures_without_ray_nni_and_fvcore(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL_SPACE)
    code = """
import sys
for name in ("ray", "nni", "fvcore", "typer", "rich", "moocore", "networkx"):
    sys.modules[name] = None  # importing it now fails
import senas
space = senas.load_space("small.toml")
arch = space.random(__import__("numpy").random.default_rng(0))
senas.build_network(arch)
senas.TrainingEvaluator(data="digits", recipe=senas.Recipe(epochs=1))(arch, 0, lambda epoch, accuracy: None)
from senas.latency import measure_in_process as here
profile = senas.profile_space(space, seconds=0.01, measure=here)
again = senas.recheck(profile, seconds=0.3, measure=here)
print(profile.predict(arch).upper_ms > 0, again.space == profile.space)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "True True", done.stderr


@pytest.mark.parametrize("package", ["", *[name for name in packages() if name]])
def test_a_front_door_gives_what_it_says(package):
    """Every export is found, is that of its module, and is not replaced by importing a module of the same name."""
    module = importlib.import_module(f"senas.{package}".rstrip("."))
    path = PACKAGE / package.replace(".", "/") / "__init__.py"
    assert module.__doc__
    names = exports(path)
    for name, home in names.items():
        assert getattr(module, name) is getattr(importlib.import_module(f"senas.{home}"), name)
        assert name in dir(module)
    assert not set(names) & {each.stem for each in path.parent.iterdir() if each.suffix == ".py" or each.is_dir()}
    if hasattr(module, "__getattr__"):
        with pytest.raises(AttributeError, match="no_such_name"):
            module.no_such_name  # noqa: B018  # raises


def test_no_two_classes_share_a_name():
    found: dict[str, str] = {}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert node.name not in found, f"{node.name}: in {found[node.name]} and {name}"
                found[node.name] = name
