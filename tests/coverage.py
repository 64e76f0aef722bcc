#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""coverage.py BUILD: branches that the suite took, by group of files, against their goals.

Of what gcovr reads in BUILD (a build with VARIANT=cov that the suite has run on). Ends
with 1 where a goal is missed. Left out: branches of assert(), which cannot be taken; those
that gcovr knows the compiler made; and, of the sum, the kernels of src/nn/*_kernel.inc,
which are compiled into dozens of copies, by width of vector and by shape, each with its
own branches, of which a processor's width and a test's shapes take a few: they are shown
beside.
"""
import argparse
import fnmatch
import json
import subprocess
import sys

# The first group that a file fits is its own; "all" is every file.
GROUPS = [
    ("parsers", 85, [
        "src/data/*", "src/base/number*", "src/base/setting*", "src/base/flatyaml*",
        "src/base/utf8*", "src/base/json*", "src/base/commas*", "src/base/identifier*",
        "src/api/json_*", "src/api/csv_rows*", "src/api/npy_rows*", "src/api/raw_rows*",
        "src/api/rows*", "src/api/infer_grammar*", "src/api/infer_check*",
        "src/api/infer_data*", "src/api/label_rows*", "src/api/body*", "src/api/options*",
        "src/api/cursor*", "src/api/tensor_type*", "src/http/head*", "src/http/query*",
        "src/http/request*", "src/http/router*", "src/nn/architecture_parse*"]),
    ("store", 85, ["src/store/*"]),
    ("model loader", 85, [
        "src/model/model_file*", "src/model/manifest*", "src/model/safetensors*",
        "src/model/ensemble_file*", "src/model/training_set_file*", "src/model/version*",
        "src/model/catalog*", "src/model/registry*", "src/model/component*",
        "src/model/live*", "src/model/policy*", "src/model/import*"]),
]
ALL_GOAL = 75


def read(build):
    report = subprocess.run(
        ["gcovr", "--root", ".", "--filter", "src/", "--object-directory", build,
         "--exclude-unreachable-branches", "--exclude-throw-branches",
         "--exclude-lines-by-pattern", r".*\bassert\(.*", "--json"],
        check=True, capture_output=True, text=True).stdout
    files = {}
    for file in json.loads(report)["files"]:
        branches = [b["count"] for line in file["lines"] for b in line["branches"]
                    if not line.get("gcovr/noncode")]
        lines = [line["count"] for line in file["lines"] if not line.get("gcovr/noncode")]
        files[file["file"]] = (sum(c > 0 for c in branches), len(branches),
                               sum(c > 0 for c in lines), len(lines))
    return files


def percent(part, whole):
    return 100 * part / whole if whole else 100.0


def group_of(path):
    for name, _, patterns in GROUPS:
        if any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
            return name
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build")
    parser.add_argument("--files", action="store_true", help="each file, the worst first")
    options = parser.parse_args()
    files = read(options.build)
    rows = [(name, goal, [f for f in files if group_of(f) == name])
            for name, goal, _ in GROUPS]
    kernels = [f for f in files if fnmatch.fnmatch(f, "src/nn/*_kernel.inc")]
    rows.append(("kernels", 0, kernels))
    rows.append(("all others", ALL_GOAL, [f for f in files if f not in kernels]))
    missed = []
    print(f"{'':14} {'files':>5} {'branches':>15} {'':>6}  {'goal':>4} {'lines':>7}")
    for name, goal, members in rows:
        sums = [sum(files[f][i] for f in members) for i in range(4)]
        taken = percent(sums[0], sums[1])
        print(f"{name:14} {len(members):5} {sums[0]:7}/{sums[1]:<7} {taken:5.1f} %"
              f"  {goal:3}% {percent(sums[2], sums[3]):5.1f} %")
        if taken < goal:
            missed.append(name)
    if options.files:
        for path in sorted(files, key=lambda f: files[f][0] - files[f][1]):
            taken, all_, *_ = files[path]
            print(f"{taken:5}/{all_:<5} {percent(taken, all_):5.1f} %  "
                  f"{group_of(path) or '':13} {path}")
    if missed:
        sys.exit("below their goal: " + ", ".join(missed))


if __name__ == "__main__":
    main()
