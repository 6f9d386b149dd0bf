"""The grammar of names: labels, subdomains, keys, ports, variables, with Kubernetes' messages.

Serves step 1 of the pod's walk (validation) and the parsers of selectors. Each function takes a
value and returns the list of what is wrong with it, empty when nothing is; the caller adds the
path (`api.fielderrors.invalid`). Pure; regular expressions are compiled once.
"""

from __future__ import annotations

import ipaddress
import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_KEY})?"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"

_LABEL_RE = re.compile(_LABEL)
_SUBDOMAIN_RE = re.compile(_SUBDOMAIN)
_DNS1035_RE = re.compile(_DNS1035)
_KEY_RE = re.compile(_KEY)
_VALUE_RE = re.compile(_VALUE)
_C_IDENTIFIER_RE = re.compile(_C_IDENTIFIER)
_CONFIG_KEY_RE = re.compile(_CONFIG_KEY)
_HEADER_RE = re.compile(_HEADER)
_PERCENT_RE = re.compile(_PERCENT)
_WILDCARD_RE = re.compile(_WILDCARD)
_PORT_CHARACTERS_RE = re.compile("[-a-z0-9]+")

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253


def too_long(limit: int) -> str:
    """The message for a value longer than `limit`."""
    return f"must be no more than {limit} bytes"


def dns1123_label(value: str) -> list[str]:
    """A name that is one DNS label: namespaces, containers, volumes."""
    errors = _length(value, LABEL_LENGTH)
    if not _LABEL_RE.fullmatch(value):
        if _SUBDOMAIN_RE.fullmatch(value):
            errors.append("must not contain dots")
        else:
            errors.append(
                _regex_error(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters "
                    "or '-', and must start and end with an alphanumeric character",
                    _LABEL,
                    "my-name",
                    "123-abc",
                )
            )
    return errors


def dns1123_subdomain(value: str) -> list[str]:
    """A name of several DNS labels: pods, nodes, most objects."""
    errors = _length(value, SUBDOMAIN_LENGTH)
    if not _SUBDOMAIN_RE.fullmatch(value):
        errors.append(
            _regex_error(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                "characters, '-' or '.', and must start and end with an alphanumeric character",
                _SUBDOMAIN,
                "example.com",
            )
        )
    return errors


def dns1035_label(value: str) -> list[str]:
    """A DNS label that starts with a letter: services."""
    errors = _length(value, LABEL_LENGTH)
    if not _DNS1035_RE.fullmatch(value):
        errors.append(
            _regex_error(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
                "start with an alphabetic character, and end with an alphanumeric character",
                _DNS1035,
                "my-name",
                "abc-123",
            )
        )
    return errors


def wildcard_subdomain(value: str) -> list[str]:
    """`*.example.com`: ingress hosts."""
    errors = _length(value, SUBDOMAIN_LENGTH)
    if not _WILDCARD_RE.fullmatch(value):
        errors.append(
            _regex_error(
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS "
                "subdomain, which must consist of lower case alphanumeric characters, '-' or '.' "
                "and end with an alphanumeric character",
                _WILDCARD,
                "*.example.com",
            )
        )
    return errors


def qualified_name(value: str) -> list[str]:
    """`name` or `prefix.example.com/name`: keys of labels, annotations, taints, resources."""
    prefix, slash, name = value.partition("/")
    if not slash:
        prefix, name = "", value
    key_error = _regex_error(
        "must consist of alphanumeric characters, '-', '_' or '.', "
        "and must start and end with an alphanumeric character",
        _KEY,
        "MyName",
        "my.name",
        "123-abc",
    )
    if "/" in name:
        hint = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {key_error} {hint}"]
    errors: list[str] = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        errors.extend(f"prefix part {error}" for error in dns1123_subdomain(prefix))
    if not name:
        errors.append("name part must be non-empty")
    elif _bytes(name) > LABEL_LENGTH:
        errors.append(f"name part {too_long(LABEL_LENGTH)}")
    if not _KEY_RE.fullmatch(name):
        errors.append(f"name part {key_error}")
    return errors


