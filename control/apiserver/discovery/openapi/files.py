"""What the finished documents are called on disk: all that their maker and their server share.

The server must not import the maker, whose modules it would keep in memory and never use.
"""

V2_JSON, V2_PROTOBUF = "v2.json.gz", "v2.pb.gz"


def file_name(path: str) -> str:
    """The file of the document at this path of the v3 index: `api_v1.json.gz`."""
    return path.replace("/", "_") + ".json.gz"
