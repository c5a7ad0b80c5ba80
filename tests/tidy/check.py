#!/usr/bin/env python3
"""The house rules that a script can hold. Usage: check.py [FOLDER]; without one, the tree that it lies in.

Each rule is a function below that yields (file, line, what is wrong); its first line of documentation is the rule.
Closes with `N passed, M failed`, counted in rules.
"""

import pathlib
import re
import subprocess
import sys

ALLOWED_AT_TOP = {"CMakeLists.txt", "CMakePresets.json", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
                  "include", "tests", "bench", "examples"}
# Optional headers: they stand on the engine, and the engine does not know them.
BATTERIES = re.compile(r"^(memory_log|entry_store|crc32c|file_log|codec|sessions|groups|counters|record)(_\w+)?\.hpp$"
                       r"|^(memory_log|file_log|codec|sessions|groups|testing)/")
# Batteries that reach the operating system, or that only tests include; the others obey the engine's rules.
HOSTED = re.compile(r"^file_log|^testing/")
BANNED_INCLUDES = {"chrono", "random", "functional", "iostream", "string", "memory", "thread", "fstream", "sstream",
                   "mutex", "atomic", "future", "condition_variable", "ranges", "regex", "filesystem", "format"}
BANNED_WORDS = re.compile(r"\b(throw|dynamic_cast|typeid|goto|std::function|std::exit|std::terminate)\b")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}/])/(work|home|root|Users)/\w")
MAX_COLUMNS, MAX_FUNCTION, MAX_FILE = 120, 70, 500


