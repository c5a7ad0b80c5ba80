"""Test programs over a scratch copy of the engine's headers, and what became of a run of one of them.

A copy holds many mutants at once, each behind `raft_mutant(number)` (switch.hpp), so each program is compiled once and
run once a mutant, with RAFT_MUTANT=number in its environment. With no number it is the engine as it ships.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIMULATOR = "simulator"
EXPLORER = "explorer"
MAIN = ROOT / "tests/support/main.cpp"
REACHED = HERE / "reached.cpp"
PRECOMPILED = ("doctest/doctest.h", "algorithm", "functional", "map", "memory", "optional", "span", "sstream", "string",
               "variant", "vector", "raft/raft.hpp", "raft/memory_log.hpp", "support/cluster.hpp")


@dataclasses.dataclass
class Run:
    """How a run ended: passed, failed (a check that has a name), asserted (a promise of the engine's own), crashed,
    endless. Only `failed` and `asserted` are words about the engine."""
    how: str
    what: str = ""
    seeds: int = 0  # of the explorer: distinct states
    seconds: float = 0.0
    story: str = ""  # the explorer's

    @property
    def kills(self):
        return self.how in ("failed", "asserted")


def source_of(program):
    return ROOT / {SIMULATOR: "tests/sim/raft_sim.cpp", EXPLORER: "tests/explore/raft_explore.cpp"}.get(
        program, f"tests/{program}.cpp")


def included(path, known=None):
    """The file and all of the tree that it includes, by whatever way. A header of support/ stands for its .cpp, too."""
    known = set() if known is None else known
    if path in known or not path.exists():
        return known
    known.add(path)
    if path.parent.name == "support" and path.suffix == ".hpp":
        included(path.with_suffix(".cpp"), known)
    for name in re.findall(r'#include [<"]([^">]+)[">]', path.read_text(encoding="utf-8")):
        for folder in (ROOT / "include", ROOT / "tests", path.parent):
            included((folder / name).resolve(), known)
    return known


def sources_of(program):
    """What the program is compiled from."""
    if program in (SIMULATOR, EXPLORER):
        return [source_of(program)]
    support = sorted(path for path in included(source_of(program)) if path.parent.name == "support")
    more = [path for path in support if path.suffix == ".cpp"]
    return [source_of(program), MAIN, REACHED, *more]


class Programs:
    def __init__(self, include, scratch, jobs=os.cpu_count(), compiler="g++"):
        self.include = pathlib.Path(include)
        self.scratch = pathlib.Path(scratch)
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.compiler = os.environ.get("CXX", compiler)
        self.jobs = jobs
        where = [f"-I{self.include}", f"-I{ROOT / 'tests'}"]
        self.flags = ["-std=c++20", "-w", "-Wno-narrowing", "-DRAFT_CHECKED=1", *where]
        self.objects = {}
        self.precompiled = False

    def path(self, program):
        return self.scratch / program.replace("/", ".")

    def build(self, programs):
        """Compiles them. Ends with the compiler's words if one does not compile: that is nobody's kill."""
        if any(p not in (SIMULATOR, EXPLORER) for p in programs):
            self._precompile()
        wanted = dict.fromkeys(source for p in programs for source in sources_of(p))
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for source, made in zip(wanted, pool.map(self._compile, wanted)):
                self.objects[source] = made
            list(pool.map(self._link, programs))

    def _call(self, command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            errors = "\n".join(line for line in done.stderr.splitlines() if "error:" in line)
            raise SystemExit(f"{' '.join(map(str, command))}\n{errors or done.stderr[:4000]}")

    def _precompile(self):
        head = self.scratch / "precompiled.hpp"
        if self.precompiled:
            return
        self.precompiled = True
        head.write_text(f'#include "{HERE / "switch.hpp"}"\n' + "".join(f"#include <{n}>\n" for n in PRECOMPILED))
        once = ["-fpch-instantiate-templates"] if "clang" in self.compiler else []
        self._call([self.compiler, "-O0", *self.flags, *once, "-x", "c++-header", head, "-o", f"{head}.gch"])

    def _compile(self, source):
        if source in self.objects:
            return self.objects[source]
        made = self.scratch / (str(source.relative_to(ROOT)).replace("/", ".") + ".o")
        long_runs = source in map(source_of, (SIMULATOR, EXPLORER))
        simulates = source.parent.name == "sim"
        alone = source in (MAIN, REACHED) or long_runs or simulates or "RAFT_ASSERT_FAILED" in source.read_text(
            encoding="utf-8")
        head = HERE / "switch.hpp" if alone else self.scratch / "precompiled.hpp"
        how = ["-O1"] if long_runs or simulates else ["-O0"]
        if source == source_of(EXPLORER):
            how = ["-O2", "-URAFT_CHECKED", "-DRAFT_CHECKED=0"]  # what finds a mutant is to be an invariant
        self._call([self.compiler, *self.flags, *how, "-include", head, "-c", source, "-o", made])
        return made

    def _link(self, program):
        own = [self.objects[source] for source in sources_of(program)]
        self._call([self.compiler, *own, "-o", self.path(program), "-pthread"])

    # ------------------------------------------------------------------------------------------------ runs

    def test(self, program, mutant=None, cases=(), limit=20.0):
        """These test cases, or all, up to the first failure. The limit is in seconds of processor time."""
        arguments = [self.path(program), "--no-colors", "--abort-after=1", "--no-version"]
        if cases:
            arguments.append("--test-case=" + ",".join(c.replace("\\", "\\\\").replace(",", "\\,") for c in cases))
        code, text, seconds = self._run(arguments, mutant, limit)
        return Run(*_verdict_of_test(code, text, cases), 1, seconds)

    def simulate(self, mutant, first, last, events=20000, limit=600.0):
        """Seeds, up to the first that breaks an invariant."""
        code, text, seconds = self._run([self.path(SIMULATOR), "--seeds", f"{first}..{last}", "--events", str(events)],
                                        mutant, limit)
        found = re.search(r"^seed (\d+): (.*)$", text, re.MULTILINE)
        if code == 0:
            return Run("passed", f"clean in seeds {first}..{last}", last - first + 1, seconds)
        if code is None or not found:
            return Run("endless" if code is None else "crashed", text[-200:], 0, seconds)
        how = "asserted" if code == 3 else "failed"
        return Run(how, found[2], int(found[1]) - first + 1, seconds)

    def explore(self, mutant, scope, limit=900.0):
        """Every state of a scope, up to the first that breaks an invariant."""
        arguments = [self.path(EXPLORER), "--scope", scope, "--threads", str(self.jobs)]
        code, text, seconds = self._run(arguments, mutant, limit)
        found = re.search(r"^ *broken: (.*)$", text, re.MULTILINE)
        states = re.search(r" (?:BROKEN|COMPLETE) +(\d+)", text)
        if code is None or not states:
            return Run("endless" if code is None else "crashed", text[-200:], 0, seconds)
        if not found:
            return Run("passed", f"{scope} is complete", int(states[1]), seconds)
        steps = re.search(r"\(a story of (\d+) steps\)", text)
        story = "".join(re.findall(r"^  .*\n", text, re.MULTILINE))
        return Run("failed", f"{found[1]} ({scope}, a story of {steps[1]} steps)", int(states[1]), seconds, story)

    def reached(self, program):
        """Runs all of a program with no mutant on: [(name, seconds, numbers)], for each of its test cases, in order,
        the mutants that it comes by."""
        seen = self.scratch / "reached"
        seen.unlink(missing_ok=True)
        code, text, _ = self._run([self.path(program), "--no-colors"], None, 600.0, {"RAFT_REACHED": str(seen)})
        if code != 0:
            raise SystemExit(f"{program} fails without any mutant:\n{text[-3000:]}")
        lines = (line.split("\t") for line in seen.read_text(encoding="utf-8").splitlines())
        return [(name, float(seconds), set(map(int, numbers.split()))) for seconds, name, numbers in lines]

    def _run(self, arguments, mutant, limit, more=()):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAFT_")} | dict(more)
        environment["RAFT_SECONDS"] = str(int(limit))
        if mutant is not None:
            environment["RAFT_MUTANT"] = str(mutant)
        began = time.monotonic()
        try:
            done = subprocess.run(list(map(str, arguments)), env=environment, cwd=self.scratch, timeout=5 * limit,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        except subprocess.TimeoutExpired as late:
            return None, (late.stdout or b"").decode(errors="replace"), time.monotonic() - began
        code = None if done.returncode == -signal.SIGXCPU else done.returncode
        return code, done.stdout.decode(errors="replace"), time.monotonic() - began


def _verdict_of_test(code, text, cases):
    if code is None:
        return "endless", ""
    ran = re.search(r"test cases:\s+(\d+) \|", text)
    if code == 0:
        if cases and (not ran or int(ran[1]) < len(cases)):
            raise SystemExit(f"no test cases are called: {cases}")
        return "passed", ""
    broken = re.search(r"^raft: .*?([\w./]+):(\d+): broken: (.*)$", text, re.MULTILINE)
    if broken:
        return "asserted", f"{pathlib.Path(broken[1]).name}: {broken[3]}"
    failed = re.search(r"^TEST CASE:\s+(.*)\n(?:.*\n)*?.*?([\w.]+):(\d+): (?:FATAL )?ERROR: (.*)", text, re.MULTILINE)
    if failed and not re.search("CRASHED|THREW", failed[4]):
        return "failed", f"{failed[1].strip()} ({failed[2]}:{failed[3]})"
    return "crashed", text[-300:]
