"""The command: finds subcommands, words errors for people, keeps the exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest

from base.errors import PermanentError
from base.settings import SettingsError
from cli import main as command
from cli import test as test_command


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module in the place of `cli.up` that tests give a `main`."""
    module = ModuleType("cli.up")
    monkeypatch.setitem(sys.modules, "cli.up", module)
    yield module


def run(fake: ModuleType, outcome: int | BaseException, *argv: str) -> int:
    def main(words: Sequence[str]) -> int:
        assert list(words) == list(argv)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    fake.main = main  # type: ignore[attr-defined]
    return command.main(["up", *argv])


def test_the_rest_of_the_line_goes_to_the_subcommand(fake: ModuleType) -> None:
    assert run(fake, 0, "examples/hello.yaml", "--nodes", "3") == 0
    assert run(fake, 5) == 5


def test_errors_are_worded_with_their_hint(
    fake: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fake, PermanentError("no engine", hint="Install docker.io.")) == 1
    assert capsys.readouterr().err == "podwright: error: no engine\nhint: Install docker.io.\n"
    assert run(fake, PermanentError("no engine")) == 1
    assert capsys.readouterr().err == "podwright: error: no engine\n"


def test_a_wrong_call_exits_with_2_and_an_interruption_with_130(fake: ModuleType) -> None:
    assert run(fake, SettingsError("bad")) == 2
    assert run(fake, KeyboardInterrupt()) == 130


def test_other_errors_are_bugs_and_not_swallowed(fake: ModuleType) -> None:
    with pytest.raises(ZeroDivisionError):
        run(fake, ZeroDivisionError())


def test_an_unknown_command_is_met_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["contrl"]) == 2
    assert "Did you mean 'control'?" in capsys.readouterr().err
    assert command.main(["xyzzy"]) == 2
    assert "podwright --help" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "code"), [([], 2), (["--help"], 0), (["help"], 0), (["-h"], 0)])
def test_help_names_every_command(
    argv: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(argv) == code
    shown = capsys.readouterr().out
    assert all(f"  {one.name} " in shown for one in command.COMMANDS)


@pytest.mark.parametrize("argv", [["version"], ["--version"]])
def test_version(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(argv) == 0
    assert capsys.readouterr().out.startswith("podwright ")


def test_long_is_ours_and_the_rest_is_for_pytest() -> None:
    assert test_command.split(["-x", "--long", "tests"], "--long") == (True, ["-x", "tests"])
    assert test_command.split(["--long"], "--vm") == (False, ["--long"])


def test_the_environment_of_the_tests() -> None:
    caller = {"PATH": "/bin", "KUBECONFIG": "/root/production", "LANG": "C"}
    made = test_command.environment_for(caller, long=True)
    assert made["PODWRIGHT_TEST_LONG"] == "1"
    assert made["PATH"].endswith(":/bin")
    assert "KUBECONFIG" not in made
    assert made["LANG"] == "C"
    assert test_command.environment_for(caller, long=False)["PODWRIGHT_TEST_LONG"] == ""
