"""The filters of the subscriptions let every contact record and every summary through, and no utterance."""

import base64
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from event_pattern import is_handed_on  # noqa: E402
from settings import MOST  # noqa: E402
from translated import Translated, read, template  # noqa: E402


def records(sample):
    return json.loads(read(f"events/{sample}.json"))["Records"]


def data(record):
    return json.loads(base64.b64decode(record["kinesis"]["data"]))


def of(event):
    return {"kinesis": {"data": base64.b64encode(json.dumps(event).encode()).decode()}}


RECORD, AGENT_EVENT, _ = records("contact_records")
EVENTS = records("contact_lens")
SUMMARIES = [event for event in EVENTS if "PostContactSummary" in json.dumps(data(event))]
OTHERS = [event for event in EVENTS if event not in SUMMARIES]

# What records of other contacts have besides, and what they lack.
RECORDS = [RECORD] + [of({**data(RECORD), **changes}) for changes in (
    {"Attributes": {}}, {"Attributes": {"EventType": "STARTED", "Segments": "x"}}, {"Agent": None, "Queue": None},
    {"CustomerEndpoint": None, "SystemEndpoint": None, "Channel": "CHAT", "InitiationMethod": "API"},
    {"SegmentAttributes": {"connect:Subtype": {"ValueString": "connect:Guide"}}, "ContactId": "c"},
    {"Recordings": [{"Status": "AVAILABLE"}], "References": [], "NextContactId": "n", "Tags": None},
)]


class TheFilters(unittest.TestCase):
    def subscriptions(self, stream):
        translated = Translated(template(), {**MOST, "ContactLensStreamArn": stream})
        mappings = translated.of_type("AWS::Lambda::EventSourceMapping")
        return {name: mapping["Properties"] for name, mapping in mappings.items() if name != "OutboxSubscription"}

    def assert_handed_on(self, mapping, wanted, unwanted):
        for expected, some in ((True, wanted), (False, unwanted)):
            for record in some:
                self.assertEqual(is_handed_on(record, mapping), expected, record)

    def test_there_is_something_of_each_kind(self):
        self.assertEqual((len(SUMMARIES), len(OTHERS)), (4, 5))

    def test_without_contact_lens_every_record_comes(self):
        (name, mapping), = self.subscriptions("").items()
        self.assertEqual(name, "ContactRecordsSubscription")
        self.assertNotIn("FilterCriteria", mapping)

    def test_in_one_stream_records_and_summaries_come_and_nothing_else(self):
        (_, mapping), = self.subscriptions(MOST["ContactRecordsStreamArn"]).items()
        self.assert_handed_on(mapping, RECORDS + SUMMARIES, [*OTHERS, AGENT_EVENT])

    def test_from_a_stream_of_its_own_only_summaries_come(self):
        mappings = self.subscriptions(MOST["ContactLensStreamArn"])
        self.assertEqual(set(mappings), {"ContactRecordsSubscription", "ContactLensSubscription"})
        self.assertNotIn("FilterCriteria", mappings["ContactRecordsSubscription"])
        self.assert_handed_on(mappings["ContactLensSubscription"], SUMMARIES, [*OTHERS, AGENT_EVENT, *RECORDS])

    def test_a_summary_that_is_neither_completed_nor_failed_is_left_out(self):
        (_, mapping), = self.subscriptions(MOST["ContactRecordsStreamArn"]).items()
        segments = [{"Utterance": {"Status": "COMPLETED"}}, {"PostContactSummary": {"Status": "PENDING"}}]
        self.assertFalse(is_handed_on(of({**data(OTHERS[0]), "Segments": segments}), mapping))


if __name__ == "__main__":
    unittest.main()
