"""Killers that are no test programs but scripts: they read, or compile, a copy of the tree with one patch applied.

Such a patch may change what lies outside of functions. It is killed if the script says that the one thing fails which
the patch names, and why; what fails besides, or for another reason, kills nothing.
"""

import dataclasses
import re
import shutil
import subprocess
import sys
import time

import patches
import programs

COMPILE, TIDY = "compile/run.py", "tidy/check.py"


@dataclasses.dataclass
class Check:
    arguments: list
    failed: str  # what follows FAILED, up to a colon
    says: str    # what the script, or the compiler by it, says


CHECKS = {
    (TIDY, "no_banned_include"): Check([], "no_banned_include", "includes <"),
    (COMPILE, "two_units"): Check(["--compiler", "g++", "two_units"], "g++ two units", "multiple definition"),
    (COMPILE, "noexcept"): Check(["--compiler", "g++", "noexcept"], "g++ -fno-exceptions -fno-rtti",
                                 "exception handling disabled"),
}


def is_script(program):
    return program in (COMPILE, TIDY)


def run(patch, killer, where):
    """Applies the patch to a copy of the tree at `where`, and runs the script there."""
    shutil.copytree(programs.ROOT, where, ignore=shutil.ignore_patterns("build", "build-*", ".git", ".cache"))
    by_file = {}
    for e in patch.edits(programs.ROOT):
        by_file.setdefault(e.file, []).append(e)
    for file, edits in by_file.items():
        (where / file).write_text(patches.apply(edits, (programs.ROOT / file).read_text(encoding="utf-8")),
                                  encoding="utf-8")
    check = CHECKS[killer.program, killer.what]
    began = time.monotonic()
    done = subprocess.run([sys.executable, where / "tests" / killer.program, *check.arguments], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - began
    shutil.rmtree(where)
    failed = re.findall(r"^FAILED ([^:\n]*)", done.stdout, re.MULTILINE)
    said = next((line.strip() for line in done.stdout.splitlines() if check.says in line), None)
    if failed == [check.failed] and said:
        return programs.Run("failed", f"{killer.what}: {said}", 1, seconds)
    return programs.Run("failed otherwise" if done.returncode else "passed", ", ".join(failed), 1, seconds)
