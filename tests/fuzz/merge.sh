#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# merge.sh FUZZER FOUND CORPUS: adds to CORPUS the inputs of FOUND that reach what none of
# CORPUS does: the shortest first, below 4 KiB, until CORPUS has 64 files.
set -eu
fuzzer=$1 found=$2 corpus=$3
[ -d "$found" ] || exit 0
kept=$(mktemp -d)
copy=$(mktemp -d) # a campaign that is under way removes what it has found a shorter form of
trap 'rm -rf "$kept" "$copy"' EXIT
cp "$corpus"/* "$kept"
cp -r "$found/." "$copy" 2>/dev/null || true
before=$(ls "$kept" | wc -l)
"$fuzzer" -merge=1 -max_len=4095 -timeout=10 "$kept" "$copy" >/dev/null 2>&1
room=$((64 - before))
for name in $(ls -rS "$kept"); do
    [ "$room" -gt 0 ] || break
    [ -e "$corpus/$name" ] && continue
    cp "$kept/$name" "$corpus/found-$(echo "$name" | cut -c1-12)"
    room=$((room - 1))
done
echo "$corpus: $(ls "$corpus" | wc -l) files"
