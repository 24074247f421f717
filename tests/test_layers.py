"""Imports go down the list of layers only, and bare devices need neither Ray nor NNI."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "senas"

# From the ground up; a module may import from its own layer and those before it.
LAYERS = [
    ["errors", "version", "text", "files", "family", "conversion", "parsing", "arrays", "resources", "units"],
    ["se"],
    ["layers"],
    ["cells"],
    ["demand"],
    ["architecture"],
    ["references", "spaces"],
    ["nn", "graph"],
    ["latency"],
    ["costs"],
    ["training", "strategies"],
    ["searching"],
    ["retraining", "report"],
    ["launch", "cli"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Where a heavy library may be imported, by the first parts of the module's name.
ALLOWED = {
    "ray": ["searching.bridge", "searching.driver", "searching.rungs", "searching.worker"],
    "nni": ["strategies", "searching.engine", "searching.loop"],
    "fvcore": ["costs.complexity"],
    "torch": ["nn", "graph", "latency", "costs", "training", "searching.worker", "retraining", "launch"],
    "typer": ["cli"],
    "rich": ["report", "cli"],
}


def modules() -> dict[str, Path]:
    paths = (path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_module_has_a_layer():
    assert {name.split(".")[0] for name in modules()} == set(RANK)


def test_imports_go_down_only():
    upward = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target in imports(path)
        if target.startswith("senas.") and RANK[target.split(".")[1]] > RANK[name.split(".")[0]]
    ]
    assert upward == []


def test_heavy_libraries_stay_in_their_rooms():
    strays = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target in imports(path)
        if (library := target.split(".")[0]) in ALLOWED
        and not any(f"{name}.".startswith(f"{room}.") for room in ALLOWED[library])
    ]
    assert strays == []


def test_measuring_needs_torch_and_numpy_alone():
    rooms = (
        "latency",
        "nn",
        "spaces",
        "references",
        "cells",
        "layers",
        "architecture",
        "demand",
        "se",
        "parsing",
        "family",
        "files",
        "text",
    )
    found = {
        target.split(".")[0]
        for name, path in modules().items()
        if name.split(".")[0] in rooms and name != "nn.weights"
        for target in imports(path)
    }
    assert found - set(sys.stdlib_module_names) == {"senas", "torch", "numpy"}


def test_a_bare_device_builds_trains_and_measures_without_ray_nni_and_fvcore():
    code = """
import sys
for name in ("ray", "nni", "fvcore", "typer", "rich", "moocore", "networkx"):
    sys.modules[name] = None  # importing it now fails
import senas
arch = senas.load_space("se-resnet-digits").random(__import__("numpy").random.default_rng(0))
senas.build_network(arch)
senas.TrainingEvaluator(data="digits", recipe=senas.Recipe(epochs=1))(arch, 0, lambda epoch, accuracy: None)
profile = senas.profile_space(senas.load_space("se-resnet-digits"), seconds=0.01)
print(profile.predict(arch).upper_ms > 0, senas.recheck(profile).space == profile.space)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True True", done.stderr


def test_public_names_are_what_the_package_says():
    import senas

    assert {name: getattr(senas, name).__module__ for name in senas.__all__ if name != "__version__"} == {
        name: f"senas.{home}" for name, home in senas._HOME.items()
    }
    assert not set(senas.__all__) & {path.stem for path in PACKAGE.iterdir()}, "a module would shadow a public name"
