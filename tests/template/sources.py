"""What the code says of itself, read from its sources, so that code and template are held together."""

import re

from translated import ROOT, read


def shipped(path):
    """A source file without its unit tests, and without comments."""
    code = read(path).split("#[cfg(test)]")[0]
    return re.sub(r"^\s*//.*$", "", code, flags=re.MULTILINE)


def variables():
    """The environment variables of ours that the code reads."""
    names = set()
    for path in (ROOT / "src").rglob("*.rs"):
        names.update(re.findall(r'"(STICKY_CALLS_[A-Z_]+)"', shipped(path.relative_to(ROOT))))
    return names


def defaults():
    """The defaults that the code names where it tells of a malformed value: `…; 2500 is used`."""
    return dict(re.findall(r'"(STICKY_CALLS_[A-Z_]+)",\s*"[^"]*; (\S+) is used"', shipped("src/config.rs")))


def metrics():
    """The names of the metrics: the string literals of src/metrics.rs, and the codes of src/reason.rs."""
    code = shipped("src/metrics.rs") + shipped("src/reason.rs")
    return set(re.findall(r'"([a-z][a-z0-9_]*)"', code))
