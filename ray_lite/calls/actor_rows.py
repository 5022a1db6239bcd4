"""What is shown of a session's actors: a row each.

Neighbours: backends/local_actors.py and node/answers.py show them.
"""

from __future__ import annotations

from typing import Any

from ray_lite import _core
from ray_lite.calls.actor_facts import ProcessFacts
from ray_lite.store.kept_labels import kept_label

LIVE = ("PENDING", "STARTING", "ALIVE")


def actor_rows(region: _core.Region, every: bool = False) -> list[dict[str, Any]]:
    """Facts about the live actors of this process's job and about shared ones, or (`every`) about all of the session, as
    `global_state.actors()` shows them. Racy."""
    found = []
    for index in _core.actors(region):
        state, _, _, pending, _, _, killed, _ = _core.actor_facts(region, index)
        label = kept_label(region, _core.facts_of_actor(region, index))
        if state not in LIVE or killed or label is None:
            continue
        facts, lost = ProcessFacts(*label), _core.restart_facts(region, index)[2]
        if not every and not facts.shared and _core.job_of_actor(region, index) != region.job_key:
            continue
        pid, finished = _core.actor_process(region, index)
        found.append({"ActorID": _core.actor_id(region, index).hex(), "ClassName": facts.class_name, "Name": facts.name,
                      "State": "RESTARTING" if lost and state != "ALIVE" else state, "Pid": pid or None,
                      "CallsFinished": finished, "CallsQueued": pending, "Restarts": lost})
    return found
