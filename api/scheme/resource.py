"""One row of the scheme: what routing, discovery and storage need to know of a resource. Walk step 1."""

from dataclasses import dataclass

from api.struct import ApiStruct

ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


POSTED = ("create",)
SHOWN = ("get", "list")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object: `status`, `log`, `exec`, `scale`, …

    `kind`, `group` and `version` name the body's type where it is not the parent's own.
    """

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One row of the API: everything that routing, discovery and storage need to know."""

    group: str
    version: str
    kind: str
    plural: str
    type: type[ApiStruct]
    namespaced: bool
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    stored_as: str = ""
    """The apiVersion in which its objects are kept, where that is another one (`ALTERNATES`)."""
    warning: str = ""
    """What every client of it is told: that the kind, or this version of it, is on its way out."""

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept. What can only be created is answered and forgotten, what
        can only be read is made when it is asked for, and what has no verbs has only subresources,
        which are made so, too.
        """
        return self.verbs not in (POSTED, SHOWN, ())

    @property
    def api_version(self) -> str:
        """`v1` for the core group, `group/version` otherwise."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified_name(self) -> str:
        """`pods`, `deployments.apps`: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def base_path(self) -> str:
        """`/api/v1` or `/apis/GROUP/VERSION`."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def prefix(self, namespace: str = "") -> str:
        """The store's key prefix, with a trailing slash; of one namespace when it is given."""
        group = f"{self.group}/" if self.group else ""
        return f"/registry/{group}{self.plural}/" + (f"{namespace}/" if namespace else "")

    def key(self, namespace: str, name: str) -> str:
        """The store's key of one object."""
        return self.prefix(namespace if self.namespaced else "") + name

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, an object or its subresource."""
        path = self.base_path
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        for part in (name, subresource):
            if part:
                path += f"/{part}"
        return path

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, if the kind has it."""
        return next((item for item in self.subresources if item.name == name), None)


PROXIED = ("create", "delete", "get", "patch", "update")
STATUS = Subresource("status", ("get", "patch", "update"))
SCALE = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")
