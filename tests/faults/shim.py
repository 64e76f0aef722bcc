# SPDX-License-Identifier: Apache-2.0
"""The test's side of the fault shim: fault_shim.h says what is what."""
import errno
import mmap
import os
import struct

CLASSES = ("write", "sync", "open", "rename", "remove", "truncate", "mkdir", "read", "look", "lock",
           "memory")
ONCE, FROM_THERE_ON, SHORT = range(3)
MODES = ("once", "from there on", "short")
BYTES = 4096
FIELDS = ("armed", "class", "at", "mode", "number", "failed", "thread")
ERRNO = {"memory": errno.ENOMEM, "write": errno.ENOSPC, "mkdir": errno.ENOSPC}


class Control:
    """The mapped file that the program under test shares with the test."""

    def __init__(self, library, path, folder):
        path.write_bytes(bytes(BYTES))
        self.environment = {"LD_PRELOAD": str(library), "FAULT_CONTROL": str(path),
                            "FAULT_FOLDER": str(folder)}
        file = os.open(path, os.O_RDWR)
        self.map = mmap.mmap(file, BYTES)
        os.close(file)

    def put(self, field, value):
        struct.pack_into("q", self.map, 8 * FIELDS.index(field), value)

    def get(self, field):
        return struct.unpack_from("q", self.map, 8 * FIELDS.index(field))[0]

    def count(self, kind):
        """Calls of that class since it was armed."""
        return struct.unpack_from("q", self.map, 8 * (len(FIELDS) + CLASSES.index(kind)))[0]

    def arm(self, kind=None, at=0, mode=ONCE, number=None):
        """From now on calls are counted, and the one chosen fails."""
        self.disarm()
        for i in range(len(CLASSES)):
            struct.pack_into("q", self.map, 8 * (len(FIELDS) + i), 0)
        self.put("class", CLASSES.index(kind) if kind else -1)
        self.put("at", at)
        self.put("mode", mode)
        self.put("number", number or ERRNO.get(kind, errno.EIO))
        self.put("failed", 0)
        self.put("armed", 1)

    def disarm(self):
        self.put("armed", 0)
