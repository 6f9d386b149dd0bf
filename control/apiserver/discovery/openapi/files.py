"""What the finished documents are called on disk: all that their maker and their server share.

The server must not import the maker, whose modules it would keep in memory and never use.
"""

V2_PATHS, V2_DEFINITIONS = "v2.paths.json.gz", "v2.definitions.json.gz"
"""The v2 document in two pieces, each up to the end of what it is called after, where the paths and
definitions of custom resources go; `V2_END` is the rest."""
V2_END = b"}}"
V2_PROTOBUF = "v2.pb.gz"
COMMON = "common.json.gz"
"""The v3 schemas that every kind refers to, whoever made it."""


def file_name(path: str) -> str:
    """The file of the document at this path of the v3 index: `api_v1.json.gz`."""
    return path.replace("/", "_") + ".json.gz"
