"""Help texts: values have names, and each text ends with where more is described."""

import re

import pytest

import senas
from senas.cli import main
from senas.cli.app import app


def printed(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    return out


def test_senas_alone_prints_its_commands_a_line_each(capsys):
    out = printed(capsys)
    assert out == printed(capsys, "--help")
    assert [line.split()[0] for line in out.split("Commands:\n")[1].split("\n\n")[0].splitlines()] == [
        command.callback.__name__ for command in app.registered_commands if command.callback
    ]
    assert "In Python: help(senas). Documentation: docs/" in " ".join(out.split())


@pytest.mark.parametrize("command", app.registered_commands, ids=lambda command: command.callback.__name__)
def test_a_help_text_names_values_and_what_does_the_same_in_python(capsys, command):
    out = printed(capsys, command.callback.__name__, "--help")
    assert not re.search(r"[<{]\w", out), "a type such as <str> says nothing about a value"
    described = re.search(r"In Python: help\(senas\.(\w+)\)\. Documentation: docs/", " ".join(out.split()))
    assert described and described[1] in dir(senas)


def test_a_help_text_shows_a_value_as_it_is_given(capsys):
    out = " ".join(printed(capsys, "search", "--help").split())
    assert out.startswith("Usage: senas search [OPTIONS] SPACE ")
    for shown in ("--latency-budget 5ms", "--max-flops 300M", "--profile FILE", "--time-budget 2h", "--trials N"):
        assert f" {shown} " in out
