#!/usr/bin/env python3
"""Tests whose subject is the compiler's answer. Usage: run.py [--compiler CXX]... [PART]...

headers    each header compiles as the only include, and twice over, with warnings as errors; by clang 14 alone, the
           quickest, unless a compiler is named: what a header forgets to include, it forgets with all of them
two_units  two translation units that include everything link and run together (nothing is defined twice); by the same
           compiler as the headers
noexcept   one of these units compiles as it is, and with -fno-exceptions -fno-rtti (clang 14's tests run so)
readme     each block of C++ in the top README compiles alone, as who copies it would have it
bits32     each header but testing/, and bits32.cpp, where std::size_t has 32 bits (g++ on x86-64 alone knows how to)
fail       each file in fail/ compiles as it is; with one of its cases defined it does not, and the compiler says the
           sentences that the file expects: lines `// case NAME: sentence` (several lines of a name: all of them);
           `// case NAME [g++]: sentence` holds for compilers whose name contains that word

Without a compiler: all three that the project supports. Closes with `N passed, M failed`.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
README = HERE.parent.parent / "README.md"
COMPILERS = ["g++", "clang++-19", "clang++-14"]
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", f"-I{INCLUDE}"]
NO_EXCEPTIONS = ["-fno-exceptions", "-fno-rtti"]
CASE = re.compile(r"// case (\w+)(?: \[(\S+)\])?: (.*\S)")


def headers():
    """Every header that a user may include; impl/ holds pieces of node.hpp, which are not for including."""
    every = sorted(path.relative_to(INCLUDE).as_posix() for path in INCLUDE.rglob("*.hpp"))
    return [name for name in every if "/impl/" not in name]


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def check_header(compiler, name, folder):
    unit = folder / (name.replace("/", "_") + ".hpp")
    unit.write_text(f"#include <{name}>\n#include <{name}>\n")
    # To precompile is quicker than to compile: what is instantiated at the end of a unit is left to who includes it.
    code, output = run([compiler, *FLAGS, "-x", "c++-header", str(unit), "-o", f"{unit}.gch"])
    pathlib.Path(f"{unit}.gch").unlink(missing_ok=True)
    return "" if code == 0 else output


def check_bits32(compiler, folder):
    unit = folder / "bits32.cpp"
    shipped = [name for name in headers() if "/testing/" not in name]  # a simulator runs where compilers run
    unit.write_text("".join(f"#include <{name}>\n" for name in shipped) + f'#include "{HERE / "bits32.cpp"}"\n')
    code, output = run([compiler, *FLAGS, "-m32", "-fsyntax-only", str(unit)])
    return "" if code == 0 else output


def check_one_unit(compiler, flags, folder):
    code, output = run([compiler, *FLAGS, *flags, f"-I{folder}", "-fsyntax-only", str(HERE / "two_units_main.cpp")])
    return "" if code == 0 else output


def readme_blocks():
    return re.findall(r"^```cpp\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def check_readme(compiler, number, folder):
    unit = folder / f"readme_{number}.cpp"
    unit.write_text(readme_blocks()[number])
    code, output = run([compiler, *FLAGS, "-fsyntax-only", str(unit)])
    return "" if code == 0 else output


def check_two_units(compiler, folder):
    program = folder / re.sub(r"\W", "_", compiler)
    code, output = run([compiler, *FLAGS, f"-I{folder}", str(HERE / "two_units_main.cpp"),
                        str(HERE / "two_units_other.cpp"), "-o", str(program)])
    if code != 0:
        return output
    code, output = run([str(program)])
    return "" if code == 0 else f"the program ended with {code}\n{output}"


def precompile(compiler, folder):
    """What the files in fail/ include, precompiled: the flags that use it; none if it does not compile."""
    header = folder / (re.sub(r"\W", "_", compiler) + "_first") / "first.hpp"
    header.parent.mkdir()
    header.write_text("#include <raft/memory_log.hpp>\n#include <raft/raft.hpp>\n")
    code, _ = run([compiler, *FLAGS, "-x", "c++-header", str(header), "-o", f"{header}.gch"])
    return ["-include", str(header)] if code == 0 else []


def expectations(file, compiler):
    """Case name -> the sentences that `compiler` must say."""
    cases = collections.OrderedDict()
    for name, word, sentence in CASE.findall(file.read_text()):
        wanted = cases.setdefault(name, [])
        if not word or word in os.path.basename(compiler):
            wanted.append(sentence)
    return cases


def check_fail(compiler, first, file, case, sentences):
    code, output = run([compiler, *FLAGS, *first, "-fsyntax-only", f"-D{case}", str(file)])
    if code == 0:
        return "it compiles, and should not"
    plain = output.replace("\u2018", "'").replace("\u2019", "'")
    missing = [sentence for sentence in sentences if sentence not in plain]
    return "".join(f"the compiler does not say: {sentence}\n" for sentence in missing) + (output if missing else "")


def check_passes(compiler, first, file):
    code, output = run([compiler, *FLAGS, *first, "-fsyntax-only", str(file)])
    return "" if code == 0 else output


def jobs(compiler, alone, parts, folder):
    """(name, function, arguments) of each check."""
    if "two_units" in parts and compiler == alone:
        yield f"{compiler} two units", check_two_units, (compiler, folder)
    if "noexcept" in parts:
        yield f"{compiler} one unit", check_one_unit, (compiler, [], folder)
        yield f"{compiler} {' '.join(NO_EXCEPTIONS)}", check_one_unit, (compiler, NO_EXCEPTIONS, folder)
    if "readme" in parts and compiler == alone:
        for number in range(len(readme_blocks())):
            yield f"{compiler} README.md, block {number + 1}", check_readme, (compiler, number, folder)
    if "bits32" in parts and compiler == "g++" and platform.machine() == "x86_64":
        yield f"{compiler} -m32", check_bits32, (compiler, folder)
    if "headers" in parts and compiler == alone:
        for name in headers():
            yield f"{compiler} alone: {name}", check_header, (compiler, name, folder)
    if "fail" in parts:
        first = precompile(compiler, folder)
        for file in sorted(HERE.glob("fail/*.cpp")):
            cases = expectations(file, compiler)
            yield f"{compiler} {file.name} as it is", check_passes, (compiler, first, file)
            if not cases:
                yield f"{compiler} {file.name}", (lambda: "it expects nothing"), ()
            for case, sentences in cases.items():
                yield f"{compiler} {file.name} {case}", check_fail, (compiler, first, file, case, sentences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", action="append")
    parser.add_argument("part", nargs="*", default=[])
    options = parser.parse_args()
    parts = options.part or ["headers", "two_units", "noexcept", "readme", "bits32", "fail"]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = pathlib.Path(name)
        (folder / "all_headers.hpp").write_text("".join(f"#include <{name}>\n" for name in headers()))
        compilers = options.compiler or COMPILERS
        work = [job for compiler in compilers for job in jobs(compiler, compilers[-1], parts, folder)]
        for (title, _, _), answer in zip(work, pool.map(lambda job: job[1](*job[2]), work)):
            if answer:
                failed += 1
                print(f"FAILED {title}\n{answer}")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
