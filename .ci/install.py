"""Does what README.md says under "Install it", with the release in dist/, up to the change set of `sam deploy`: what
comes after it needs an AWS account. In AWS's place is moto, at the address that is given. It takes values that AWS would
refuse: tests/template has the patterns that parameters must match."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = "arn:aws:connect:eu-central-1:123456789012:instance/11111111-2222-3333-4444-555555555555"

# moto takes a template by path only from a host of this name.
os.environ["AWS_ENDPOINT_URL"] = sys.argv[1].replace("127.0.0.1", "http://localhost")
os.environ.update(AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_DEFAULT_REGION="eu-central-1")
# The newest versions of the tools may come at any time: CI takes those that it knows.
os.environ["PIP_CONSTRAINT"] = str(ROOT / ".ci/python-packages.txt")


def main():
    (section,) = re.findall(r"^## Install it\n(.*?)^## ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    blocks = [re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]
    (last,) = (number for number, block in enumerate(blocks) if "sam deploy\n" in block)
    with tempfile.TemporaryDirectory() as folder:
        for file in (ROOT / "dist").iterdir():
            shutil.copy(file, folder)
        (Path(folder) / "key.txt").write_text("sk_test_key")
        printed = shell(folder, "".join(blocks[:last]))
        (secret,) = re.findall(r"^arn:aws:secretsmanager:\S+$", printed, re.MULTILINE)
        (release,) = Path(folder).glob("sticky-connect-*/")
        fill_in(release / "samconfig.toml", {"ApiKeySecretArn": secret, "ConnectInstanceArn": INSTANCE})
        bucket_for_sam()
        deploying = blocks[last].replace("sam deploy\n", "sam deploy --no-execute-changeset\n")
        printed = shell(folder, f"source tools/bin/activate\n{deploying}")
        assert "Changeset created successfully" in printed
        the_change_set_has_the_values(secret)
        shell(release, "sam validate --lint\n")
        shell(release, "sam validate --lint --template template-x86_64.yaml\n")
        # cfn-lint does not know a function's alias inside Fn::Sub; SAM's own transform does.
        shell(release, "sam validate --template template-s3.yaml\n")


def shell(folder, commands):
    print(commands)
    done = subprocess.run(["bash", "-ec", commands], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)
    assert done.returncode == 0, commands
    return done.stdout


def fill_in(samconfig, values):
    """Writes the values as a person would: between the quotation marks of the first environment."""
    text = samconfig.read_text()
    for name, value in values.items():
        text = text.replace(f"'{name}=\"\"'", f"'{name}=\"{value}\"'", 1)
    samconfig.write_text(text)


def bucket_for_sam():
    """SAM makes a stack for its bucket. moto loses the tags of a stack that is made by a change set, and without them SAM
    thinks that the stack is somebody else's."""
    boto3.client("cloudformation").create_stack(
        StackName="aws-sam-cli-managed-default", Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
        TemplateBody='{"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "sam"}}},'
                     ' "Outputs": {"SourceBucket": {"Value": {"Ref": "Bucket"}}}}')


def the_change_set_has_the_values(secret):
    """What SAM sent: the parameters, and a template without aliases, whose code is in the bucket."""
    cloudformation, storage = boto3.client("cloudformation"), boto3.client("s3")
    (change_set,) = cloudformation.list_change_sets(StackName="sticky-connect-dev")["Summaries"]
    described = cloudformation.describe_change_set(ChangeSetName=change_set["ChangeSetId"], StackName="sticky-connect-dev")
    values = {one["ParameterKey"]: one["ParameterValue"] for one in described["Parameters"]}
    assert values["ApiKeySecretArn"] == secret and values["ConnectInstanceArn"] == INSTANCE, values
    keys = [one["Key"] for one in storage.list_objects_v2(Bucket="sam")["Contents"]]
    (template,) = (key for key in keys if key.endswith(".template"))
    text = storage.get_object(Bucket="sam", Key=template)["Body"].read().decode()
    code = set(re.findall(r"CodeUri: s3://sam/(\S+)", text))
    assert code and code <= set(keys), (code, keys)
    assert not re.search(r"^\s*(- |\w+: )[&*]\w+$", text, re.MULTILINE)
    (zipped,) = (ROOT / "dist").glob("sticky-connect-*-arm64.zip")
    assert storage.get_object(Bucket="sam", Key=code.pop())["Body"].read() == zipped.read_bytes()


main()
