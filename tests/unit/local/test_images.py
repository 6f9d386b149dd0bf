from __future__ import annotations

import io
import tarfile

from local.host import images


def test_a_layer_holds_the_program_its_applets_and_files() -> None:
    data = images.layer(b"program", ["sh", "busybox", "sh"], {"bin/hello": "#!/bin/sh\n"})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        assert len(names) == len(set(names))
        assert archive.getmember("bin/sh").linkname == "busybox"
        assert archive.getmember("bin/busybox").mode == 0o755
        assert archive.getmember("bin/hello").mode == 0o755
        assert archive.getmember("etc/passwd").mode == 0o644
        assert archive.getmember("tmp").mode == 0o1777


def test_the_same_layer_twice_is_the_same() -> None:
    assert images.layer(b"x", ["a", "b"], {}) == images.layer(b"x", ["b", "a"], {})
