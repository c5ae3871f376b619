"""Checks the release in dist/. With the path of the template that the CDK's example makes of it, checks that this is the
same stack as template.yaml's."""

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/template"))

from samcli.yamlhelper import yaml_parse  # noqa: E402
from settings import LEAST, MOST  # noqa: E402
from translated import Translated, template  # noqa: E402

DIST = ROOT / "dist"
MACHINES = {"arm64": "AArch64", "x86_64": "Advanced Micro Devices X86-64"}
# Amazon Linux 2023's, which provided.al2023 has.
GLIBC = (2, 34)
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-template-publishing-applications-metadata-properties.html
REPOSITORY = {
    "Name": r"[a-zA-Z0-9-]{1,140}", "Description": r".{1,256}", "Author": r"(?=.{1,127}$)[a-z0-9]+(-[a-z0-9]+)*",
    "SpdxLicenseId": r"Apache-2\.0", "SemanticVersion": r"\d+\.\d+\.\d+", "LicenseUrl": "LICENSE", "ReadmeUrl": "README.md",
}


def the_checksums_are_those_of_all_files():
    listed = dict(reversed(line.split("  ")) for line in (DIST / "SHA256SUMS").read_text().splitlines())
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DIST.iterdir()}
    del there["SHA256SUMS"]
    assert listed == there, set(listed.items()) ^ set(there.items())


def the_code_runs_on_its_processor_and_on_amazon_linux():
    for processor, machine in MACHINES.items():
        with zipfile.ZipFile(only(f"sticky-connect-*-{processor}.zip")) as archive:
            (entry,) = archive.infolist()
            assert entry.filename == "bootstrap" and entry.external_attr >> 16 & 0o777 == 0o755, entry
            binary = Path(archive.extract(entry, ROOT / ".tools/unpacked" / processor))
        assert re.search(rf"Machine: +{machine}\n", printed("readelf", "--file-header", binary)), processor
        needed = re.findall(r"GLIBC_(\d+)\.(\d+)", printed("readelf", "--version-info", binary))
        newest = max((int(major), int(minor)) for major, minor in needed)
        assert newest <= GLIBC, f"{processor} needs glibc {newest}"
        for folder in (Path.home(), ROOT):
            assert str(folder).encode() + b"/" not in binary.read_bytes(), f"{processor} names {folder}"
        print(f"{processor}: glibc {newest[0]}.{newest[1]}, {binary.stat().st_size:,} bytes")


def the_list_of_components_misses_none():
    for processor, target in (("arm64", "aarch64-unknown-linux-gnu"), ("x86_64", "x86_64-unknown-linux-gnu")):
        text = only(f"*-{processor}.cdx.json").read_text()
        assert str(ROOT) not in text
        listed = json.loads(text)
        assert listed["bomFormat"] == "CycloneDX"
        named = {f"{one['name']} v{one['version']}" for one in listed["components"]}
        tree = printed("cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--target", target)
        linked = {" ".join(line.split()[:2]) for line in tree.splitlines()[1:] if line}
        assert linked and linked <= named, linked - named


def the_documents_name_this_version():
    version = template_version()
    for file in ("README.md", "examples/cdk/app.ts"):
        named = set(re.findall(r"sticky-connect-(\d[\w.-]*\d)", (ROOT / file).read_text()))
        assert named == {version}, f"{file}: {named}"


def template_version():
    (version,) = re.findall(r"SemanticVersion: '?([^'\n]+)", (DIST / "template.yaml").read_text())
    return version


def the_templates_make_the_same_stack_as_the_sources():
    bundle = zipfile.ZipFile(only(f"sticky-connect-{template_version()}.zip"))
    bundled = {name.partition("/")[2] for name in bundle.namelist()}
    for path in sorted(DIST.glob("template*.yaml")):
        released = yaml_parse(path.read_text())
        assert_same_stack(released, path.name)
        published = released["Metadata"]["AWS::ServerlessRepo::Application"]
        for name, pattern in REPOSITORY.items():
            assert re.fullmatch(pattern, published[name]), f"{path.name}: {name}"
        assert {"LICENSE", "README.md", path.name} <= bundled
        code = released["Globals"]["Function"]["CodeUri"]
        assert isinstance(code, dict) or code in bundled, code


def the_example_for_the_cdk_makes_the_same_stack(path):
    synthesised = json.loads(Path(path).read_text())
    for name in ("IdentifyFunction", "SaveFunction"):
        assert synthesised["Resources"][name]["Properties"].pop("CodeUri")["Key"].endswith(".zip"), name
    handed_on = {name: output["Value"] for name, output in synthesised["Outputs"].items()}
    assert handed_on["ForTheStartOfACall"] == {"Fn::Sub": "${IdentifyFunction.Alias}"}, handed_on
    assert handed_on["ForTheEndOfACall"] == {"Fn::Sub": "${SaveFunction.Alias}"}, handed_on
    given = re.findall(r'(\w+Arn): "(arn:.*)"', (ROOT / "examples/cdk/app.ts").read_text())
    assert given
    assert_same_stack(synthesised, "the CDK", [dict(given)], extra={"ForTheStartOfACall", "ForTheEndOfACall"})


def assert_same_stack(other, what, stacks=(LEAST, MOST), extra=frozenset()):
    for parameters in stacks:
        processor = other["Parameters"]["Architecture"]["Default"]
        before = Translated(template(), {**parameters, "Architecture": processor})
        after = Translated(other, {"CodeBucket": "bucket", **parameters})
        for section in ("resources", "outputs"):
            was, became = (comparable(one.filled(getattr(one, section))) for one in (before, after))
            for resource in was.values():
                # What tells `sam build` how to build.
                resource.pop("Metadata", None)
            for name in {*was, *became} - (extra if section == "outputs" else set()):
                assert was.get(name) == became.get(name), f"{what}: {name}"


def comparable(resources):
    """Without what SAM works out of how a function is written: the name of its version."""
    return json.loads(re.sub(r"(FunctionVersion)[0-9a-f]{10}\b", r"\1", json.dumps(resources)))


def only(pattern):
    (path,) = DIST.glob(pattern)
    return path


def printed(*command):
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


if sys.argv[1:]:
    the_example_for_the_cdk_makes_the_same_stack(sys.argv[1])
else:
    the_checksums_are_those_of_all_files()
    the_code_runs_on_its_processor_and_on_amazon_linux()
    the_list_of_components_misses_none()
    the_documents_name_this_version()
    the_templates_make_the_same_stack_as_the_sources()
