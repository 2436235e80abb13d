# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Compares what other tools read in a run's reports with its results.json: readers.py FOLDER NAME.

The tools are the kernel's parser of KTAP and junitparser. ci/readers.sh starts this in the sysroot.
"""

import json
import pathlib
import re
import subprocess
import sys

import junitparser

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


def cases(path):
    """Returns the cases of a JUnit file by suite, as junitparser reads them."""
    return [(suite, case) for suite in junitparser.JUnitXml.fromfile(path) for case in suite]


def check_junit(run, path):
    """Yields the differences between junit.xml, as junitparser reads it, and `run`."""
    prefix = run["name"] + "/"
    ours = [(suite, case) for suite, case in cases(path) if suite.name.startswith(prefix)]
    kinds = {"passed": 0, "failed": 0, "skipped": 0}
    for suite, case in ours:
        result = case.result[0] if case.result else None
        kind = {type(None): "passed", junitparser.Skipped: "skipped"}.get(type(result), "failed")
        kinds[kind] += 1
        if not case.classname or case.time is None:
            yield f"{path}: {suite.name}: {case.name} has no class or no time"
        if not suite.timestamp or not suite.hostname:
            yield f"{path}: {suite.name} has no time or no host"
    # A machine without a failure of its own passes as one more case. A program that hung is a
    # failure in two places: its case, and the machine's.
    machine = all(failure["kind"] == "case" for failure in run["failures"])
    expected = {"passed": run["passed"] + machine, "skipped": run["skipped"]}
    if any(kinds[kind] != count for kind, count in expected.items()):
        yield f"{path}: junitparser counts {kinds}, results.json gives {expected}"
    if (kinds["failed"] == 0) != run["good"]:
        yield f"{path}: junitparser counts {kinds['failed']} failures, results.json has good: {run['good']}"


def check_all_junit(paths):
    """Yields cases of several files that no reader of all of them can tell apart."""
    seen = {}
    merged = junitparser.JUnitXml("all")
    total = 0.0
    for path in paths:
        for _, case in cases(path):
            # A report that an older version of this project left here has no classes.
            if not case.classname:
                continue
            key = (case.classname, case.name)
            if key in seen:
                yield f"{path} and {seen[key]}: both have {key[0]} {key[1]}"
            seen[key] = path
            total += case.time or 0
        merged += junitparser.JUnitXml.fromfile(path)
    merged.update_statistics()
    if abs(merged.time - total) > 0.001 * (len(seen) + 1):
        yield f"merged, the cases take {merged.time} s, one by one {total} s"


def main():
    """Prints the differences. Exits with 1 if there is one."""
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    runs = json.loads((folder / "results.json").read_text())["runs"]
    run = next(run for run in runs if run["name"] == name)
    wrong = [
        *check_ktap(run, str(folder / "logs" / name / "results.ktap")),
        *check_junit(run, str(folder / "junit.xml")),
        *check_all_junit(sorted(map(str, {*folder.parent.glob("*/junit.xml"), folder / "junit.xml"}))),
    ]
    for line in wrong:
        print(f"ringbar: error: {line}", file=sys.stderr)
    sys.exit(bool(wrong))


main()
