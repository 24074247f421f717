"""What is written is whole or not at all, where it was asked for, and shows what strangers say as text."""

import resource
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pytest
from conftest import formula_profile

import senas
from senas.errors import SenasError
from senas.io.documents import write_json
from senas.latency.profile.builder import profile_name
from senas.nn.weights import save_network
from senas.report.figure import FigurePoint, FrontFigure, draw_page, draw_static


def test_a_link_in_the_way_of_a_writer_leads_nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda _: "foreseen")  # as if somebody could
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".a.json.foreseen.tmp").symlink_to("precious")
    with pytest.raises(FileExistsError) as caught:
        write_json(tmp_path / "a.json", {"a": 1})
    assert caught.value.filename == str(tmp_path / "a.json")
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_full_disk_leaves_what_was_there(tmp_path):
    """As far as a limit of a file's size is like a full disk: the write fails half way."""
    arch = senas.reference("resnet20", input_size=8)
    network = senas.build_network(arch)
    save_network(tmp_path, arch, network)
    figure = FrontFigure(title="t", axis="x", points=(), budget=(1.0, "budget"))
    draw_page(figure, tmp_path / "p.html")
    draw_static(figure, [tmp_path / "p.svg", tmp_path / "p.png"])
    write_json(tmp_path / "a.json", list(range(1_000)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    writers: dict[str, Callable[[Path], object]] = {
        "weights.safetensors": lambda path: save_network(path.parent, arch, network),
        "p.html": lambda path: draw_page(figure, path),
        "p.svg": lambda path: draw_static(figure, [path]),
        "p.png": lambda path: draw_static(figure, [path]),
        "a.json": lambda path: write_json(path, list(range(2_000))),
    }
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name, write in writers.items():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, kept[1]))
        try:
            with pytest.raises(OSError) as caught:
                write(tmp_path / name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        assert caught.value.filename == str(tmp_path / name)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("text", ["a\x1b[2J", "a\nb", "\udcff", "n" * 10_001])
def test_what_could_not_be_read_is_not_written(tmp_path, text):
    with pytest.raises(SenasError, match=r"a\.json: found "):
        write_json(tmp_path / "a.json", {"names": [{text: 1}]})
    assert not list(tmp_path.iterdir())


def test_the_pictures_show_what_they_are_told_as_text(tmp_path):
    said = """</script><script>alert(1)</script><img src=x onerror=alert(1)>'"&<b>$\\foo$"""
    roles = ("stopped", "baseline", "dominated", "front", "plain", "all-SE")
    points = tuple(FigurePoint(cost=1.0, accuracy=50.0, role=role, hover=(said, said)) for role in roles)
    figure = FrontFigure(title=said, axis="cost", points=points, budget=(1.0, said))

    class Page(HTMLParser):
        tags: ClassVar[list[str]] = []
        scripts: ClassVar[list[str]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            assert not any(name.startswith("on") for name, _ in attrs)

        def handle_data(self, data: str) -> None:
            if self.lasttag == "script":
                self.scripts.append(data)

    draw_page(figure, tmp_path / "page.html")
    Page().feed((tmp_path / "page.html").read_text())
    assert set(Page.tags) <= {"html", "head", "meta", "body", "div", "script", "style"}
    (drawn,) = (script for script in Page.scripts if "Plotly.newPlot" in script and "alert(1)" in script)
    assert "<" not in drawn.split("Plotly.newPlot", 1)[1]  # what plotly takes for markup is written as text
    assert drawn.count("&lt;img src=x onerror=alert(1)&gt;") == 2 * len(roles) + 2

    draw_static(figure, [tmp_path / "page.svg", tmp_path / "page.png"])
    tree = ElementTree.parse(tmp_path / "page.svg")  # our own
    assert said in {element.text for element in tree.iter()}
    assert {element.tag.split("}")[1] for element in tree.iter()}.isdisjoint({"script", "img", "b"})


def test_a_profile_is_called_by_a_plain_file_name(tiny):
    mode = formula_profile(tiny).mode
    assert profile_name("../../etc/x y", "cpu", mode) == ".._.._etc_x_y-cpu-eager-fp32-b1"
