"""ConfigMap, Secret and ServiceAccount: what pods read. Walk step 4."""

import json
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from api import validation
from api.core import ConfigMap, Secret, ServiceAccount
from api.fielderrors import FieldError, Path, forbidden, invalid, required, too_long
from api.scheme import resource_of
from control.resources.checks import check_immutable
from control.resources.columns import AGE
from control.resources.strategy import Column, Strategy

MAX_DATA_BYTES = 1024 * 1024
_NEEDED_KEYS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_JSON_KEYS = (".dockerconfigjson", ".dockercfg")
_CREDENTIALS = ("username", "password")
ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"

T = TypeVar("T", ConfigMap, Secret)


class _DataStrategy(Strategy[T], Generic[T]):
    """Keys with values, at most 1 MiB in all, frozen once `immutable` is true."""

    def generation_changes(self, new: T, old: T) -> bool:
        return False

    def _immutable_errors(self, new: T, old: T) -> Iterator[FieldError]:
        if not old.immutable:
            return
        if not new.immutable:
            yield forbidden(Path("immutable"), "field is immutable when `immutable` is set")
        if new.data != old.data:
            yield forbidden(Path("data"), "field is immutable when `immutable` is set")


class ConfigMapStrategy(_DataStrategy[ConfigMap]):
    """Text under `data`, bytes under `binaryData`, no key in both."""

    columns = (
        Column(
            "Data",
            "string",
            lambda config, now: str(len(config.data) + len(config.binary_data)),
            description="Number of keys.",
        ),
    )

    def validate(self, obj: ConfigMap) -> list[FieldError]:
        errors = list(_key_errors(Path("data"), obj.data))
        errors += _key_errors(Path("binaryData"), obj.binary_data)
        errors += [
            invalid(Path("data").key(key), key, "duplicate of key present in binaryData")
            for key in obj.data
            if key in obj.binary_data
        ]
        size = sum(len(text.encode()) for text in obj.data.values())
        size += sum(len(data) for data in obj.binary_data.values())
        if size > MAX_DATA_BYTES:
            errors.append(too_long(Path("data"), MAX_DATA_BYTES))
        return errors

    def validate_update(self, new: ConfigMap, old: ConfigMap) -> list[FieldError]:
        errors = [*self.validate(new), *self._immutable_errors(new, old)]
        if old.immutable and new.binary_data != old.binary_data:
            errors.append(
                forbidden(Path("binaryData"), "field is immutable when `immutable` is set")
            )
        return errors


class SecretStrategy(_DataStrategy[Secret]):
    """`stringData` is write-only and merged into `data`; the type never changes."""

    columns = (
        Column("Type", "string", lambda secret, now: secret.type),
        Column("Data", "string", lambda secret, now: str(len(secret.data))),
    )

    def default(self, obj: Secret) -> None:
        obj.type = obj.type or "Opaque"
        if obj.string_data:
            written = {key: text.encode() for key, text in obj.string_data.items()}
            obj.data = {**obj.data, **written}
            obj.string_data = {}

    def validate(self, obj: Secret) -> list[FieldError]:
        path = Path("data")
        errors = list(_key_errors(path, obj.data))
        if sum(len(data) for data in obj.data.values()) > MAX_DATA_BYTES:
            errors.append(too_long(path, MAX_DATA_BYTES))
        return [*errors, *_type_errors(obj, path)]

    def validate_update(self, new: Secret, old: Secret) -> list[FieldError]:
        return [
            *self.validate(new),
            *check_immutable(Path("type"), new.type, old.type),
            *self._immutable_errors(new, old),
        ]

    def prepare_update(self, new: Secret, old: Secret) -> None:
        super().prepare_update(new, old)
        new.type = new.type or old.type

    def fields(self, obj: Secret) -> dict[str, str]:
        return {"type": obj.type}

    def selectable_fields(self) -> frozenset[str]:
        return super().selectable_fields() | {"type"}


class ServiceAccountStrategy(Strategy[ServiceAccount]):
    """An identity for pods. Its tokens are no part of it: they are asked for and forgotten."""

    columns = (
        Column("Secrets", "string", lambda account, now: str(len(account.secrets))),
        AGE,
    )


def _key_errors(path: Path, keys: Iterable[str]) -> Iterator[FieldError]:
    for key in keys:
        for why in validation.config_map_key(key):
            yield invalid(path.key(key), key, why)


def _type_errors(secret: Secret, path: Path) -> Iterator[FieldError]:
    """Whether what the type promises is there."""
    for key in _NEEDED_KEYS.get(secret.type, ()):
        if key not in secret.data or (key == "ssh-privatekey" and not secret.data[key]):
            yield required(path.key(key), "")
        elif key in _JSON_KEYS:
            yield from _json_errors(path.key(key), secret.data[key])
    if secret.type == "kubernetes.io/basic-auth" and not secret.data.keys() & set(_CREDENTIALS):
        for key in _CREDENTIALS:
            yield required(path.key(key), "")
    if secret.type == "kubernetes.io/service-account-token":
        if not secret.metadata.annotations.get(ACCOUNT_ANNOTATION):
            yield required(Path("metadata").child("annotations").key(ACCOUNT_ANNOTATION), "")


def _json_errors(path: Path, data: bytes) -> Iterator[FieldError]:
    """The value itself is a secret and must not appear in the message."""
    try:
        sound = isinstance(json.loads(data), dict)
    except ValueError:
        sound = False
    if not sound:
        yield invalid(path, "<secret contents redacted>", "must be a JSON object")


CONFIG_MAP = ConfigMapStrategy(resource_of(ConfigMap))
SECRET = SecretStrategy(resource_of(Secret))
SERVICE_ACCOUNT = ServiceAccountStrategy(resource_of(ServiceAccount))