def label_value(value: str) -> list[str]:
    """The value of a label."""
    errors = _length(value, LABEL_LENGTH)
    if not _VALUE_RE.fullmatch(value):
        errors.append(
            _regex_error(
                "a valid label must be an empty string or consist of alphanumeric characters, "
                "'-', '_' or '.', and must start and end with an alphanumeric character",
                _VALUE,
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return errors


def port_number(value: int) -> list[str]:
    """A TCP or UDP port."""
    return in_range(value, 1, 65535)


def port_name(value: str) -> list[str]:
    """An IANA service name, as ports are named."""
    errors = _length(value, 15)
    if not _PORT_CHARACTERS_RE.fullmatch(value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def env_var_name(value: str) -> list[str]:
    """The name of an environment variable: printable ASCII other than `=`, since Kubernetes 1.34."""
    errors = [] if value else ["environment variable name must be non-empty"]
    if any(not " " <= character <= "~" or character == "=" for character in value):
        errors.append(
            "a valid environment variable name must consist only of printable ASCII characters "
            "other than '='"
        )
    return errors


def c_identifier(value: str) -> list[str]:
    """An identifier of C; `envFrom` skips keys that are not one in old clusters."""
    if _C_IDENTIFIER_RE.fullmatch(value):
        return []
    return [
        _regex_error(
            "a valid C identifier must start with alphabetic character or '_', followed by a "
            "string of alphanumeric characters or '_'",
            _C_IDENTIFIER,
            "my_name",
            "MY_NAME",
            "MyName",
        )
    ]


def config_map_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret; it becomes a file name."""
    errors = _length(value, SUBDOMAIN_LENGTH)
    if not _CONFIG_KEY_RE.fullmatch(value):
        errors.append(
            _regex_error(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                _CONFIG_KEY,
                "key.name",
                "KEY_NAME",
                "key-name",
            )
        )
    if value == ".":
        errors.append("must not be '.'")
    elif value == "..":
        errors.append("must not be '..'")
    elif value.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def http_header_name(value: str) -> list[str]:
    """The name of an HTTP header, as probes send it."""
    if _HEADER_RE.fullmatch(value):
        return []
    message = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [_regex_error(message, _HEADER, "X-Header-Name")]


def percent(value: str) -> list[str]:
    """`25%`."""
    if _PERCENT_RE.fullmatch(value):
        return []
    message = "a valid percent string must be a numeric string followed by an ending '%'"
    return [_regex_error(message, _PERCENT, "1%", "93%")]


def path_segment(value: str) -> list[str]:
    """A name that can be one segment of a URL path: what every name must be at least."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in ("/", "%") if character in value]


def ip_address(value: str) -> list[str]:
    """An IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    # Python accepts a scope (fe80::1%eth0), which Go and the wire do not.
    return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"] if "%" in value else []


def cidr(value: str) -> list[str]:
    """A network in prefix notation."""
    try:
        ipaddress.ip_network(value, strict=False)
        valid = "/" in value and value.rpartition("/")[2].isdigit()
    except ValueError:
        valid = False
    return [] if valid else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def in_range(value: int, low: int, high: int) -> list[str]:
    """A number between two bounds, both allowed."""
    return [] if low <= value <= high else [f"must be between {low} and {high}, inclusive"]


def user_id(value: int) -> list[str]:
    """A Unix user or group id."""
    return in_range(value, 0, 0xFFFFFFFF)


def _length(value: str, limit: int) -> list[str]:
    return [too_long(limit)] if _bytes(value) > limit else []


def _bytes(value: str) -> int:
    return len(value.encode("utf-8", "surrogatepass"))


def _regex_error(message: str, regex: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{regex}')"
