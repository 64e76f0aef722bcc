# SPDX-License-Identifier: Apache-2.0
"""Checks the layering: a folder of src/ includes only itself and what stands below it, each
.c includes its own .h first, and the doors to libraries are where they should be."""
import pathlib
import re
import sys

BELOW = {  # folder: the folders it may include besides itself
    "base": [],
    "nn": ["base"],
    "data": ["base", "nn"],
    "onnx": ["base"],
    "model": ["base", "nn", "data", "onnx"],
    "store": ["base"],
    "access": ["base"],
    "http": ["base", "access"],
    "learn": ["base", "nn", "data", "model", "store"],
    "api": ["base", "nn", "data", "model", "store", "access", "http", "learn"],
    "tool": ["base", "nn", "data", "model", "store", "access"],
    "daemon": ["base", "nn", "data", "model", "store", "access", "http", "learn", "api"],
}
DOORS = {  # system header: where alone it may be included
    "gnutls/gnutls.h": r"src/http/tls\.[ch]",
    "gnutls/abstract.h": r"src/http/tls\.[ch]",
    "gnutls/x509.h": r"src/http/tls\.[ch]",
    "cblas.h": r"src/nn/matrix\.c",
    "microhttpd.h": r"src/http/.*",
    "sqlite3.h": r"src/store/sqlite.*",
    "yaml.h": r"src/base/.*",
    "zlib.h": r"src/data/.*",
    "onnx.pb-c.h": r"src/onnx/.*",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def faults(path):
    folder = path.parts[1]
    includes = INCLUDE.findall(path.read_text())
    for kind, name in includes:
        if kind == "<":
            door = DOORS.get(name)
            if door and not re.fullmatch(door, path.as_posix()):
                yield f"{path}: includes <{name}>, which only {door} may"
        elif name != "deepsad.h" and name.split("/")[0] not in [folder] + BELOW[folder]:
            yield f"{path}: {folder}/ includes \"{name}\", which is not below it"
    header = path.with_suffix(".h")
    if path.suffix == ".c" and path.name != "main.c":
        own = ("\"", header.relative_to("src").as_posix())
        if not includes or includes[0] != own:
            yield f"{path}: does not include \"{own[1]}\" first"


found = [f for p in sorted(pathlib.Path("src").glob("*/*.[ch]")) for f in faults(p)]
print("\n".join(found) or "layers: clean")
sys.exit(bool(found))