class Tree:
    """The files of the project, read once."""

    def __init__(self, root):
        self.root = root
        try:
            listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], check=True,
                                    capture_output=True, text=True).stdout.splitlines()
        except (OSError, subprocess.CalledProcessError):
            # No git here, or no checkout: what .gitignore names is made by builds and by Python.
            made = {"build", ".git", "__pycache__"}
            listed = [path.relative_to(root).as_posix() for path in root.rglob("*")
                      if path.is_file() and made.isdisjoint(path.relative_to(root).parts)]
        self.files = sorted(name for name in set(listed) if (root / name).is_file())
        self.text = {name: (root / name).read_text(encoding="utf-8", errors="replace") for name in self.files}
        self.code = {name: without_comments(self.text[name]) for name in self.files if name.endswith((".hpp", ".cpp"))}
        self.headers = [name for name in self.files if name.startswith("include/raft/") and name.endswith(".hpp")]

    def includes(self, header):
        """(line, included header of ours, as a path in the tree) of each such include."""
        for number, line in enumerate(self.text[header].splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*[<"](raft/[^>"]+)[>"]', line)
            if found:
                yield number, "include/" + found[1]

    def opening_comment(self, header):
        lines = [line for line in self.text[header].splitlines() if line.strip() and line.strip() != "#pragma once"]
        comment = []
        for line in lines:
            if not line.startswith("//"):
                break
            comment.append(line)
        return "\n".join(comment)

    def floor(self, header):
        """The header's floor, or None for a battery or a header that tells none."""
        found = re.search(r"\[floor (\d+)\b", self.opening_comment(header))
        return int(found[1]) if found else None


def without_comments(text):
    """The code with comments and the insides of literals blanked; every character keeps its place."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
                         r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)

    def blank(match):
        whole = match[0]
        inner = re.sub(r"[^\n]", " ", whole)
        return whole[0] + inner[1:-1] + whole[-1] if whole[0] in "\"'" else inner

    return pattern.sub(blank, text)


def short(header):
    return header[len("include/raft/"):]


def is_battery(header):
    return bool(BATTERIES.search(short(header)))


def is_piece_of_node(header):
    return short(header).startswith("impl/")


def floors(tree):
    """An engine header names its floor and includes only headers of lower floors; batteries stand on top."""
    for header in tree.headers:
        own = tree.floor(header)
        if own is None and not is_battery(header):
            yield header, 1, "its opening comment names no [floor N]"
        for line, other in tree.includes(header):
            if other not in tree.text:
                yield header, line, f"includes {other}, which is not there"
                continue
            # node.hpp declares and, at its end, includes the pieces that define its members.
            if is_piece_of_node(other):
                if short(header) != "node.hpp" and not is_piece_of_node(header):
                    yield header, line, f"includes {other}, a piece of node.hpp"
                continue
            below = tree.floor(other)
            if own is not None and below is not None and below >= own:
                yield header, line, f"floor {own} includes {other} of floor {below}"


def no_circles(tree):
    """No header includes itself, through whatever path (but for node.hpp and its pieces)."""
    def visit(header, path, done):
        if header in path:
            yield header, 1, "circle: " + " -> ".join(map(short, path[path.index(header):] + [header]))
            return
        if header in done or header not in tree.text:
            return
        done.add(header)
        for _, other in tree.includes(header):
            if is_piece_of_node(header) and short(other) == "node.hpp":
                continue
            yield from visit(other, path + [header], done)

    done = set()
    for header in tree.headers:
        yield from visit(header, [], done)


def batteries_are_optional(tree):
    """No engine header includes a battery."""
    for header in tree.headers:
        if is_battery(header):
            continue
        for line, other in tree.includes(header):
            if is_battery(other):
                yield header, line, f"includes the battery {other}"


def no_banned_include(tree):
    """Engine headers include nothing that costs, blocks or has an address."""
    for header in tree.headers:
        if HOSTED.search(short(header)):
            continue
        for number, line in enumerate(tree.text[header].splitlines(), 1):
            found = re.match(r"\s*#\s*include\s*<([^>/]+)>", line)
            if found and found[1] in BANNED_INCLUDES:
                yield header, number, f"includes <{found[1]}>"
            elif found and re.match(r"(unistd|pthread|fcntl|poll|time)\.h", found[1]):
                yield header, number, f"includes <{found[1]}>"


def no_banned_word(tree):
    """Nothing in include/ throws, asks for run-time types or ends the process."""
    for header in tree.headers:
        for number, line in enumerate(tree.code[header].splitlines(), 1):
            found = BANNED_WORDS.search(line)
            # What only tests include may hide a type behind a call.
            if found and not (found[1] == "std::function" and short(header).startswith("testing/")):
                yield header, number, f"uses {found[1]}"


def headers_open_with_a_comment(tree):
    """A header starts with `#pragma once` and a comment that says what it is."""
    for header in tree.headers:
        if not tree.text[header].startswith("#pragma once\n"):
            yield header, 1, "does not start with #pragma once"
        if not tree.opening_comment(header):
            yield header, 1, "has no opening comment"


def functions_fit_a_screen(tree):
    """A function has at most 70 lines, its head included; a test case may be longer."""
    for name, code in tree.code.items():
        for first, last, head in functions(code):
            if last - first + 1 > MAX_FUNCTION and not re.match(r"(TEST_CASE|SCENARIO|TEST_SUITE)", head):
                yield name, first, f"a function of {last - first + 1} lines"


def functions(code):
    """(first line, last line, head) of every function at namespace or class scope."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), code, flags=re.MULTILINE)
    scopes, start, pending = [], 0, None  # scopes: (kind, line of the head, head); pending: a constructor's open head
    for place, character in enumerate(code):
        if character not in "{};":
            continue
        if character == "{":
            head = code[start:place].strip()
            line = code.count("\n", 0, start + len(code[start:place]) - len(code[start:place].lstrip())) + 1
            outer = scopes[-1][0] if scopes else "scope"
            if outer != "scope":
                kind = "inner"
            elif pending and (not head or head.startswith(",")):
                kind, line, head = "function", pending[0], pending[1]
            elif re.search(r"\b(namespace|class|struct|union|enum|concept|extern)\b[^()]*$", head) or "concept" in head:
                kind = "scope"
            else:
                kind = "function" if "(" in head and not re.search(r"=\s*$", head) else "inner"
            scopes.append((kind, line, head))
        elif character == "}" and scopes:
            kind, line, head = scopes.pop()
            if kind == "function":
                pending = (line, head)
                yield line, code.count("\n", 0, place) + 1, head
        if character == ";":
            pending = None
        start = place + 1


def files_fit(tree):
    """A header, and a file of an example, has at most 500 lines."""
    for name in tree.code:
        lines = tree.text[name].count("\n")
        if name.startswith(("include/", "examples/")) and lines > MAX_FILE:
            yield name, lines, f"{lines} lines"


def lines_fit(tree):
    """A line of code has at most 120 columns, but for tables that clang-format is told to leave alone."""
    for name in tree.files:
        if not name.endswith((".hpp", ".cpp", ".py", ".sh", ".cmake", "CMakeLists.txt")):
            continue
        is_table = False
        for number, line in enumerate(tree.text[name].splitlines(), 1):
            switch = re.match(r"\s*// clang-format (on|off)$", line)
            is_table = switch[1] == "off" if switch else is_table
            if len(line) > MAX_COLUMNS and not is_table:
                yield name, number, f"{len(line)} columns"


def nothing_unfinished(tree):
    """No note of unfinished work."""
    for name in tree.files:
        for number, line in enumerate(tree.text[name].splitlines(), 1):
            if UNFINISHED.search(line):
                yield name, number, line.strip()


def no_path_of_a_machine(tree):
    """No path that exists on one machine only."""
    for name in tree.files:
        for number, line in enumerate(tree.text[name].splitlines(), 1):
            if MACHINE_PATH.search(line):
                yield name, number, line.strip()


def top_level(tree):
    """The top level holds the agreed files and folders, and dotfiles."""
    for name in sorted({name.split("/")[0] for name in tree.files}):
        if name not in ALLOWED_AT_TOP and not name.startswith("."):
            yield name, 1, "does not belong at the top level"


def readme_shows_examples(tree):
    """C++ in the top README is a run of whole lines of an example, so that it compiles."""
    readme = tree.text.get("README.md", "")
    for block in re.finditer(r"^```cpp\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE):
        if not any("\n" + block[1] in "\n" + tree.text[name] for name in tree.code if name.startswith("examples/")):
            yield "README.md", readme.count("\n", 0, block.start()) + 1, "a block of C++ that no example contains"


def readme_names_tests(tree):
    """What a README names as folder/file: "a title" is there: a test, a scenario, a fault or meter of the simulator."""
    simulator = "".join(text for name, text in tree.text.items() if name.startswith("include/raft/testing/"))
    for name in ("include/raft/README.md", "tests/README.md"):
        readme = re.sub(r"\n\s+", lambda gap: " " * len(gap[0]), tree.text.get(name, ""))
        for named in re.finditer(r'([\w/]+_test|e2e/main|faults/nemesis|explore/scopes|simulator): "([^"]+)"', readme):
            where, title = named[1], " ".join(named[2].split())
            files = (tree.text.get(f"tests/{where}.{kind}", "") for kind in ("cpp", "hpp"))
            wanted = re.escape(f'"{title}"')
            if where.endswith("_test"):
                wanted = rf"^TEST_CASE\w*\(\s*{wanted}|^static_assert\({re.escape(title)}\);"
            if not re.search(wanted, simulator if where == "simulator" else "".join(files), re.MULTILINE):
                line = tree.text[name].count("\n", 0, named.start()) + 1
                yield name, line, f'{where} has no test "{title}"'
        for named in re.finditer(r"`((?:tests|include|examples|bench)/[\w/]+\.\w+)`", readme):
            if named[1] not in tree.text:
                yield name, tree.text[name].count("\n", 0, named.start()) + 1, f"{named[1]} is not there"


def every_input_is_recorded(tree):
    """Each public function of the node that changes it is an input of record_form.hpp, and one of the recorder's."""
    node, form, recorder = (f"include/raft/{name}.hpp" for name in ("node", "record_form", "record"))
    if not {node, form, recorder} <= tree.code.keys():
        return

    def functions_in(text):
        for found in re.finditer(r"\bconstexpr\s+[\w:<>]+\s+(\w+)\(([^;{]*?)\)\s*([a-z]\w*)?[^;{]*[;{]", text):
            parameters = " ".join(found[2].split())
            # An overload of step for each local event, told by its type; of others, by how many parameters they have.
            event = re.match(r"const (\w+)& \w+$", parameters) if found[1] == "step" else None
            which = event[1] if event else str(parameters.count(",") + bool(parameters))
            if found[3] != "const":
                yield found.start(), found[1], which, event

    def blank(text):
        return re.sub(r"//[^\n]*|= \{\}", lambda m: " " * len(m[0]), text)

    text = blank(tree.text[node])
    begin, end = (tree.text[node].find(f"-- {part}\n") for part in ("inputs", "questions"))
    offered = {(name, which) for _, name, which, _ in functions_in(blank(tree.text[recorder]))}
    for place, name, which, event in functions_in(text[begin:end]):
        line = text.count("\n", 0, begin + place) + 1
        if not re.search(rf"\braft::{which} \w" if event else rf"\bn\.{name}\(", tree.code[form]):
            yield node, line, f"{name} ({which}) is no input of {form}"
        if (name, which) not in offered:
            yield node, line, f"{name} ({which}) is not offered by the recorder"


RULES = [floors, no_circles, batteries_are_optional, no_banned_include, no_banned_word, headers_open_with_a_comment,
         functions_fit_a_screen, files_fit, lines_fit, nothing_unfinished, no_path_of_a_machine, top_level,
         readme_shows_examples, readme_names_tests, every_input_is_recorded]


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent.parent
    tree = Tree(root)
    failed = 0
    for rule in RULES:
        findings = list(rule(tree))
        failed += bool(findings)
        if findings:
            print(f"FAILED {rule.__name__}: {rule.__doc__.splitlines()[0]}")
            for name, line, what in findings:
                print(f"  {name}:{line}: {what}")
    if not tree.headers:
        print("no header under include/raft: nothing was checked")
        failed += 1
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
