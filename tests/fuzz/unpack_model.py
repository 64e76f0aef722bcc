#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""unpack_model.py MODEL.safetensors > CORPUS_FILE: for fuzz_model.c, which says the form."""
import json
import struct
import sys

with open(sys.argv[1], "rb") as file:
    content = file.read()
end = 8 + struct.unpack("<Q", content[:8])[0]
header = json.loads(content[8:end])
metadata = header.pop("__metadata__")
table = json.dumps(header, separators=(",", ":"))[1:-1]
for text in (metadata["deepsad.manifest"], metadata.get("deepsad.reservoir", ""), table):
    sys.stdout.buffer.write(text.encode() + b"\0")
sys.stdout.buffer.write(content[end:])
