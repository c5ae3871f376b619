"""Counts the instructions of whole calls, and fails if one takes 10 % more than benches/instructions.json says.

    python3 .ci/instructions.py             compares
    python3 .ci/instructions.py --accept    writes the new baseline, to be committed with its reason

It runs the shipped binary, as `.ci/run build` leaves it, under Valgrind, between stand-ins of the Lambda Runtime API and
of the Sticky Calls API. What a call costs is what a process takes for several calls more than for one. The counts are
the same in every run but for some thousandths, on a busy machine too.
"""

import argparse
import base64
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benches" / "instructions.json"

# In per cent. Less than a change that a caller could notice, more than what a patch release of the compiler does.
TOLERANCE = 10

JANE = "00000000-0000-4000-8000-000000000001"
SAVE = {"STICKY_CALLS_ACTION": "save"}
OUTBOX = {
    "STICKY_CALLS_OUTBOX_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/outbox",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "key",
    "AWS_SESSION_TOKEN": "token",
}
# A note as agents write it: a line break, quotes, numbers that are no cards', and one that is.
NOTE = 'Order 20260207 from 202-555-0101, said "it never came".\nPaid with 4111 1111 1111 1111; sent again on Monday. '


def text(length: int) -> str:
    return (NOTE * (length // len(NOTE) + 1))[:length]


def event(name: str) -> dict:
    return json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))


def with_attributes(name: str) -> dict:
    """A sample event whose contact carries all that Connect allows: 32 KB of attributes."""
    changed = event(name)
    changed["Details"]["ContactData"]["Attributes"] |= {f"crm_field_{number:03}": text(180) for number in range(160)}
    return changed


def with_summary(name: str) -> dict:
    changed = event(name)
    changed["Details"]["Parameters"]["call_summary"] = text(32_000)
    return changed


def records(count: int) -> dict:
    """A batch of contact records, each of a call of its own."""
    [first, *_] = event("contact_records")["Records"]
    record = json.loads(base64.b64decode(first["kinesis"]["data"]))
    batch = []
    for number in range(count):
        data = base64.b64encode(json.dumps(record | {"ContactId": f"contact-{number}"}).encode()).decode()
        batch.append(first | {"kinesis": first["kinesis"] | {"data": data, "sequenceNumber": str(number + 1)}})
    return {"Records": batch}


