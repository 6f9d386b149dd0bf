"""One documented table of settings per process, from which everything else is generated.

A `Setting` is written once; the command line, the environment variables, the TOML file, `--help`
and the reference in the docs all come from it. Where a value is given in several places, the flag
wins over the environment, the environment over the file, the file over the default. An error names
the place the value came from, the setting, what was expected and what was found (never the value
of a secret).

Pure but for reading the one file: arguments and environment are passed in.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import ipaddress
import logging
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from base.errors import PermanentError

log = logging.getLogger(__name__)

T = TypeVar("T")


class SettingsError(PermanentError):
    """A setting that cannot be used, or a command line that cannot be understood."""


# -- what a value may be: functions from text, whose docstring says what is expected --------------


def duration(text: str) -> float:
    """a duration such as 500ms, 10s, 1m30s or 2h"""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return math.fsum(float(number) * units[unit] for number, unit in parts)


def port(text: str) -> int:
    """a port number from 1 to 65535"""
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueError(text)
    return number


def count(text: str) -> int:
    """a whole number above 0"""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def cidr(text: str) -> str:
    """an address range such as 10.244.0.0/16"""
    if "/" not in text:
        raise ValueError(text)
    return str(ipaddress.ip_network(text))


def address(text: str) -> str:
    """an IP address such as 192.0.2.10"""
    return str(ipaddress.ip_address(text))


def boolean(text: str) -> bool:
    """true or false"""
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
        text.lower()
    ]


def _integer(text: str) -> int:
    """a whole number"""
    return int(text)


def _number(text: str) -> float:
    """a number"""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _text(text: str) -> str:
    """text"""
    return text


def _path(text: str) -> Path:
    """a path"""
    if not text:
        raise ValueError(text)
    return Path(text).expanduser()


_BUILTIN: dict[object, Callable[[str], Any]] = {
    bool: boolean,
    int: _integer,
    float: _number,
    str: _text,
    Path: _path,
}


# -- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting. `default=None` means that it is not set; the help then says what that means."""

    name: str  # as on the command line, without the dashes: "cluster-cidr"
    help: str
    type: Callable[[str], Any] = str  # str, int, float, bool, Path, or a function above
    default: Any = None
    metavar: str = ""
    choices: Sequence[str] = ()
    group: str = ""  # the heading under which --help shows it
    secret: bool = False  # never shown: not in --help, not in an error, not in statistics
    repeated: bool = False  # may be given several times; the value is a tuple
    required: bool = False

    @property
    def field(self) -> str:
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    def variable(self, prefix: str) -> str:
        return prefix + self.name.replace("-", "_").upper()

    def expected(self) -> str:
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return (_BUILTIN.get(self.type, self.type).__doc__ or "a valid value").strip()

    def shown_default(self) -> str:
        if self.secret or self.default in (None, "", ()):
            return ""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if self.repeated:
            return ",".join(str(one) for one in self.default)
        if self.type is duration:
            return _format_duration(self.default)
        return str(self.default)


class Values(Mapping[str, Any]):
    """The values of a table: by name, by attribute, or as a frozen dataclass; and where from."""

    def __init__(self, table: Sequence[Setting], values: Mapping[str, Any], sources: Any) -> None:
        self._table = {setting.name: setting for setting in table}
        self._values = dict(values)
        self._sources: dict[str, str] = dict(sources)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, field: str) -> Any:
        try:
            return self._values[field.replace("_", "-")]
        except KeyError:
            raise AttributeError(field) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = (
            f"{name}={'(secret)' if self._table[name].secret and value else repr(value)}"
            for name, value in self._values.items()
        )
        return f"Values({', '.join(shown)})"

    def source(self, name: str) -> str:
        """Where the value came from, in words: "flag --x", "default", ..."""
        return self._sources[name]

    def into(self, cls: type[T]) -> T:
        """A dataclass whose fields are settings of this table (`cluster-cidr` → `cluster_cidr`)."""
        names = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
        return cls(**{name: getattr(self, name) for name in names})


# -- loading --------------------------------------------------------------------------------------


def load(
    table: Sequence[Setting],
    argv: Sequence[str],
    *,
    program: str,
    description: str,
    environ: Mapping[str, str],
    prefix: str,
    default_config: Path | None = None,
) -> Values:
    """Read every setting of `table`. `default_config` is read if it exists and --config is absent."""
    flags = parser(
        table, program=program, description=description, prefix=prefix, config=default_config
    ).parse_args(argv)
    loader = _Loader(table, prefix)
    config = flags.config or environ.get(f"{prefix}CONFIG")
    if config is not None:
        loader.add_file(Path(config))
    elif default_config is not None and default_config.exists():
        loader.add_file(default_config)
    loader.add_environment(environ)
    loader.add_flags(vars(flags))
    return loader.finish()


