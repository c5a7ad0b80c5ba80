#!/usr/bin/env python3
"""Breaks the engine on purpose, one row at a time, and shows what notices it.

  bash tests/mutants.sh              the three rules that everything rests on
  bash tests/mutants.sh --all        every patch in tests/mutants/rows
  bash tests/mutants.sh NAME...      those whose names begin so: B60, rule_session
  bash tests/mutants.sh --fast       every patch, by its tests alone
  bash tests/mutants.sh --explorer   every patch that the explorer finds, by it alone
  bash tests/mutants.sh --features   every patch that breaks a feature of the table in include/raft/README.md, by the
                                     test that the table names; prints the table
  bash tests/mutants.sh --check      only looks whether every patch applies, whether what it names is there, whether
                                     every row has a patch or a reason, and every feature a patch

CXX, SEEDS (2000) and JOBS can be set; STORIES=1 prints the explorer's stories. A killer has to fail by a check that has
a name: a test case, an invariant, a promise of the engine's own (RAFT_ASSERT), a house rule. A crash of a test, an
endless run and a compile error are nobody's kill, but where what the compiler says is the test (scripts.py).
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import features
import patches
import programs
import scripts

ROWS = programs.HERE / "rows"
AWAY = ROWS / "away.txt"
INCLUDE = programs.ROOT / "include"
THREE = ("B152_own_vote", "rule_truncate_on_every_append", "B60_")
ROW_COUNT = 120


def load():
    return [patches.Patch(path) for path in sorted(ROWS.glob("*.patch"))]


def rows_away():
    """The rows that cannot apply: id, what, why, the test that shows it."""
    away = {}
    for block in AWAY.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if not lines:
            continue
        found = re.match(r"(B\d+) (.*)", lines[0])
        shown = [line.removeprefix("Shown by: ") for line in lines if line.startswith("Shown by: ")]
        why = " ".join(line.strip() for line in lines[1:] if not line.startswith("Shown by: "))
        if not found or not why or not shown:
            raise SystemExit(f"{AWAY}: a row has its id, a reason, and what shows it:\n{block}")
        away[found[1]] = (found[2], why, shown[0])
    return away


# ---------------------------------------------------------------------------------------------------- --check

def test_case_exists(program, case):
    """The names of test cases are literals, perhaps several in a row."""
    text = programs.source_of(program).read_text(encoding="utf-8")
    names = (re.sub(r'"\s*"', "", found) for found in re.findall(r'TEST_CASE\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)', text))
    return any(name.strip().strip('"').replace('\\"', '"') == case for name in names)


def check_killer(killer):
    if killer.program == programs.SIMULATOR:
        invariant = re.match(r"I\d+", killer.what)
        if not invariant:
            return
        sources = [*programs.ROOT.glob("tests/sim/*.hpp"), *INCLUDE.glob("raft/testing/**/*.hpp")]
        if not any(f'"{invariant[0]}' in path.read_text(encoding="utf-8") for path in sources):
            raise ValueError(f"the simulator has no invariant {invariant[0]}")
    elif scripts.is_script(killer.program):
        if (killer.program, killer.what) not in scripts.CHECKS:
            raise ValueError(f"{killer.program} has no check {killer.what}")
    elif not programs.source_of(killer.program).exists():
        raise ValueError(f"there is no program {killer.program}")
    elif killer.program == programs.EXPLORER:
        if f'"{killer.what}"' not in (programs.ROOT / "tests/explore/scopes.hpp").read_text(encoding="utf-8"):
            raise ValueError(f"the explorer has no scope {killer.what}")
    elif not test_case_exists(killer.program, killer.what):
        raise ValueError(f"{killer.program} has no test case {killer.what}")


def by_scripts(patch):
    """Whether scripts kill it, which is so of all that kill it or of none: the patch may lie outside of functions."""
    if len({scripts.is_script(killer.program) for killer in patch.killers}) != 1:
        raise ValueError("what kills it are scripts, or none is")
    return scripts.is_script(patch.killers[0].program)


def check():
    passed, wrong = 0, []
    rows, texts, every = {}, read_headers(), load()
    for patch in every:
        try:
            patch.edits(programs.ROOT) if by_scripts(patch) else patch.by_function(programs.ROOT, texts)
            for killer in patch.killers:
                check_killer(killer)
            for row in re.findall(r"\bB\d+\b", patch.head["Row"]):
                rows.setdefault(row, patch.name)
            passed += 1
        except ValueError as why:
            wrong.append(f"{patch.name}: {why}")
    for row, (_, _, shown) in rows_away().items():
        program, _, case = shown.partition(" ")
        if row in rows:
            wrong.append(f"{row} is said to be away and has the patch {rows[row]}")
        elif program.startswith("tests/"):
            if not (programs.ROOT / program).exists():
                wrong.append(f"{row}: there is no {program}")
        elif not test_case_exists(program, case.strip('"')):
            wrong.append(f"{row}: {program} has no test case {case}")
        rows[row] = "away"
    if len(rows) != ROW_COUNT:
        wrong.append(f"{len(rows)} rows have a patch or a reason, not {ROW_COUNT}")
    wrong += features.unbroken(features.table(), every)
    print("\n".join(wrong), end="\n" if wrong else "")
    print(f"{passed} passed, {len(wrong)} failed")
    return not wrong


# ---------------------------------------------------------------------------------------------------- running them

def write_copy(where, texts):
    shutil.copytree(INCLUDE, where, dirs_exist_ok=True)
    for file, text in texts.items():
        (where / pathlib.Path(file).relative_to("include")).write_text(text, encoding="utf-8")
    return where


def read_headers():
    return {str(path.relative_to(programs.ROOT)): path.read_text(encoding="utf-8")
            for path in sorted(INCLUDE.rglob("*.hpp"))}


def after(run, killer):
    unit = {programs.SIMULATOR: "seed", programs.EXPLORER: "state"}.get(killer.program)
    return f" after {run.seeds} {unit}{'' if run.seeds == 1 else 's'}" if unit else ""


def is_kill(run, killer):
    """By the check that the patch names, and no other."""
    return run.kills and (run.how == "asserted" or killer.what in run.what)


def run_killer(built, number, killer, seeds):
    if killer.program == programs.SIMULATOR:
        return built.simulate(number, 1, seeds)
    if killer.program == programs.EXPLORER:
        return built.explore(number, killer.what)
    return built.test(killer.program, number, [killer.what])


def report(patch, killer, run):
    good = is_kill(run, killer)
    how = f"killed{after(run, killer)}" if good else f"NOT KILLED ({run.how}, {run.seconds:.0f} s)"
    what = " ".join(run.what.split())[:200]
    print(f"{patch.name:56} {killer.program:27} {run.seconds:6.2f} s  {how}: {what}", flush=True)
    if os.environ.get("STORIES"):
        print(run.story, end="", flush=True)
    return patch, killer, run, good


def build(merged, scratch):
    """The programs that kill the patches, over one copy with all of them; with none on, what is to kill passes."""
    texts = read_headers()
    changed = patches.merge({n: patch.by_function(programs.ROOT, texts) for n, patch in enumerate(merged)}, texts)
    copy = write_copy(scratch / "merged", changed)
    built = programs.Programs(copy, scratch / "programs", int(os.environ.get("JOBS", os.cpu_count())))
    killers = [killer for patch in merged for killer in patch.killers]
    wanted = sorted({killer.program for killer in killers})
    began = time.monotonic()
    built.build(wanted)
    print(f"{len(merged)} mutants in {len(wanted)} programs, built in {time.monotonic() - began:.0f} s", flush=True)
    for program in wanted:
        if program not in (programs.SIMULATOR, programs.EXPLORER):
            cases = {killer.what for killer in killers if killer.program == program}
            run = built.test(program, None, sorted(cases), 600.0)
            if run.how != "passed":
                raise SystemExit(f"{program} does not pass without any mutant: {run.how} {run.what}")
    return built


def run_all(chosen, seeds, scratch):
    """(patch, killer, run, whether it killed) of each."""
    alone = [patch for patch in chosen if by_scripts(patch)]
    merged = [patch for patch in chosen if not by_scripts(patch)]
    kills = [report(patch, killer, scripts.run(patch, killer, scratch / "tree"))
             for patch in alone for killer in patch.killers]
    if merged:
        built = build(merged, scratch)
        kills += [report(patch, killer, run_killer(built, number, killer, seeds))
                  for number, patch in enumerate(merged) for killer in patch.killers]
    return kills


def killed_by(every, wanted):
    """The patches that have such killers, with those alone."""
    for patch in every:
        patch.killers = [k for k in patch.killers if wanted(patch, k)]
    return [patch for patch in every if patch.killers]


def choose(arguments, every, rows):
    """The patches that are asked for; None if the arguments make no sense."""
    if arguments == ["--all"]:
        return every
    if arguments == ["--fast"]:
        return killed_by(every, lambda _, k: k.program not in (programs.SIMULATOR, programs.EXPLORER))
    if arguments == ["--explorer"]:
        return killed_by(every, lambda _, k: k.program == programs.EXPLORER)
    if arguments == ["--features"]:
        return killed_by(every, lambda patch, k: any(features.names(rows[n], k) for n in patch.features))
    if any(a.startswith("-") for a in arguments):
        return None
    return [p for p in every if p.name.startswith(tuple(arguments) or THREE)]


def main(arguments):
    if arguments == ["--check"]:
        return 0 if check() else 1
    rows = features.table()
    chosen = choose(arguments, load(), rows)
    if chosen is None:
        print(__doc__)
        return 2
    if not chosen:
        print("no patch is called so", file=sys.stderr)
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        kills = run_all(chosen, int(os.environ.get("SEEDS", "2000")), pathlib.Path(scratch))
    good = sum(killed for _, _, _, killed in kills)
    bad = len(kills) - good
    if arguments == ["--all"]:
        print("\nRows that cannot apply:")
        for row, (what, why, shown) in rows_away().items():
            print(f"{row} {what}: {why} [{shown}]")
    if arguments == ["--features"]:
        print("\nThe features of include/raft/README.md:")
        good, bad = features.show(rows, kills)
    print(f"took {time.monotonic() - began:.0f} s")
    print(f"{good} passed, {bad} failed")
    return 0 if bad == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
