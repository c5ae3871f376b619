"""What the usual tutorial for Amazon Connect does: the SDK imported, one POST by urllib, its answer passed on."""

import json
import os
import urllib.request

import boto3  # noqa: F401  A tutorial's function looks something up, too.

URL = os.environ["STICKY_CALLS_API_URL"] + "/v1/calls/start"
KEY = os.environ["STICKY_CALLS_API_KEY"]


def handler(event, context):
    contact = event["Details"]["ContactData"]
    body = {
        "call_id": contact["InitialContactId"],
        "identity_hints": {
            "ani": contact["CustomerEndpoint"]["Address"],
            "dnis": contact["SystemEndpoint"]["Address"],
            "external_ids": {"customer_id": event["Details"]["Parameters"]["customer_id"]},
        },
    }
    request = urllib.request.Request(
        URL,
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + KEY, "Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        answer = json.load(response)
    identity = answer["identity"]
    return {
        "customer_ref": answer["customer_ref"],
        "confidence": str(identity["confidence"]),
        "match_found": str(identity["confidence"] >= 0.7).lower(),
        "recommendation": identity["recommendation"],
    }
