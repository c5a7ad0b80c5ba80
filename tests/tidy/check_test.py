#!/usr/bin/env python3
"""Each rule of check.py finds its offence in a tree that commits it, and nothing in one that does not."""

import pathlib
import tempfile
import unittest

import check

GOOD = {
    "include/raft/low.hpp": "#pragma once\n\n// Low [floor 0].\n\n#include <cstdint>\n",
    "include/raft/high.hpp": "#pragma once\n\n// High [floor 1].\n\n#include <raft/low.hpp>\n",
    "include/raft/codec.hpp": "#pragma once\n\n// A battery.\n\n#include <raft/high.hpp>\n",
}


def findings(rule, changes):
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for file, text in {**GOOD, **changes}.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text)
        return [(file, line) for file, line, _ in rule(check.Tree(root))]


def header(body, opening="// High [floor 1]."):
    return f"#pragma once\n\n{opening}\n\n{body}\n"


def function_of(lines):
    return "namespace raft {\nint f(int n) {\n" + "  ++n;\n" * (lines - 3) + "  return n;\n}\n}\n"


HIGH = "include/raft/high.hpp"


class Rules(unittest.TestCase):
    def finds(self, rule, line, text, file=HIGH):
        self.assertEqual(findings(rule, {file: text}), [(file, line)])

    def accepts(self, rule, text, file=HIGH):
        self.assertEqual(findings(rule, {file: text}), [])

    def test_a_good_tree_passes_every_rule(self):
        for rule in check.RULES:
            self.assertEqual(findings(rule, {}), [], rule.__name__)

    def test_floors(self):
        self.finds(check.floors, 5, header("#include <raft/low.hpp>", "// High [floor 0]."))
        self.finds(check.floors, 1, header("", "// No floor."))
        self.finds(check.floors, 5, header("#include <raft/missing.hpp>"))
        self.assertEqual(findings(check.floors, {"include/raft/impl/step.hpp": header("", "// Step [floor 9]."),
                                                 HIGH: header("#include <raft/impl/step.hpp>")}), [(HIGH, 5)])
        self.assertEqual(findings(check.floors, {"include/raft/impl/step.hpp": header("", "// Step [floor 9]."),
                                                 "include/raft/node.hpp": header("#include <raft/impl/step.hpp>")}), [])

    def test_no_circles(self):
        changes = {"include/raft/low.hpp": header("#include <raft/codec.hpp>")}
        self.assertEqual(len(findings(check.no_circles, changes)), 1)

    def test_batteries_are_optional(self):
        self.finds(check.batteries_are_optional, 5, header("#include <raft/codec.hpp>"))

    def test_no_banned_include(self):
        self.finds(check.no_banned_include, 5, header("#include <chrono>"))
        self.finds(check.no_banned_include, 5, header("#include <unistd.h>"))
        self.finds(check.no_banned_include, 5, header("#include <string>"), "include/raft/codec.hpp")
        self.accepts(check.no_banned_include, header("#include <string>"), "include/raft/file_log.hpp")

    def test_no_banned_word(self):
        self.finds(check.no_banned_word, 5, header("void f() { throw 1; }"))
        self.finds(check.no_banned_word, 5, header("std::function<void()> f;"), "include/raft/file_log.hpp")
        self.accepts(check.no_banned_word, header("std::function<void()> f;"), "include/raft/testing/x.hpp")
        self.accepts(check.no_banned_word, header("/// It does not throw.\nconstexpr char a[] = \"throw\";"))

    def test_headers_open_with_a_comment(self):
        self.finds(check.headers_open_with_a_comment, 1, header("", ""))
        self.finds(check.headers_open_with_a_comment, 1, "// High [floor 1].\n#pragma once\n")

    def test_functions_fit_a_screen(self):
        self.accepts(check.functions_fit_a_screen, header(function_of(70)))
        self.finds(check.functions_fit_a_screen, 6, header(function_of(71)))
        many = "struct s {\n" + "  int f(int n) { return n; }\n" * 80 + "};"
        self.accepts(check.functions_fit_a_screen, header(many))
        constructor = "struct s {\n  s(int n)\n      : a_{n},\n        b_{n} {\n" + "    ++a_;\n" * 70 + "  }\n};"
        self.finds(check.functions_fit_a_screen, 6, header(constructor))
        case = function_of(80).replace("int f(int n)", 'TEST_CASE("f: long")')
        self.accepts(check.functions_fit_a_screen, case, "tests/unit/f_test.cpp")

    def test_files_fit(self):
        self.accepts(check.files_fit, "//\n" * 500)
        self.finds(check.files_fit, 501, "//\n" * 501)

    def test_lines_fit(self):
        self.accepts(check.lines_fit, "// " + "x" * 117)
        self.finds(check.lines_fit, 1, "// " + "x" * 118)
        self.accepts(check.lines_fit, "// clang-format off\n// " + "x" * 118)
        self.finds(check.lines_fit, 3, "// clang-format off\n// clang-format on\n// " + "x" * 118)

    def test_nothing_unfinished(self):
        self.finds(check.nothing_unfinished, 1, "// TO" + "DO: later")

    def test_what_python_leaves_behind_is_no_file_of_the_project(self):
        left = {"tests/tidy/__pycache__/check.cpython-311.pyc": "x = 1  # TO" + "DO\n", "build/a.hpp": "// TO" + "DO\n"}
        self.assertEqual(findings(check.nothing_unfinished, left), [])

    def test_no_path_of_a_machine(self):
        self.finds(check.no_path_of_a_machine, 1, "cd /" + "home/me/raft")
        self.accepts(check.no_path_of_a_machine, "cd examples/" + "home/me; cat $HOME/" + "work/x")

    def test_top_level(self):
        self.finds(check.top_level, 1, "", "notes.txt")
        self.accepts(check.top_level, "", ".clang-tidy")

    def test_readme_names_tests(self):
        tests = {"tests/impl/a_test.cpp": 'TEST_CASE("one: a long title") {\n}\n'}
        readme = "include/raft/README.md"
        there = {**tests, readme: '- impl/a_test: "one: a\n  long title"\n'}
        gone = {**tests, readme: 'x\n- impl/a_test: "one: a long tale"\n'}
        self.assertEqual(findings(check.readme_names_tests, there), [])
        self.assertEqual(findings(check.readme_names_tests, gone), [(readme, 2)])
        others = {"include/raft/testing/plan.hpp": '{"split"}\n', "tests/e2e/main.cpp": '{"full", full}\n',
                  "tests/README.md": '| simulator: "split" | e2e/main: "full" | `tests/e2e/main.cpp` |\n'}
        self.assertEqual(findings(check.readme_names_tests, others), [])
        for old, new in (("split", "splits"), ("full", "ful"), ("main.cpp", "mein.cpp")):
            wrong = {**others, "tests/README.md": others["tests/README.md"].replace(old, new)}
            self.assertEqual(findings(check.readme_names_tests, wrong), [("tests/README.md", 1)])

    def test_readme_shows_examples(self):
        example = {"examples/a/main.cpp": "#include <a>\n\nint main() {\n  return 0;\n}\n"}

        def lines(*shown):
            readme = "# Read\n\n" + "".join(f"```cpp\n{block}```\n" for block in shown)
            return [line for _, line in findings(check.readme_shows_examples, {**example, "README.md": readme})]

        self.assertEqual(lines("int main() {\n  return 0;\n}\n", "#include <a>\n"), [])
        self.assertEqual(lines("#include <a>\nint main() {\n"), [3])  # a line is missing
        self.assertEqual(lines("main() {\n"), [3])  # not a whole line
        self.assertEqual(lines("#include <a>\n", "int main() { return 0; }\n"), [6])

    def test_every_input_is_recorded(self):
        node = ("class node {\n  // -- inputs\n  constexpr void tick();\n"
                "  constexpr result<void> step(const applied& a);\n"
                "  constexpr result<void> propose(payload command,\n         std::uint64_t context = {});\n"
                "  constexpr bool is_new() const;\n  // -- questions\n  constexpr void other();\n};\n")
        form = "n.tick() n.propose( raft::applied a{}"
        recorder = ("constexpr void tick() {}\nconstexpr result<void> step(const applied& a) {}\n"
                    "constexpr result<void> propose(payload command, std::uint64_t context) {}\n")
        names = [f"include/raft/{name}.hpp" for name in ("node", "record_form", "record")]

        def found(*texts):
            return [line for _, line in findings(check.every_input_is_recorded, dict(zip(names, map(header, texts))))]

        self.assertEqual(found(node, form, recorder), [])
        self.assertEqual(found(node, form.replace("n.tick", "n.other"), recorder), [7])
        self.assertEqual(found(node, form.replace("raft::applied", "raft::restored"), recorder), [8])
        self.assertEqual(found(node, form, recorder.replace(", std::uint64_t context", "")), [9])
        self.assertEqual(found(node, form, recorder.replace("applied", "restored")), [8])


if __name__ == "__main__":
    unittest.main()
