"""TEMPORARY: merge patch only until api.patch lands."""

from __future__ import annotations

from typing import Any

import msgspec

from api import errors
from control.apiserver.registry.call import Call
from control.apiserver.registry.kinds import Kind
from control.apiserver.registry.updating import Change


def _merge(a: Any, b: Any) -> Any:
    if not isinstance(b, dict) or not isinstance(a, dict):
        return b
    r = dict(a)
    for k, v in b.items():
        if v is None:
            r.pop(k, None)
        else:
            r[k] = _merge(r.get(k), v)
    return r


def patcher(kind: Kind[Any], call: Call, body: bytes, content_type: str) -> Change:
    patch = msgspec.json.decode(body)

    async def change(current: Any) -> Any:
        tree = msgspec.json.decode(msgspec.json.encode(current))
        try:
            return kind.decode(msgspec.json.encode(_merge(tree, patch)))
        except msgspec.MsgspecError as e:
            raise errors.bad_request(str(e)) from None

    return change
