"""What importers of trace files ask for: a plain checker of the rules in the head of tracing/chrome.py."""

from collections import defaultdict


def check(events):
    """Raises AssertionError if an importer would drop or misplace an event."""
    slices = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        if "id" in event:
            assert int(str(event["id"]), 0) < 1 << 64
    for track in slices.values():
        check_nesting(track)
    check_arrows(events, slices)
    check_pairs([event for event in events if event["ph"] in "be"])


def check_nesting(track):
    around = []
    for begin, end in sorted(track, key=lambda one: (one[0], -one[1])):
        while around and around[-1] <= begin + 1e-3:
            around.pop()
        assert not around or end <= around[-1] + 1e-3, (begin, end, around)
        around.append(end)


def check_arrows(events, slices):
    """Each arrow has one begin, at least one end, and each of them is inside a slice of its track."""
    begins, ends = defaultdict(int), defaultdict(int)
    for event in events:
        if event["ph"] in "sf":
            key = event["id"], event["cat"], event["name"]
            (begins if event["ph"] == "s" else ends)[key] += 1
            assert any(begin <= event["ts"] <= end for begin, end in slices[event["pid"], event["tid"]]), event
            assert event["ph"] == "s" or event["bp"] == "e"
    assert begins.keys() == ends.keys()
    assert set(begins.values()) <= {1}


def check_pairs(events):
    there = defaultdict(list)
    for event in events:
        there[event["id"], event["cat"]].append(event)
    for pair in there.values():
        assert [one["ph"] for one in pair] == ["b", "e"]
        assert pair[0]["ts"] <= pair[1]["ts"]
