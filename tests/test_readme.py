"""The README as a stranger follows it: its files are written, its commands are run, in order, in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_readme_runs(tmp_path):
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    environment.pop("PYTHONPATH", None)
    commands = []
    for language, text in BLOCK.findall((ROOT / "README.md").read_text()):
        if language in ("toml", "python"):
            name = re.match(r"# (\S+)\n", text)
            assert name, f"the first line of a file says its name:\n{text}"
            (tmp_path / name[1]).write_text(text)
        elif language == "bash":
            for line in text.splitlines():
                command = recipe(line.split("#")[0].strip())
                if command:
                    commands.append(command)
                    done = followed(command, tmp_path, environment)
                    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert len(commands) >= 10
    assert shutil.which("senas", path=environment["PATH"])
    assert (tmp_path / "runs" / "se-resnet-digits-1" / "pareto.html").exists()


def followed(command: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command; again a little later, as a stranger would, where a machine too busy to measure is all it says."""
    for seconds in (0, 15, 45):
        time.sleep(seconds)
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 0 or not re.search(r"too busy|less busy", done.stderr):
            break
    return done


def recipe(command: str) -> str:
    """What a make target runs once everything is installed; `make test` is what is running now."""
    if command == "make test":
        return ""
    if command == "make search":  # as it is but for its size
        makefile = (ROOT / "Makefile").read_text()
        found = re.search(r"^search:.*\n\t\$\(BIN\)/(.*)$", makefile, re.MULTILINE)
        assert found
        return f"{found[1]} --trials 6 --epochs 3"
    return command


def test_pictures_and_links_of_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert len(links) >= 3
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert [link for link in links if link.startswith("#") and link[1:] not in headings] == []
    assert [link for link in links if not link.startswith("#") and not (ROOT / link).exists()] == []
