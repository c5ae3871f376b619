"""Fails where a command of a document can't be pasted as it stands.

Somebody pastes these commands at three in the morning. So ShellCheck reads all the shell of a page, from top to bottom,
as one script: it is valid, and each variable is set by a line above its use. Nothing is left to fill in, and no command in
a sentence is broken across lines."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").glob("*.md"))]

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
# A paragraph or an item of a list: a span of code ends with it.
PARAGRAPH = re.compile(r"(?:^(?!\s*$).*\n?)+", re.MULTILINE)
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
# Without SC2164: whoever types `cd` sees when it fails.
SHELLCHECK = ["shellcheck", "--shell", "bash", "--severity", "warning", "--enable", "check-unassigned-uppercase",
              "--exclude", "SC2164", "--format", "gcc", "-"]


def script(text):
    """The shell of a page. Everything else is an empty line, so that lines keep their numbers."""
    lines = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        if block[2] == "sh":
            first = text.count("\n", 0, block.start(3))
            for number, line in enumerate(dedent(block[3]).splitlines()):
                lines[first + number] = line
    return "\n".join(lines) + "\n"


def faults(page):
    text = page.read_text(encoding="utf-8")
    shell = script(text)
    checked = subprocess.run(SHELLCHECK, input=shell, text=True, capture_output=True, check=False)
    # 1 is for findings; with anything else it has not checked.
    if checked.returncode not in (0, 1):
        sys.exit(f"shellcheck failed: {checked.stderr}")
    for complaint in checked.stdout.splitlines():
        _, line, _, what = complaint.split(":", 3)
        yield int(line), what.strip()
    for number, line in enumerate(shell.splitlines(), 1):
        if "…" in line:
            yield number, "something is left to fill in: set a variable by a line of its own"
    prose = BLOCK.sub(lambda found: "\n" * found[0].count("\n"), text)
    for paragraph in PARAGRAPH.finditer(prose):
        for span in SPAN.finditer(paragraph[0]):
            if "\n" in span[2]:
                line = prose.count("\n", 0, paragraph.start() + span.start()) + 1
                yield line, f"code is broken across lines: {' '.join(span[2].split())}"


found = [f"{page}:{line}: {what}" for page in PAGES for line, what in sorted(faults(page))]
print("\n".join(found) or f"the commands of {len(PAGES)} pages can be pasted")
sys.exit(1 if found else 0)
