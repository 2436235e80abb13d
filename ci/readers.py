# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Compares what another tool reads in a run's reports with its results.json: readers.py FOLDER NAME.

The tool is the kernel's parser of KTAP. ci/readers.sh starts this in the sysroot.
"""

import json
import pathlib
import re
import subprocess
import sys

KUNIT = "/kernel/src/tools/testing/kunit/kunit.py"


def read_ktap(path):
    """Returns the exit status of the kernel's parser, its counts, and its complaints."""
    ended = subprocess.run(
        [sys.executable, "-B", KUNIT, "parse", path], capture_output=True, text=True, check=False
    )
    summary = re.search(r"Testing complete\. Ran [0-9]+ tests: ?(.*)", ended.stdout)
    if summary is None:
        return ended.returncode, {}, [ended.stdout[-500:] + ended.stderr[-500:]]
    counts = {word: int(number) for word, number in re.findall(r"(\w+): ([0-9]+)", summary[1])}
    errors = [line for line in ended.stdout.splitlines() if "[ERROR]" in line]
    return ended.returncode, counts, errors


def check_ktap(run, path):
    """Yields the differences between results.ktap, as the kernel's parser reads it, and `run`."""
    status, counts, errors = read_ktap(path)
    yield from (f"{path}: kunit.py: {error}" for error in errors[:10])
    expected = {key: run[key] for key in ("passed", "failed", "skipped") if run[key]}
    if counts != expected:
        yield f"{path}: kunit.py counts {counts}, results.json {expected}"
    if (status == 0) != run["good"]:
        yield f"{path}: kunit.py ends with {status}, results.json has good: {run['good']}"


def main():
    """Prints the differences. Exits with 1 if there is one."""
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    runs = json.loads((folder / "results.json").read_text())["runs"]
    run = next(run for run in runs if run["name"] == name)
    wrong = [
        *check_ktap(run, str(folder / "logs" / name / "results.ktap")),
    ]
    for line in wrong:
        print(f"ringbar: error: {line}", file=sys.stderr)
    sys.exit(bool(wrong))


main()
