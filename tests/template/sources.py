"""What the code says of itself, read from its sources, so that code and template are held together."""

import functools
import re

from translated import ROOT, read


@functools.cache
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
    """The defaults that the code names: of a malformed value, `…; 2500 is used`, and of a list, in its own place."""
    config = shipped("src/config.rs")
    scalars = re.findall(r'"(STICKY_CALLS_[A-Z_]+)",\s*"[^"]*; (\S+) is used"', config)
    lists = re.findall(r'read\.list\(\s*"(STICKY_CALLS_[A-Z_]+)",\s*"[^"]*",\s*"([^"]+)"', config)
    return dict(scalars + lists)


@functools.cache
def metrics_by_function():
    """The names of the metrics that are by function alone: faults, and what needs an operator."""
    needs_operator = re.findall(r'const NEEDS_OPERATOR: &str = "(\w+)"', shipped("src/metrics.rs"))
    return {*names(shipped("src/fault.rs")), *needs_operator}


@functools.cache
def metrics_by_handler():
    """The names of each handler's metrics: its outcomes, the reasons, and what is said of every invocation."""
    dispatch = shipped("src/dispatch.rs")
    named = re.search(r"impl Handler \{(.*?)\n\}", dispatch, flags=re.DOTALL)[1]
    handlers = dict(re.findall(r'Self::(\w+) => "(\w+)",', named))
    outcomes = dict(re.findall(r"Self::(\w+) => &\[([^\]]*)\]", dispatch))
    everywhere = (names(shipped("src/metrics.rs")) | names(shipped("src/reason.rs"))) - metrics_by_function()
    return {name: everywhere | names(outcomes[handler]) for handler, name in handlers.items()}


def names(code):
    """The string literals that could be the name of a metric."""
    return set(re.findall(r'"([a-z][a-z0-9_]*)"', code))
