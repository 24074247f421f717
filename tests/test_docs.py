"""README and documentation: their commands and Python run, in an empty folder; links exist; the site builds."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import senas
from senas.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\S+\.\w+)\n")
NOT_RUN = re.compile(r"pip install|git clone|make (test|check|docs)$")


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, *languages: str) -> list[tuple[str, str]]:
    """The code blocks of a page in some languages, as (language, text)."""
    return [(language, text) for language, text in BLOCK.findall(path.read_text()) if language in languages]


def read(path: Path) -> str:
    """A page with the files that it includes and without its code blocks."""
    text = re.sub(r'^--8<-- "(.+)"$', lambda found: (ROOT / found[1]).read_text(), path.read_text(), flags=re.M)
    return BLOCK.sub("", text)


def command_of(line: str) -> str | None:
    """The command of a line as it is run here, `None` for what only a person would run."""
    command = re.split(r"(?:^|\s)#", line)[0].strip()
    if command == "make search":  # its recipe once everything is installed, with a smaller search
        found = re.search(r"^search:.*\n\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert found
        return f"{found[1]} --trials 4 --epochs 2"
    return None if not command or NOT_RUN.search(command) else command


def start(command: str) -> None:
    """Run a command as a user would: in a process of its own, without what the tests have set up."""
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def call(command: str) -> None:
    """Run a command or a Python file in this process, where torch is imported and Ray runs; others as `start` does."""
    program, *arguments = shlex.split(command)
    if program == "senas":
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code, command
    elif program == "python" and arguments[0].endswith(".py") and ".register(" not in modules_of_this_folder():
        here, before = str(Path.cwd()), set(sys.modules)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(here)
            patch.setattr(sys, "argv", arguments)
            runpy.run_path(arguments[0], run_name="__main__")
        for name in set(sys.modules) - before:  # another page may have a file of the same name
            if str(getattr(sys.modules[name], "__file__", "")).startswith(here):
                del sys.modules[name]
    else:
        start(command)


def modules_of_this_folder() -> str:
    """What the Python files here say. A cell that they register would stay registered in this process."""
    return "".join(path.read_text() for path in Path().glob("*.py"))


def run_page(path: Path, run: Callable[[str], None]) -> None:
    """Write the files of a page to the current folder; run its commands and its Python, in the page's order."""
    for number, (language, text) in enumerate(blocks(path, "bash", "python", "toml")):
        name = FILE_NAME.match(text)
        if language == "bash":
            for command in filter(None, map(command_of, text.splitlines())):
                run(command)
        elif name:
            Path(name[1]).write_text(text)
            assert path.read_text().count(Path(name[1]).stem) >= 2, f"{name[1]} is written, but never used"
        else:
            assert language == "python", f"the first line of a file is its name:\n{text}"
            Path(f"snippet_{number}.py").write_text(text)
            run(f"python snippet_{number}.py")


@pytest.mark.slow  # starts processes that import torch, measures a profile, and searches twice, which starts Ray
def test_the_readme_runs_as_a_stranger_would_run_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(ROOT / "README.md", start)


@pytest.mark.slow  # searches on Ray, retrains, measures a profile
@pytest.mark.parametrize("path", [page for page in PAGES[1:] if blocks(page, "bash", "python")], ids=page_name)
def test_commands_and_python_of_a_page_run(path, tmp_path, monkeypatch, ray_local):
    monkeypatch.chdir(tmp_path)
    run_page(path, call)


@pytest.mark.slow  # takes seconds: reads the docstrings of the whole package
def test_the_site_builds_without_warnings(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        build, cwd=ROOT, env=dict(os.environ, NO_MKDOCS_2_WARNING="1"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert 'id="senas.search"' in (tmp_path / "site" / "api" / "index.html").read_text()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 10_000


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=page_name)
def test_links_and_pictures_of_a_page_exist(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        file, _, anchor = link.partition("#")
        if file.startswith("http"):
            continue
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        titles = re.findall(r"^#+ (.+)$", read(target), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_api_reference_has_every_public_name():
    documented = set(re.findall(r"^::: senas\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
    assert documented == set(dir(senas))
