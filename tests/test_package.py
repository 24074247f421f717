"""The wheel: spaces and profiles come along and are found wherever it is installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from senas.spaces.toml_file import load_space, shipped_spaces
from senas.version import __version__

ROOT = Path(__file__).parent.parent


@pytest.mark.slow  # builds a wheel
def test_a_wheel_installed_elsewhere_finds_its_spaces_and_profiles(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    elsewhere = tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(elsewhere)
    code = """
import senas
from senas.io import shipped_folder
from senas.spaces import shipped_spaces
from senas.version import __version__
print(senas.__file__)
print(*(f"{name}={senas.load_space(name).size}" for name in shipped_spaces()))
print((shipped_folder("profiles") / "README.md").is_file())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": str(elsewhere)},
    )  # fmt: skip
    where, spaces, profiles = done.stdout.splitlines()
    assert where == str(elsewhere / "senas" / "__init__.py")
    assert spaces == " ".join(f"{name}={load_space(name).size}" for name in shipped_spaces())
    assert profiles == "True"
    names = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert names == {"senas", f"senas-{__version__}.dist-info"}
