"""Fails where a link in a Markdown file of the root or of docs/ leads to a file, or to a heading, that is not there."""

import re
import sys
from pathlib import Path

HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings, the second of the same name with -1."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(page)):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        again = 0
        while (anchor := f"{name}-{again}" if again else name) in found:
            again += 1
        found.add(anchor)
    return found


def faults(page: Path) -> list[str]:
    found = []
    # A link's text may run over the end of a line; its target never does.
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        to = page.parent / name if name else page
        if not to.exists():
            found.append(f"{page}: no file {target}")
        elif anchor and anchor not in anchors(to):
            found.append(f"{page}: no heading {target}")
    return found


pages = [*sorted(Path().glob("*.md")), *sorted(Path("docs").glob("*.md"))]
broken = [fault for page in pages for fault in faults(page)]
print("\n".join(broken) or f"the links of {len(pages)} pages lead somewhere")
sys.exit(1 if broken else 0)
