#!/usr/bin/env python3
"""The general mutation pass over include/raft: does any test notice if an operator is another one?

  bash tests/mutants.sh --general                       every header but those of testing/, every mutant
  bash tests/mutants.sh --general --files impl/commit.hpp quorum.hpp
  bash tests/mutants.sh --general --sample 1000 --seed 1
  bash tests/mutants.sh --general --list                only says which there are

Mutants come from clang's syntax tree: a condition is negated, a comparison shifted to its border (< and <=), == turned
into !=, && into ||, a sum or a difference is off by one, next() and previous() do nothing, a truth that is returned is
the other one, a loop is skipped, a statement or an early return is dropped. All of them are in one scratch copy of the
headers, each behind its switch (switch.hpp). Each test program is compiled once over that copy and says which test
cases come by which mutants; then each mutant is run in those, the programs named after its header first, then the
quickest, until a check that has a name fails (`failed`) or a promise of the engine's own (`asserted`).

A mutant that is in equivalent.txt, with the reason, is not run. A run that crashes, or never ends, says nothing about
the checks: such mutants count neither as killed nor as alive, and are listed apart. The score is the share of the
killed in those whose runs end by themselves; mutants that no test comes by are in it, as alive. In constant evaluation
no mutant is on.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import random
import re
import sys
import tempfile
import time

import patches
import programs

RAFT = programs.ROOT / "include/raft"
EQUIVALENT = programs.HERE / "equivalent.txt"
NOT_ENGINE = re.compile(r"^unit/(kv_|explorer_|linearizability_)")
BAD_RUNS = 2  # crashes or endless runs of a mutant before nothing more is asked of it
LONG, LONG_OF_OWN = 0.1, 5.0  # seconds: test cases that take longer are left out, by program
GOAL = 90  # percent
ALIVE, NO_END = ("survived", "not reached"), ("endless", "crashed")
HOWS = ("failed", "asserted", *ALIVE, *NO_END)
OPERATORS = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal"}
TURNED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}


@dataclasses.dataclass
class Mutant:
    number: int
    file: str
    line: int
    what: str
    code: str    # the line, as it stands
    nth: int = 0 # of the same kind in an equal line of the file

    def parts(self):
        return self.file, self.what, str(self.nth), self.code

    def key(self):
        return " | ".join(self.parts())

    def __str__(self):
        return f"{self.file}:{self.line}: {self.what}: {self.code}"


# ---------------------------------------------------------------------------------------------------- the syntax tree

def bindings():
    """clang.cindex, from wherever Debian has put it."""
    sys.path.append("/usr/lib/python3/dist-packages")
    from clang import cindex  # pylint: disable=import-outside-toplevel
    cindex.Config.set_library_file("/usr/lib/llvm-19/lib/libclang-19.so.1")
    return cindex


class File:
    """The mutants of one header, and the text with all of them."""

    def __init__(self, name, text):
        self.name = name
        self.bytes = text.encode()
        self.mutants = []
        self.places = []   # (offset, rank, text): what is put in; closing ones first, the inner before the outer
        self.taken = []    # (begin, end): what goes
        self.seen = set()
        self.negated = set()  # the ranges of whole conditions
        self.asserts = [self._call_end(m.start()) for m in re.finditer(rb"\bRAFT_ASSERT(_FAILED)?\(", self.bytes)]

    def _call_end(self, at):
        depth = 0
        for i in range(at, len(self.bytes)):
            depth += {40: 1, 41: -1}.get(self.bytes[i], 0)
            if self.bytes[i] == 41 and depth == 0:
                return at, i
        raise ValueError("a parenthesis is not closed")

    def add(self, first, node_range, what):
        """Notes a mutant; its number, or None if it is there already, or no mutant can be on there."""
        begin, end = node_range
        if (begin, end, what) in self.seen or any(a <= begin <= b for a, b in self.asserts):
            return None
        if re.search(rb"\w<[^<>(){};]*$", self.bytes[:begin]) and re.match(rb"[^<>(){};]*>", self.bytes[end:]):
            return None  # an argument of a template
        self.seen.add((begin, end, what))
        line = self.bytes.count(b"\n", 0, begin) + 1
        code = self.bytes.splitlines()[line - 1].decode().strip()
        number = first + len(self.mutants)
        self.mutants.append(Mutant(number, self.name, line, what, code))
        return number

    def wrap(self, node_range, before, after):
        begin, end = node_range
        self.places.append((begin, (1, begin - end), before))
        self.places.append((end, (0, end - begin), after))

    def replace(self, begin, end, text):
        self.taken.append((begin, end))
        self.places.append((begin, (2, 0), text))

    def text(self):
        out, at = [], 0
        gone = sorted(self.taken)
        for offset, _, piece in sorted(self.places, key=lambda p: (p[0], p[1])):
            out.append(self._kept(at, offset, gone))
            out.append(piece.encode())
            at = offset
        out.append(self._kept(at, len(self.bytes), gone))
        return b"".join(out).decode()

    def _kept(self, begin, end, gone):
        kept = b""
        for a, b in gone:
            if begin <= a and b <= end:
                kept += self.bytes[begin:a]
                begin = b
        return kept + self.bytes[begin:end]


class Finder:
    def __init__(self, cindex, names):
        self.kinds = cindex.CursorKind
        self.number = 0
        self.files = {}
        self.wanted = set(names)
        includes = "".join(f"#include <raft/{name}>\n" for name in sorted(names) if not name.startswith("impl/"))
        includes += "#include <raft/raft.hpp>\n"
        unit = cindex.Index.create().parse("all.cpp", args=["-std=c++20", f"-I{programs.ROOT / 'include'}", "-w"],
                                           unsaved_files=[("all.cpp", includes)])
        errors = [str(d) for d in unit.diagnostics if d.severity >= 3]
        if errors:
            raise SystemExit("\n".join(errors))
        for node in unit.cursor.get_children():
            if node.location.file and self._name(node):
                self.declaration(node)

    def _name(self, node):
        path = pathlib.Path(node.location.file.name).resolve() if node.location.file else None
        if path is None or RAFT not in path.parents:
            return None
        return str(path.relative_to(RAFT))

    def _file(self, node):
        name = self._name(node)
        if name is None or name not in self.wanted:
            return None
        if name not in self.files:
            self.files[name] = File(name, (RAFT / name).read_text(encoding="utf-8"))
        return self.files[name]

    def declaration(self, node):
        """Looks for bodies of functions."""
        for child in node.get_children():
            if child.kind == self.kinds.COMPOUND_STMT:
                file = self._file(child)
                if file is not None and file.bytes[self.range(child)[0]:][:1] == b"{":  # not `= default`
                    self.statement(file, child)
            elif child.kind.is_declaration():
                self.declaration(child)

    # ------------------------------------------------------------------------------------------------ one node

    @staticmethod
    def range(node):
        return node.extent.start.offset, node.extent.end.offset

    def _mutant(self, file, node_range, what):
        number = file.add(self.number - len(file.mutants), node_range, what)
        if number is not None:
            self.number += 1
        return number

    def statement(self, file, node):
        """A statement or an expression, and all in it."""
        kinds, kind = self.kinds, node.kind
        children = list(node.get_children())
        begin, end = self.range(node)
        source = file.bytes[begin:end]
        if kind == kinds.VAR_DECL and b"constexpr" in file.bytes[max(0, begin - 20):begin + 20]:
            children = [c for c in children if c.kind == kinds.LAMBDA_EXPR]
        elif kind == kinds.IF_STMT:
            if re.match(rb"if\s+constexpr\b", source):
                children = children[1:]
            elif re.match(rb"if\s+\(std::is_constant_evaluated\(\)\)", source):
                children = children[2:]  # there no mutant is on
            else:
                self.condition(file, children)
                self.early_return(file, node, children)
        elif kind == kinds.CONDITIONAL_OPERATOR:
            self.negate(file, children[0])
        elif kind == kinds.WHILE_STMT:
            self.no_round(file, children[0])
        elif kind == kinds.FOR_STMT:
            self.for_condition(file, node, children)
        elif kind == kinds.LAMBDA_EXPR:
            children = [c for c in children if c.kind == kinds.COMPOUND_STMT]
        elif kind in (kinds.REQUIRES_EXPR, kinds.CONCEPT_SPECIALIZATION_EXPR, kinds.STATIC_ASSERT):
            return
        elif kind == kinds.RETURN_STMT and children and children[0].kind == kinds.CXX_BOOL_LITERAL_EXPR:
            number = self._mutant(file, self.range(children[0]), "the other truth")
            if number is not None:
                file.wrap(self.range(children[0]), f"raft_mutant({number}) != ", "")
        self.binary(file, node, children)
        self.step(file, node, children)
        if kind in (kinds.COMPOUND_STMT, kinds.CASE_STMT, kinds.DEFAULT_STMT):
            for child in children:
                self.drop(file, child)
        elif kind in (kinds.IF_STMT, kinds.FOR_STMT, kinds.WHILE_STMT, kinds.CXX_FOR_RANGE_STMT):
            for child in children[1:]:
                self.drop(file, child, begin)
        for child in children:
            self.statement(file, child)

    def condition(self, file, children):
        """Of an if: behind an initialiser; a declaration has none to negate."""
        tested = children[1] if children[0].kind == self.kinds.DECL_STMT else children[0]
        if tested.kind.is_expression():
            self.negate(file, tested)

    def negate(self, file, node):
        if not node.kind.is_expression():
            return
        file.negated.add(self.range(node))
        number = self._mutant(file, self.range(node), "condition negated")
        if number is not None:
            file.wrap(self.range(node), f"(raft_mutant({number}) != static_cast<bool>(", "))")

    def no_round(self, file, node):
        """Of a loop: it ends before its first round. (With its condition negated most loops crash, or have no end.)"""
        if not node.kind.is_expression():
            return
        number = self._mutant(file, self.range(node), "loop skipped")
        if number is not None:
            file.wrap(self.range(node), f"(!raft_mutant({number}) && static_cast<bool>(", "))")

    def for_condition(self, file, node, children):
        begin, _ = self.range(node)
        body = self.range(children[-1])[0]
        code = patches.blanked(file.bytes[begin:body].decode(errors="replace"))
        semicolons = [begin + m.start() for m in re.finditer(";", code)]
        for child in children[:-1]:
            a, b = self.range(child)
            if len(semicolons) >= 2 and semicolons[0] < a and b <= semicolons[1]:
                self.no_round(file, child)
                return  # behind a declaration comes what it says, as a condition

    def early_return(self, file, node, children):
        """`if (c) return x;` with something behind it: the return is dropped."""
        has_else = b" else " in file.bytes[slice(*self.range(node))]
        if len(children) < 2 or children[-1].kind != self.kinds.RETURN_STMT or has_else:
            return
        self.drop_as(file, children[-1], "early return dropped", self.range(node)[1])

    def drop(self, file, node, behind=None):
        kinds = self.kinds
        begin, end = self.range(node)
        if behind is not None and not self._stands_alone(file, behind, begin):
            return
        if node.kind in (kinds.BREAK_STMT, kinds.CONTINUE_STMT):
            self.drop_as(file, node, "statement dropped", end)
        elif node.kind == kinds.RETURN_STMT and not list(node.get_children()):
            self.drop_as(file, node, "statement dropped", end)
        elif node.kind.is_expression() and node.kind not in (kinds.STRING_LITERAL,):
            self.drop_as(file, node, "statement dropped", end)

    def _stands_alone(self, file, begin, at):
        """Whether what begins at `at` is a branch or a body, not a part of a head."""
        depth = 0
        for c in patches.blanked(file.bytes[begin:at].decode(errors="replace")):
            depth += {"(": 1, ")": -1}.get(c, 0)
        return depth == 0

    def drop_as(self, file, node, what, end):
        begin = self.range(node)[0]
        semicolon = file.bytes.find(b";", self.range(node)[1])
        if semicolon < 0 or file.bytes[self.range(node)[1]:semicolon].strip():
            return
        source = file.bytes[begin:semicolon].lstrip()
        if source.startswith((b"(void)", b"static_cast<void>", b"static_assert")):
            return
        if (begin, semicolon + 1, "early return dropped") in file.seen:
            return
        number = self._mutant(file, (begin, semicolon + 1), what)
        if number is not None:
            file.wrap((begin, semicolon + 1), f"{{ if (!raft_mutant({number})) ", " }")

    def binary(self, file, node, children):
        kinds = self.kinds
        names = (kinds.DECL_REF_EXPR, kinds.UNEXPOSED_EXPR)
        parts = [c for c in children if not (c.kind in names and c.spelling.startswith("operator"))]
        if node.kind not in (kinds.BINARY_OPERATOR, kinds.CALL_EXPR, kinds.UNEXPOSED_EXPR) or len(parts) != 2:
            return
        (a, b), (c, d) = self.range(parts[0]), self.range(parts[1])
        if not (self.range(node)[0] <= a and b <= c and d <= self.range(node)[1]):
            return
        between = file.bytes[b:c].decode()
        operator = re.sub(r"//[^\n]*", "", between).strip()
        at = b + between.index(operator) if operator else b
        if operator in ("==", "!=") and (a, d) in file.negated:
            return  # the same as the condition negated
        if operator in OPERATORS:
            number = self._mutant(file, (a, d), f"{operator} to {TURNED[operator]}")
            if number is not None:
                file.wrap((a, d), f"raft_mutants::{OPERATORS[operator]}({number}, ", ")")
                file.replace(at, at + len(operator), ",")
        elif operator in ("&&", "||"):
            number = self._mutant(file, (a, d), f"{operator} to {TURNED[operator]}")
            if number is not None:
                # m && n is n unless m is false; as a mutant, true unless m is false. And the other way round.
                decides, value = ("==", "") if operator == "&&" else ("!=", "!")
                on = f"raft_mutant({number})"
                file.wrap((a, d), "(static_cast<bool>(", "))")
                file.replace(at, at + 2, f") {decides} {on} ? {value}{on} : static_cast<bool>(")
        elif operator in ("+", "-"):
            number = self._mutant(file, (a, d), f"{operator} off by one")
            if number is not None:
                file.wrap((a, d), f"raft_mutants::off({number}, 1, ", ")")

    def step(self, file, node, children):
        """next() and previous() of an index or a term."""
        source = file.bytes[slice(*self.range(node))]
        if node.kind != self.kinds.CALL_EXPR or not re.search(rb"\.(next|previous)\(\)$", source):
            return
        if node.spelling not in ("", "next", "previous"):
            return  # an operator, or the copy of what it gives, that ends so (in a template there is no name)
        name = "next" if source.endswith(b"next()") else "previous"
        number = self._mutant(file, self.range(node), f"{name}() does nothing")
        if number is not None:
            file.wrap(self.range(node), f"raft_mutants::off({number}, {'-1' if name == 'next' else '1'}, ", ")")


def find(names):
    """The files with their mutants, numbered through."""
    finder = Finder(bindings(), names)
    for file in finder.files.values():
        count = collections.Counter()
        for mutant in sorted(file.mutants, key=lambda m: m.number):
            alike = (mutant.what, mutant.code)
            mutant.nth = count[alike]
            count[alike] += 1
    return finder.files


# ---------------------------------------------------------------------------------------------------- running them

def equivalents(mutants, names):
    """The mutants that nothing can tell from the original: {number: reason}. An entry of the file is lines of the form
    `file | what | nth | code`, where `*` is any, and then, indented, the reason."""
    found, entries, reason = {}, [], ""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines() + ["end"]
    for line in (line for line in lines if line.strip() and not line.startswith("#")):
        if line.startswith(" "):
            reason = f"{reason} {line.strip()}".strip()
            continue
        if reason:
            found |= {m.number: reason for entry in entries for m in matching(entry, mutants, names)}
            entries, reason = [], ""
        entries.append(line)
    if entries != ["end"]:
        raise SystemExit(f"{EQUIVALENT}: no reason given: {entries[:-1]}")
    return found


def matching(entry, mutants, names):
    wanted = entry.split(" | ", 3)
    same = [m for m in mutants if all(w in ("*", has) for w, has in zip(wanted, m.parts()))]
    if not same and wanted[0] in names:
        raise SystemExit(f"{EQUIVALENT}: there is no such mutant any more: {entry}")
    return same


def programs_over(names):
    """The test programs that include one of these headers, and have an end in seconds."""
    found = []
    for folder in ("unit", "impl", "paper", "stories"):
        for source in sorted((programs.ROOT / "tests" / folder).glob("*_test.cpp")):
            program = f"{folder}/{source.stem}"
            if not NOT_ENGINE.search(program) and {RAFT / name for name in names} & programs.included(source):
                found.append(program)
    return found


class Pass:
    """The test programs over the copy that holds all mutants."""

    def __init__(self, files, scratch, jobs):
        for path in RAFT.rglob("*.hpp"):
            name = path.relative_to(RAFT).as_posix()
            to = scratch / "include/raft" / name
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(files[name].text() if name in files else path.read_text(encoding="utf-8"), encoding="utf-8")
        self.built = programs.Programs(scratch / "include", scratch / "programs", jobs, "clang++-19")
        self.names = list(files)
        self.cases = collections.defaultdict(dict)  # by number, by program: [(test case, its seconds)], in their order

    def build(self):
        tests = programs_over(self.names)
        self.built.build(tests)
        for program in tests:
            for case, seconds, numbers in self.built.reached(program):
                for number in numbers:
                    self.cases[number].setdefault(program, []).append((case, seconds))

    def judge(self, mutant):
        """(how, by, what) of one mutant: the programs named after its header first, then the quickest."""
        verdict = ("survived" if mutant.number in self.cases else "not reached", "", "")
        bad = 0
        for program, cases in self.ways(mutant):
            while cases and bad < BAD_RUNS:
                run = self.built.test(program, mutant.number, [c[0] for c in cases], 1 + 5 * sum(c[1] for c in cases))
                if run.kills:
                    return run.how, program, run.what
                if run.how == "passed":
                    break
                bad += 1
                verdict = run.how, program, run.what
                cases = behind(cases, run.what)
        return verdict

    def ways(self, mutant):
        found = []
        path = pathlib.Path(mutant.file)
        of = path.stem if path.parts[0] == "impl" else path.parts[0].removesuffix(".hpp")  # or file_log, of its parts
        for program, cases in self.cases.get(mutant.number, {}).items():
            own = of in program
            quick = [c for c in cases if c[1] < (LONG_OF_OWN if own else LONG)]
            found.append((not own, sum(c[1] for c in quick), program, quick))
        return [(program, cases) for _, _, program, cases in sorted(found) if cases]


def behind(cases, text):
    """The test cases behind the one in which a run crashed."""
    for at, (case, _) in enumerate(cases):
        if re.search(r"^TEST CASE: +" + re.escape(case) + "$", text, re.MULTILINE):
            return cases[at + 1:]
    return []


def judge_all(work, mutants, jobs):
    """{number: verdict}; says at once which mutants are left."""
    verdicts = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for mutant, verdict in zip(mutants, pool.map(work.judge, mutants)):
            verdicts[mutant.number] = verdict
            if verdict[0] in ALIVE + NO_END:
                print(f"{verdict[0]:11} {mutant.key()}   [line {mutant.line}] {verdict[1]}", flush=True)
    return verdicts


def report(chosen, verdicts):
    """Prints the table by file. The score of all, in percent of those whose runs end."""
    by_file = collections.defaultdict(collections.Counter)
    for mutant in chosen:
        by_file[mutant.file][verdicts.get(mutant.number, ("equivalent",))[0]] += 1
    total = sum(by_file.values(), collections.Counter())
    print(f"\n{'file':24}" + "".join(f"{head:>13}" for head in ("mutants", *HOWS, "equivalent", "score", "of all")))
    score = of_all = 100.0
    for name, count in [*sorted(by_file.items()), ("all", total)]:
        asked = count.total() - count["equivalent"]
        ended = asked - sum(count[how] for how in NO_END)
        killed = ended - sum(count[how] for how in ALIVE)
        score = 100 * killed / ended if ended else 100.0
        of_all = 100 * killed / asked if asked else 100.0
        cells = (count.total(), *(count[how] for how in HOWS), count["equivalent"], f"{score:.1f} %", f"{of_all:.1f} %")
        print(f"{name:24}" + "".join(f"{cell:>13}" for cell in cells))
    no_end = sum(total[how] for how in NO_END)
    print(f"Score {score:.1f} %: the killed in those whose runs end by themselves. {no_end} runs crash or do not end; "
          f"if these counted as alive it were {of_all:.1f} %. The goal is {GOAL} %.")
    return score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="+", help="headers, as they are included: impl/commit.hpp")
    parser.add_argument("--sample", type=int, help="only so many, by chance")
    parser.add_argument("--seed", type=int, default=1, help="the chance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true", help="only says which mutants there are")
    arguments = parser.parse_args()

    headers = [path for part in ("", "impl/", "file_log/") for path in RAFT.glob(f"{part}*.hpp")]
    names = [path.relative_to(RAFT).as_posix() for path in headers]
    files = find(arguments.files or names)
    mutants = sorted((m for file in files.values() for m in file.mutants), key=lambda m: m.number)
    known = equivalents(mutants, files)
    if arguments.list:
        print("\n".join(m.key() for m in mutants))
        return 0
    chosen = mutants
    if arguments.sample:
        chosen = sorted(random.Random(arguments.seed).sample(mutants, arguments.sample), key=lambda m: m.number)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        work = Pass(files, pathlib.Path(scratch), arguments.jobs)
        work.build()
        print(f"{len(mutants)} mutants in {len(files)} headers, built in {time.monotonic() - began:.0f} s", flush=True)
        verdicts = judge_all(work, [m for m in chosen if m.number not in known], arguments.jobs)
    score = report(chosen, verdicts)
    print(f"took {time.monotonic() - began:.0f} s")
    return 0 if score >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