class _Loader:
    """Collects values from the weakest source to the strongest; later ones replace earlier ones."""

    def __init__(self, table: Sequence[Setting], prefix: str) -> None:
        self._table = table
        self._prefix = prefix
        self._values: dict[str, Any] = {setting.name: setting.default for setting in table}
        self._sources = {setting.name: "default" for setting in table}
        for setting in table:
            if setting.repeated:
                self._values[setting.name] = tuple(setting.default or ())

    def add_file(self, path: Path) -> None:
        content = _read_toml(path)
        known = {setting.name: setting for setting in self._table}
        for name, value in content.items():
            if name not in known:
                raise SettingsError(
                    f"{path}: there is no setting {name!r}",
                    hint=_closest(name, known) or "Run with --help to see every setting.",
                )
            self._set(known[name], _from_toml(value), f"{path}: {name}")

    def add_environment(self, environ: Mapping[str, str]) -> None:
        known = {setting.variable(self._prefix) for setting in self._table}
        for variable in sorted(environ):
            if (
                variable.startswith(self._prefix)
                and variable not in known
                and variable != f"{self._prefix}CONFIG"
            ):
                log.warning("environment variable %s names no setting; ignored", variable)
        for setting in self._table:
            variable = setting.variable(self._prefix)
            if (text := environ.get(variable)) is not None:
                given = text.split(",") if setting.repeated else [text]
                if setting.repeated and text == "":
                    given = []
                self._set(setting, given, f"environment variable {variable}")

    def add_flags(self, flags: Mapping[str, Any]) -> None:
        for setting in self._table:
            value = flags.get(setting.field)
            if value is None:
                continue
            given = value if isinstance(value, list) else [str(value)]
            self._set(setting, given, f"flag {setting.flag}")

    def finish(self) -> Values:
        for setting in self._table:
            if setting.required and self._values[setting.name] in (None, "", ()):
                raise SettingsError(
                    f"{setting.flag} is required: {setting.help}",
                    hint=f"Give {setting.flag} or set {setting.variable(self._prefix)}.",
                )
        return Values(self._table, self._values, self._sources)

    def _set(self, setting: Setting, given: Sequence[str], source: str) -> None:
        if not setting.repeated and len(given) != 1:
            raise SettingsError(f"{source}: expected {setting.expected()}, found a list")
        converted = tuple(_convert(setting, text, source) for text in given)
        self._values[setting.name] = converted if setting.repeated else converted[0]
        self._sources[setting.name] = source


def _convert(setting: Setting, text: str, source: str) -> Any:
    try:
        if setting.choices and text not in setting.choices:
            raise ValueError(text)
        return _BUILTIN.get(setting.type, setting.type)(text)
    except (ValueError, KeyError) as error:
        found = "another value" if setting.secret else repr(text)
        raise SettingsError(
            f"{source}: expected {setting.expected()}, found {found}",
            hint=f"{setting.name}: {setting.help}",
        ) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def _from_toml(value: Any) -> list[str]:
    """The text of a TOML value, so that every source goes through the same conversion."""
    if isinstance(value, list):
        return [text for one in value for text in _from_toml(one)]
    if isinstance(value, bool):
        return [str(value).lower()]
    return [str(value)]


def _closest(name: str, known: Mapping[str, Setting]) -> str:
    matches = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {matches[0]!r}?" if matches else ""


# -- what is generated from the table -------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(
            f"{self.prog}: {message}", hint=f"See `{self.prog} --help` for every setting."
        )


def parser(
    table: Sequence[Setting],
    *,
    program: str,
    description: str,
    prefix: str,
    config: Path | None = None,
) -> argparse.ArgumentParser:
    """The command line of a table. Values stay text here: conversion is the same for all sources."""
    made = _Parser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog=(
            f"Every setting may also be given as an environment variable ({prefix}NAME, dashes as\n"
            "underscores) or as a line of the TOML file named by --config (name = value).\n"
            "Flags win over the environment, the environment over the file."
        ),
    )
    default = f" (default: {config}, if it exists)" if config is not None else ""
    made.add_argument("--config", metavar="FILE", help=f"TOML file with settings{default}")
    groups: dict[str, Any] = {"": made}
    for setting in table:
        if setting.group not in groups:
            groups[setting.group] = made.add_argument_group(setting.group)
        _add_argument(groups[setting.group], setting)
    return made


def _add_argument(group: Any, setting: Setting) -> None:
    shown = setting.shown_default()
    text = (setting.help + (f" (default: {shown})" if shown else "")).replace("%", "%%")
    if setting.type in (bool, boolean):
        group.add_argument(
            setting.flag,
            dest=setting.field,
            nargs="?",
            const="true",
            metavar="true|false",
            help=text,
        )
        group.add_argument(
            f"--no-{setting.name}",
            dest=setting.field,
            action="store_const",
            const="false",
            help=argparse.SUPPRESS,
        )
        return
    group.add_argument(
        setting.flag,
        dest=setting.field,
        action="append" if setting.repeated else "store",
        metavar=setting.metavar or _metavar(setting),
        help=text + (" May be given several times." if setting.repeated else ""),
    )


def _metavar(setting: Setting) -> str:
    if setting.choices:
        return "|".join(setting.choices)
    names: dict[object, str] = {
        Path: "PATH", int: "N", float: "N", duration: "DURATION", port: "PORT", cidr: "CIDR",
        address: "IP", count: "N",
    }  # fmt: skip
    return names.get(setting.type, setting.name.rsplit("-", 1)[-1].upper())


def reference(table: Sequence[Setting], *, prefix: str) -> str:
    """The table as Markdown, for the docs."""
    lines = ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    for setting in table:
        default = setting.shown_default()
        lines.append(
            f"| `{setting.flag}` | `{setting.variable(prefix)}` "
            f"| {f'`{default}`' if default else ''} | {setting.help.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(lines) + "\n"


def _format_duration(seconds: float) -> str:
    text = ""
    left = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"
