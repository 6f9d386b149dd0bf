"""Paths that are not resources: health, version, metrics, discovery, OpenAPI.

Clients read most of these before step 1 of a pod's walk. `Paths.table` maps the first segment to its
handler; whoever adds a path adds it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from api.scheme import Catalogue
from control.apiserver.discovery import groups, oidc
from control.apiserver.discovery.documents import Document
from control.apiserver.discovery.version import version
from control.apiserver.http import responses
from control.apiserver.http.negotiation import parse_accept
from control.apiserver.http.pipeline import PathHandler
from control.apiserver.http.query import Query
from control.apiserver.removed import discovering

Check = Callable[[], Awaitable[str]]
"""A health check: returns "" when all is well, else what is not."""


class Paths:
    """Handlers of the paths that are not resources."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        checks: Mapping[str, Check],
        ready_checks: Mapping[str, Check],
        metrics: CollectorRegistry,
        server_address: str,
        others: Mapping[str, PathHandler] | None = None,
    ) -> None:
        ready = {**checks, **ready_checks}
        # What is on its way out is well. The old word for both means all that can be wrong.
        health = {name: check for name, check in ready.items() if name != "shutdown"}
        self._checks = {"livez": dict(checks), "healthz": health, "readyz": ready}
        self._metrics = metrics
        self._version = Document.of(version())
        self._catalogue = catalogue
        self._server_address = server_address
        self._make_groups()
        catalogue.on_change(self._make_groups)
        self.table: dict[str, PathHandler] = {
            "": self.root,
            "healthz": self.health,
            "livez": self.health,
            "readyz": self.health,
            "version": self.version,
            "metrics": self.metrics,
            "api": self.api,
            "apis": self.apis,
            **(others or {}),
        }

    def _make_groups(self) -> None:
        """The documents that name every group; their hashes tell clients that something changed."""
        catalogue = self._catalogue
        self._core = Document.of(groups.api_versions(catalogue, self._server_address))
        self._groups = Document.of(groups.api_group_list(catalogue))
        self._aggregated = {
            (name, core): Document.of(
                groups.aggregated(catalogue, name, core=core),
                f"application/json;g={groups.AGGREGATED_GROUP};v={name};as=APIGroupDiscoveryList",
            )
            for name in groups.AGGREGATED_VERSIONS
            for core in (True, False)
        }

    async def root(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        """The paths there are, for who begins to look around: `curl localhost:8001/`."""
        catalogue = self._catalogue
        paths = {"/api", "/apis", "/metrics", "/openapi/v2", "/openapi/v3", "/version"}
        paths |= {oidc.CONFIGURATION, oidc.JWKS}
        for group, name in catalogue.group_versions():
            base = f"/apis/{group}" if group else "/api"
            paths |= {base, f"{base}/{name}"}
        for root, checks in self._checks.items():
            paths |= {f"/{root}", *(f"/{root}/{name}" for name in checks)}
        return responses.json_response(responses.encode({"paths": sorted(paths)}))

    async def version(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        return self._version.respond(http)

    async def metrics(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        response = responses.text_response("")
        response.body = generate_latest(self._metrics)
        response.headers["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
        return response

    async def health(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        """`ok`, or 500 with a line per check; `?verbose` shows the lines in any case."""
        checks = self._checks[parts[0]]
        if len(parts) > 1:
            checks = {name: check for name, check in checks.items() if name == parts[1]}
            if not checks:
                return responses.page_not_found()
        excluded = set(query.many("exclude"))
        unknown = excluded - set(checks)
        lines, failed = [], False
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
                continue
            problem = await check()
            failed = failed or bool(problem)
            lines.append(f"[-]{name} failed: {problem}" if problem else f"[+]{name} ok")
        if failed:
            lines.append(f"{parts[0]} check failed")
            return responses.text_response("\n".join(lines) + "\n", code=500)
        if query.has("verbose"):
            if unknown:
                named = ", ".join(f'"{name}"' for name in sorted(unknown))
                lines.append(f"warn: some health checks cannot be excluded: no matches for {named}")
            lines.append(f"{parts[0]} check passed")
            return responses.text_response("\n".join(lines) + "\n")
        return responses.text_response("ok")

    async def api(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        if len(parts) == 1:
            return self._aggregate(http, core=True) or self._core.respond(http)
        if len(parts) == 2:
            return _found(http, groups.api_resource_list(self._catalogue, "", parts[1]))
        return responses.page_not_found()

    async def apis(
        self, http: web.BaseRequest, parts: list[str], query: Query
    ) -> web.StreamResponse:
        match parts[1:]:
            case []:
                return self._aggregate(http, core=False) or _old(http, self._groups)
            case [group]:
                return _found(http, _group(http, group, self._catalogue))
            case [group, name]:
                found = groups.api_resource_list(self._catalogue, group, name)
                return _found(http, found or discovering.resources(group, name))
        return responses.page_not_found()

    def _aggregate(self, http: web.BaseRequest, *, core: bool) -> web.Response | None:
        """The new form of discovery, for clients that want one of its versions most."""
        for _, parameters in parse_accept(http.headers.get("Accept", "")):
            if parameters.get("as") != "APIGroupDiscoveryList":
                return None
            document = self._aggregated.get((parameters.get("v", ""), core))
            if document is not None and parameters.get("g") == groups.AGGREGATED_GROUP:
                old = not core and discovering.wanted(http.headers)
                return (discovering.aggregated(document) if old else document).respond(http)
        return None


def _old(http: web.BaseRequest, document: Document) -> web.StreamResponse:
    shown = discovering.groups(document) if discovering.wanted(http.headers) else document
    return shown.respond(http)


def _group(http: web.BaseRequest, name: str, catalogue: Catalogue) -> dict[str, object] | None:
    found = groups.api_group(catalogue, name)
    return discovering.group(name, found) if discovering.wanted(http.headers) else found


def _found(http: web.BaseRequest, value: dict[str, object] | None) -> web.StreamResponse:
    return Document.of(value).respond(http) if value else responses.page_not_found()
