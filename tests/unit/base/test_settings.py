"""Settings: one table, four sources, and errors that name the source."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import settings
from base.settings import Setting, SettingsError, Values

TABLE = (
    Setting(
        name="cluster-cidr", type=settings.cidr, default="10.244.0.0/16", help="Pod addresses."
    ),
    Setting(name="max-pods", type=int, default=110, help="Pods per node.", group="Node"),
    Setting(name="ratio", type=float, default=0.5, help="100% is one."),
    Setting(name="state-dir", type=Path, default=Path("/var/lib/podwright"), help="State."),
    Setting(name="period", type=settings.duration, default=10.0, help="How often."),
    Setting(name="verbose", type=bool, default=False, help="Say more."),
    Setting(name="san", repeated=True, help="Names of the server."),
    Setting(name="mode", choices=("auto", "host-gw", "vxlan"), default="auto", help="Overlay."),
    Setting(name="token", secret=True, help="The bootstrap token."),
)


def load(
    *argv: str,
    environ: dict[str, str] | None = None,
    config: Path | None = None,
    table: tuple[Setting, ...] = TABLE,
) -> Values:
    return settings.load(
        table,
        argv,
        program="podwright test",
        description="A test.",
        environ=environ or {},
        prefix="PODWRIGHT_TEST_",
        default_config=config,
    )


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_defaults() -> None:
    values = load()
    assert values["max-pods"] == values.max_pods == 110
    assert values.san == ()
    assert values.token is None
    assert values.source("max-pods") == "default"


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    config = write(tmp_path / "c.toml", 'max-pods = 1\nratio = 0.1\nmode = "vxlan"\n')
    environ = {"PODWRIGHT_TEST_MAX_PODS": "2", "PODWRIGHT_TEST_RATIO": "0.2"}
    values = load("--config", str(config), "--max-pods", "3", environ=environ)
    assert (values.max_pods, values.ratio, values.mode) == (3, 0.2, "vxlan")
    assert values.source("max-pods") == "flag --max-pods"
    assert values.source("ratio") == "environment variable PODWRIGHT_TEST_RATIO"
    assert values.source("mode") == f"{config}: mode"


@pytest.mark.parametrize("given", ["flag", "environment", "file"])
@pytest.mark.parametrize(
    ("name", "text", "toml", "expected"),
    [
        ("cluster-cidr", "10.1.0.0/16", '"10.1.0.0/16"', "10.1.0.0/16"),
        ("max-pods", "7", "7", 7),
        ("ratio", "0.25", "0.25", 0.25),
        ("state-dir", "/srv/x", '"/srv/x"', Path("/srv/x")),
        ("period", "1m30s", '"1m30s"', 90.0),
        ("verbose", "true", "true", True),
        ("san", "a", '["a"]', ("a",)),
        ("mode", "host-gw", '"host-gw"', "host-gw"),
    ],
)
def test_every_source_gives_the_same_value(
    tmp_path: Path, given: str, name: str, text: str, toml: str, expected: Any
) -> None:
    if given == "flag":
        values = load(f"--{name}", text)
    elif given == "environment":
        values = load(environ={"PODWRIGHT_TEST_" + name.replace("-", "_").upper(): text})
    else:
        values = load(config=write(tmp_path / "c.toml", f"{name} = {toml}\n"))
    assert values[name] == expected
    assert type(values[name]) is type(expected) or isinstance(expected, Path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("cluster-cidr", "10.244.0.0", "an address range such as 10.244.0.0/16"),
        ("cluster-cidr", "10.244.0.1/16", "an address range"),
        ("max-pods", "many", "a whole number"),
        ("max-pods", "1.5", "a whole number"),
        ("ratio", "nan", "a number"),
        ("state-dir", "", "a path"),
        ("period", "10", "a duration such as"),
        ("period", "10 s", "a duration such as"),
        ("verbose", "maybe", "true or false"),
        ("mode", "ipip", "one of auto, host-gw, vxlan"),
    ],
)
def test_an_error_names_source_setting_expected_and_found(
    name: str, text: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(f"--{name}={text}")
    assert str(caught.value).startswith(f"flag --{name}: expected {expected}")
    assert str(caught.value).endswith(f"found {text!r}")
    variable = "PODWRIGHT_TEST_" + name.replace("-", "_").upper()
    with pytest.raises(SettingsError, match=f"^environment variable {variable}: expected"):
        load(environ={variable: text})


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    values = load("--token", "abcdef.0123456789abcdef")
    assert "abcdef" not in repr(values)
    table = (Setting(name="key", type=int, secret=True, default=4711, help="A key."),)
    with pytest.raises(SettingsError) as caught:
        load("--key", "hunter2", table=table)
    assert "hunter2" not in str(caught.value)
    assert "4711" not in settings.reference(table, prefix="X_")


def test_an_unknown_name_in_the_file_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    config = write(tmp_path / "c.toml", "max_pods = 3\n")
    with pytest.raises(SettingsError, match="no setting 'max_pods'") as caught:
        load(config=config)
    assert caught.value.hint == "Did you mean 'max-pods'?"


@pytest.mark.parametrize("content", ["max-pods =", "\xff\xfe"])
def test_a_file_that_is_not_toml_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError, match="not a TOML file"):
        load(config=tmp_path / "c.toml")


def test_a_named_file_must_exist_the_default_one_need_not(tmp_path: Path) -> None:
    load(config=tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load("--config", str(tmp_path / "absent.toml"))


def test_an_unknown_environment_variable_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(environ={"PODWRIGHT_TEST_MAXPODS": "3"})
    assert "PODWRIGHT_TEST_MAXPODS" in caplog.text


def test_unknown_flags_and_abbreviations_are_refused() -> None:
    for flag in ("--nonsense", "--max"):
        with pytest.raises(SettingsError, match="unrecognized arguments"):
            load(flag, "3")


def test_repeated_settings_collect_and_replace(tmp_path: Path) -> None:
    config = write(tmp_path / "c.toml", 'san = ["x", "y"]\n')
    assert load(config=config).san == ("x", "y")
    assert load("--san", "a", "--san", "b", config=config).san == ("a", "b")
    assert load(environ={"PODWRIGHT_TEST_SAN": "c,d"}).san == ("c", "d")
    assert load(environ={"PODWRIGHT_TEST_SAN": ""}, config=config).san == ()


def test_a_list_where_one_value_belongs_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path / "c.toml", "max-pods = [1, 2]\n")
    with pytest.raises(SettingsError, match="max-pods: expected a whole number, found a list"):
        load(config=config)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--verbose"], True),
        (["--verbose=false"], False),
        (["--no-verbose"], False),
        (["--verbose", "--no-verbose"], False),
    ],
)
def test_switches(argv: list[str], expected: bool) -> None:
    assert load(*argv).verbose is expected


def test_a_required_setting_is_missed_by_name() -> None:
    table = (Setting(name="node-name", required=True, help="Name of this node."),)
    with pytest.raises(SettingsError, match="--node-name is required") as caught:
        load(table=table)
    assert "PODWRIGHT_TEST_NODE_NAME" in caught.value.hint
    assert load("--node-name", "n1", table=table).node_name == "n1"


def test_into_a_frozen_dataclass() -> None:
    @dataclass(frozen=True)
    class Typed:
        max_pods: int
        state_dir: Path

    assert load("--max-pods", "5").into(Typed) == Typed(5, Path("/var/lib/podwright"))


def test_help_shows_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load("--help")
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for setting in TABLE:
        assert setting.flag in shown
    assert "(default: 10.244.0.0/16)" in shown
    assert "(default: 10s)" in shown
    assert "100% is one." in shown
    assert "Node:" in shown


def test_the_reference_names_flag_environment_and_default() -> None:
    text = settings.reference(TABLE, prefix="PODWRIGHT_TEST_")
    assert "| `--max-pods` | `PODWRIGHT_TEST_MAX_PODS` | `110` | Pods per node. |" in text
    assert text.count("\n") == len(TABLE) + 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("500ms", 0.5), ("1h30m", 5400), ("0s", 0), ("1.5s", 1.5), ("2d", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert settings.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "10", "-1s", "1s2", "1 s", "1e3s", "10S"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError):
        settings.duration(text)


@given(st.integers(0, 10**10))
def test_a_shown_duration_reads_back_as_itself(milliseconds: int) -> None:
    shown = Setting(
        name="x", type=settings.duration, default=milliseconds / 1000, help=""
    ).shown_default()
    assert settings.duration(shown) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize("text", ["0", "65536", "x", ""])
def test_bad_ports(text: str) -> None:
    with pytest.raises(ValueError):
        settings.port(text)


@pytest.mark.parametrize("text", ["0", "-1", "x", ""])
def test_bad_counts(text: str) -> None:
    assert settings.count("1") == 1
    with pytest.raises(ValueError):
        settings.count(text)
