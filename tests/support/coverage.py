#!/usr/bin/env python3
"""Lines and branches of include/raft that the tests ran. Usage: coverage.py BUILD_FOLDER [--missed]

Reads gcov's JSON of every object under BUILD_FOLDER. What is counted, so that the shares can be judged:
- A line counts as run if one instantiation of its template, in one program, ran it; a branch likewise, told apart from
  the others of its line by its place among them. A line with branches has two for each condition in it.
- The build has no optimisation (-O0: nothing is merged or removed), no exceptions (so no branch that only an exception
  takes; gcov's mark of those is heeded all the same), and no assertions (their failing side ends the program).
- What is always inline (settle.hpp says why) is a function here (-Dalways_inline=unused): gcov knows no function for
  what it finds in its callers only, and so cannot tell one instantiation from the next.
- Left out are the branches of defaulted functions, which are the compiler's.
- What runs in constant evaluation only counts as not run: no counter counts there.
- The testing headers (testing/) are counted apart: what they do not run is a matter of seeds.
With --missed, every line and branch that was not run is listed, with the reason that not_covered.txt gives, or a star
where it gives none. Closes with the two shares. Fails below 99 % of lines and 97 % of branches, and where what was not
run has no reason.
"""

import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEADERS = (ROOT / "include" / "raft").as_posix() + "/"
APART = "testing/"
LEAST_LINES = 99
LEAST_BRANCHES = 97


def documents(folder):
    """gcov's JSON document of each object that ran."""
    data = sorted(path.resolve().as_posix() for path in folder.rglob("*.gcda"))
    for path in data:
        done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", path], check=True,
                              capture_output=True, text=True)
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def branches_of_one(functions, line):
    """How many of the line's branches belong to one instantiation of the template that it is in.

    gcov lists a line of a function template once for each instantiation, under its name; but a line of a lambda in it,
    which for gcov ends where it begins, once only, with the branches of all instantiations in a row. Those are folded
    if they repeat, as they then have to, the pattern of one."""
    branches = line["branches"]
    around = [f for f in functions if f["start_line"] <= line["line_number"] <= f["end_line"]]
    if "function_name" in line or not around:
        return len(branches)
    outer = max(f["start_line"] for f in around)
    inner = [(f["start_line"], f["start_column"]) for f in functions if f in around or
             outer < f["start_line"] <= line["line_number"] and f["start_line"] == f["end_line"]]
    each, left = divmod(len(branches), inner.count(max(inner)))
    pattern = [branch["fallthrough"] for branch in branches]
    return each if left == 0 and pattern == pattern[:each] * inner.count(max(inner)) else len(branches)


def collect(folder):
    """file -> line -> [times run, {branch number: times taken}]"""
    files = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, collections.Counter()]))
    for document in documents(folder):
        for file in document["files"]:
            path = pathlib.Path(document.get("current_working_directory", "."), file["file"]).resolve().as_posix()
            if not path.startswith(HEADERS):
                continue
            for line in file["lines"]:
                seen = files[path[len(HEADERS):]][line["line_number"]]
                seen[0] += line["count"]
                each = branches_of_one(file["functions"], line)
                for number, branch in enumerate(line["branches"]):
                    if not branch["throw"]:
                        seen[1][number % each] += branch["count"]
    for name, lines in files.items():
        source = source_of(name)
        for number, seen in lines.items():
            if source[number - 1].endswith("= default;"):
                seen[1].clear()
    return files


def source_of(name):
    return pathlib.Path(HEADERS, name).read_text(encoding="utf-8").splitlines()


def reasons():
    """(header, how the line begins, why it is not run) of each line of not_covered.txt."""
    listed = pathlib.Path(__file__).with_name("not_covered.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(" | ", 2) for line in listed if line and not line.startswith("#")]


def reason_of(known, name, text):
    """Why that line is not run, and that the reason was of use."""
    for entry in known:
        header, beginning, why = entry[:3]
        if header == name and (beginning == "*" or text.startswith(beginning)):
            entry[3:] = ["used"]
            return why
    return None


def share(part, whole):
    return f"{part:5d} of {whole:5d}  {100 * part / whole:5.1f} %" if whole else "    - of     -      - %"


def print_missed(name, lines, known):
    """Lists what was not run of one header; answers how much of it has no reason."""
    unexplained = 0
    source = source_of(name)
    for number, (count, taken) in sorted(lines.items()):
        never = [str(branch) for branch, times in sorted(taken.items()) if not times]
        if count and not never:
            continue
        what = "not run" if not count else "branch " + " ".join(never)
        why = reason_of(known, name, source[number - 1].strip())
        unexplained += why is None
        print(f"  {' ' if why else '*'} {number:4d} {what:14} {source[number - 1].strip()}")
        if why:
            print(f"{'':24}-- {why}")
    return unexplained


def print_table(files, known):
    """Prints the shares of each header, and with `known` what was missed; answers the sums, and what has no reason."""
    total = [0, 0, 0, 0]
    unexplained = 0
    print(f"{'include/raft/':32} {'lines':>24} {'branches':>24}")
    for name, lines in sorted(files.items()):
        branches = [times for _, taken in lines.values() for times in taken.values()]
        figures = [sum(1 for count, _ in lines.values() if count), len(lines),
                   sum(1 for times in branches if times), len(branches)]
        total = [a + b for a, b in zip(total, figures)]
        print(f"{name:32} {share(*figures[:2]):>24} {share(*figures[2:]):>24}")
        if known is not None:
            unexplained += print_missed(name, lines, known)
    return total, unexplained


def main():
    files = collect(pathlib.Path(sys.argv[1]))
    engine = {name: lines for name, lines in files.items() if not name.startswith(APART)}
    apart = {name: lines for name, lines in files.items() if name.startswith(APART)}
    if not engine:
        print("no header under include/raft was run")
        return 1
    if apart:
        print_table(apart, None)
        print()
    known = reasons() if "--missed" in sys.argv else None
    total, unexplained = print_table(engine, known)
    if known is not None:
        for header, beginning, *_ in (entry for entry in known if len(entry) == 3):
            print(f"not_covered.txt names what is covered, or gone: {header}: {beginning}")
        print(f"lines without a reason: {unexplained}")
    print(f"{'all':32} {share(*total[:2]):>24} {share(*total[2:]):>24}")
    too_few = 100 * total[0] < LEAST_LINES * total[1] or 100 * total[2] < LEAST_BRANCHES * total[3]
    return 1 if too_few or unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
