"""Commands that are interrupted: by Ctrl-C, even while they are imported, by SIGTERM, and by a terminal that closes."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from senas.cli.terminal import signals_interrupt
from senas.runs.run import Run
from senas.testing import SMALL_SPACE


def test_ctrl_c_during_imports_is_one_line():
    code = """
    import os, signal, sys
    class Interrupt:
        def find_spec(self, name, path=None, target=None):
            if name == "senas.cli.search":
                os.kill(os.getpid(), signal.SIGINT)
    sys.meta_path.insert(0, Interrupt())
    from senas.cli import main
    main()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "senas: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_interrupt_as_ctrl_c_does(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), signals_interrupt():
        os.kill(os.getpid(), number)
        time.sleep(10)
    assert signal.getsignal(number) == before


def test_a_hangup_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with signals_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("hangup", [True, False])
def test_what_is_printed_after_the_terminal_has_closed_goes_nowhere(hangup):
    """With the signal that a shell sends to its jobs, or without, as after `disown`: the command then goes on."""
    code = """
    import sys, time
    from senas.cli.printing import progress_console
    from senas.cli.terminal import signals_interrupt
    try:
        with signals_interrupt():
            print("ready", flush=True)
            for _ in range(300):
                time.sleep(0.1)
                progress_console().print("going on")
                if len(sys.argv) > 1 and not sys.stderr.isatty():
                    sys.exit(0)
    except KeyboardInterrupt:
        print("interrupted", flush=True)  # raises an error if the terminal is written to
        sys.exit(130)
    """
    terminal, inside = os.openpty()
    words = [sys.executable, "-c", textwrap.dedent(code), *([] if hangup else ["to the end"])]
    process = subprocess.Popen(words, stdout=inside, stderr=inside)
    os.close(inside)
    while not os.read(terminal, 100).endswith(b"\n"):
        pass
    os.close(terminal)
    if hangup:
        process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=30) == (130 if hangup else 0)


@pytest.mark.slow  # starts Ray in a process of its own
def test_a_search_that_is_hung_up_says_what_it_keeps(tmp_path):
    (tmp_path / "tiny.toml").write_text(SMALL_SPACE)
    words = ("search", "tiny.toml", "--objective", "params", "--trials", "400", "--epochs", "1", "--out", "run")
    process = subprocess.Popen(
        [sys.executable, "-c", "from senas.cli import main; main()", *words, "--strategy", "random"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "2/400: trial" in line:
            break
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "of 400 trials have ended and are kept" in err and "Traceback" not in err
    assert out == "next: senas resume run\n"
    assert len(Run(tmp_path / "run").front()) >= 1