def utterances(count: int) -> dict:
    """A batch of what Contact Lens sends while a call lasts: events without a summary."""
    [_, utterance, transcript, *_] = event("contact_lens")["Records"]
    return {"Records": [utterance, transcript] * (count // 2)}


def messages(count: int) -> dict:
    """A batch of messages of the outbox."""
    [first, *_] = event("outbox_messages")["Records"]
    return {"Records": [first | {"messageId": f"message-{number}"} for number in range(count)]}


def answer(variables: dict[str, str]) -> dict:
    """What the API says of a caller whom it knows."""
    return {
        "call_id": "4a573372-1f28-4e26-b97b-000000000002",
        "customer_ref": JANE,
        "call_start": "2026-02-07T10:30:00.000Z",
        "identity": {"confidence": 0.9, "level": "very_high", "sources": ["ani:mobile"], "recommendation": "reuse"},
        "open_intents": [{"intent": "refund_request", "status": "open", "attempt_count": 2}],
        "variables": {
            name: {"value": value, "source": None, "ttl_seconds": 2_592_000} for name, value in variables.items()
        },
    }


JANE_DOE = answer({"name": "Jane Doe"})
ENDED = {"customer_ref": JANE}
MANY = {f"v{number}": text(100) for number in range(200)}
ALL_OF_MANY = {"STICKY_CALLS_VARIABLES": ",".join(MANY)}
MATCHED, SAVED, NONE_FAILED = '"lookup_status":"matched"', '"save_status":"saved"', '{"batchItemFailures":[]}'

# A path: the event, settings, what the API answers, and what must be in the function's answer.
STARTS = {
    "start to first answer": (event("returning_caller"), {}, JANE_DOE, MATCHED),
    "start to first answer, with outbox": (event("returning_caller"), OUTBOX, JANE_DOE, MATCHED),
}
CALLS = {
    "lookup": (event("returning_caller"), {}, JANE_DOE, MATCHED),
    "lookup, 32 KB of attributes": (with_attributes("returning_caller"), {}, JANE_DOE, MATCHED),
    "lookup, answer of 250 KB": (event("returning_caller"), {}, answer({"name": text(250_000)}), MATCHED),
    "lookup, 200 variables": (event("returning_caller"), ALL_OF_MANY, answer(MANY), MATCHED),
    "lookup that is skipped": (event("anonymous_caller"), {}, JANE_DOE, '"lookup_reason":"no_identity"'),
    "save": (event("save"), SAVE, ENDED, SAVED),
    "save, summary of 32 KB": (with_summary("save"), SAVE, ENDED, SAVED),
    "100 contact records": (records(100), SAVE, ENDED, NONE_FAILED),
    "100 events without a summary": (utterances(100), SAVE, ENDED, NONE_FAILED),
    "10 messages of the outbox": (messages(10), SAVE, ENDED, NONE_FAILED),
}


class Peers(ThreadingHTTPServer):
    """The Lambda Runtime API with these events to hand out, and the Sticky Calls API."""

    daemon_threads = True

    def __init__(self, events: list[bytes], api_answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events, self.api_answer = events, api_answer
        self.answers: list[str] = []
        self.all_answered = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves in one piece, so that it is read in one.
    wbufsize = -1
    server: Peers

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if not self.server.events:
            # The function waits for a call that never comes.
            self.server.all_answered.set()
            threading.Event().wait()
        deadline = str(int(time.time() * 1000) + 60_000)
        headers = {"Lambda-Runtime-Aws-Request-Id": "8f507cfc-0000-4697-b07a-ac58fc914c95"}
        headers |= {"Lambda-Runtime-Deadline-Ms": deadline, "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda"}
        self.reply(200, self.server.events.pop(0), headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/v1/"):
            self.reply(200, self.server.api_answer, {})
        else:
            self.server.answers.append(body.decode())
            self.reply(202, b"{}", {})


def count(bootstrap: Path, path: tuple[dict, dict, dict, str], calls: int) -> int:
    """The instructions of a process from its start until it has answered this many calls."""
    sent, settings, api_answer, expected = path
    peers = Peers([json.dumps(sent).encode()] * calls, json.dumps(api_answer).encode())
    host = f"127.0.0.1:{peers.server_port}"
    environment = {
        "AWS_LAMBDA_RUNTIME_API": host,
        "AWS_LAMBDA_FUNCTION_NAME": "sticky-connect",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "STICKY_CALLS_API_URL": f"http://{host}",
        "STICKY_CALLS_API_KEY": "key",
        # Valgrind is some fifty times slower: nothing may time out because of that.
        "STICKY_CALLS_TIMEOUT_MS": "7000",
        **settings,
    }
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder, "profile")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", bootstrap]
        process = subprocess.Popen(
            command, env=environment | {"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        answered = peers.all_answered.wait(60)
        # Valgrind writes the profile of a process that is terminated.
        process.terminate()
        process.wait()
        peers.shutdown()
        if not answered or any(expected not in given for given in peers.answers):
            sys.exit(f"{expected} was expected of every call: {peers.answers or 'no answer'}")
        [total] = [line for line in profile.read_text(encoding="utf-8").splitlines() if line.startswith("totals: ")]
        return int(total.split()[1])


def count_all(bootstrap: Path) -> dict[str, int]:
    def of_a_start(path: tuple) -> int:
        return count(bootstrap, path, 1)

    def of_a_call(path: tuple) -> int:
        return (count(bootstrap, path, 11) - count(bootstrap, path, 1)) // 10

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        counts = [*workers.map(of_a_start, STARTS.values()), *workers.map(of_a_call, CALLS.values())]
    # Three digits: what the clock and the network make of a count is not worth a change of the baseline.
    return {name: int(float(f"{counted:.3g}")) for name, counted in zip([*STARTS, *CALLS], counts, strict=True)}


def compare(baseline: dict[str, int], now: dict[str, int]) -> tuple[list[str], list[str]]:
    """A table of all paths, and what is wrong with them."""
    rows, wrong = [f"{'':36} {'baseline':>12} {'now':>12} {'change':>9}"], []
    for name in [*baseline, *(name for name in now if name not in baseline)]:
        if name not in baseline:
            wrong.append(f"{name}: not in the baseline")
            continue
        if name not in now:
            wrong.append(f"{name}: not counted any more")
            continue
        before, after = baseline[name], now[name]
        percent = 100 * (after - before) / before
        rows.append(f"{name:36} {before:>12,} {after:>12,} {percent:>+7.1f} %")
        if percent > TOLERANCE:
            wrong.append(f"{name}: {percent:+.1f} %, and {TOLERANCE} % is the most")
    return rows, wrong


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--accept", action="store_true", help="write the new baseline")
    accept = arguments.parse_args().accept
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    compiler = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    here = f"rustc {compiler} for {platform.machine()}"
    if not accept and baseline["counted_with"].split()[-1] != platform.machine():
        print(f"skipped: the baseline was counted with {baseline['counted_with']}, and this is {here}")
        return 0
    bootstrap = next(ROOT.glob(".aws-sam/build/*/bootstrap"), None)
    if not bootstrap:
        sys.exit("there is no binary to count: `.ci/run build` makes it")
    now = count_all(bootstrap)
    if accept:
        BASELINE.write_text(json.dumps({"counted_with": here, "instructions": now}, indent=2) + "\n", encoding="utf-8")
    rows, wrong = compare(baseline["instructions"], now)
    print("\n".join(rows))
    if accept or not wrong:
        return 0
    print("\n".join(f"FAILED: {one}" for one in wrong))
    print(f"The baseline was counted with {baseline['counted_with']}, this with {here}.")
    print("If it is meant: `python3 .ci/instructions.py --accept`, and say why in the commit.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
