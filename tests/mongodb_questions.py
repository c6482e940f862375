"""What commands ask of MongoDB's collections, kept by the driver's listener, and the plans by which the server answers them.

For tests of which indexes are used. Knows MongoDB's commands; must not know who sends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import bson
from pymongo.monitoring import CommandListener

ASKING_NOTHING = {"hello", "insert", "create", "drop", "createIndexes", "listIndexes", "listCollections"}
ASKING_NOTHING |= {"commitTransaction", "abortTransaction", "getMore", "endSessions"}


@attrs.frozen
class Question:
    """What a command looks for in one collection."""

    collection: str
    filter: Mapping[str, Any]
    sort: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def shape(self):
        """What is asked, whatever the values are."""
        return f"{self.collection} {_shape(self.filter)} {dict(self.sort)}"


def _shape(value):
    if isinstance(value, Mapping):
        return {name: _shape(held) for name, held in value.items()}
    if isinstance(value, list):
        return sorted({str(_shape(held)) for held in value})
    return None if value is None else type(value).__name__


class Questions(CommandListener):
    """Every question that was sent, once for each shape."""

    def __init__(self):
        self.asked: dict[str, Question] = {}
        self.strange: list[Mapping[str, Any]] = []
        """Commands that were not understood: the driver swallows what a listener raises."""
        self.united: list[Mapping[str, Any]] = []
        """Commands of a transaction that read several collections."""

    def started(self, event):
        self.strange.append(event.command)
        if self.looked(event.command_name, event.command):
            self.strange.pop()

    def looked(self, name, command):
        """Note what a command asks; whether all of it is understood."""
        match name:
            case "find":
                self.note(command["find"], command.get("filter", {}), command.get("sort", {}))
            case "aggregate":
                if "autocommit" in command and any("$unionWith" in stage for stage in command["pipeline"]):
                    self.united.append(command)
                return self.read(command["aggregate"], command["pipeline"])
            case "findAndModify":
                self.note(command["findAndModify"], command["query"], command.get("sort", {}))
            case "update" | "delete":
                for one in command[f"{name}s"]:
                    self.note(command[name], one["q"])
            case "bulkWrite":
                names = [one["ns"].partition(".")[2] for one in command["nsInfo"]]
                for one in command["ops"]:
                    if "insert" not in one:
                        self.note(names[one.get("update", one.get("delete"))], one["filter"])
            case _:
                return name in ASKING_NOTHING
        return True

    def read(self, collection, pipeline):
        """Note what a pipeline asks, and those that it takes in; not understood is a sort of anything but what is found at first."""
        if pipeline and "$listSearchIndexes" in pipeline[0]:
            return True
        filters = pipeline[0].get("$match") if pipeline else None
        rest = pipeline if filters is None else pipeline[1:]
        sort = rest[0].get("$sort", {}) if rest else {}
        self.note(collection, filters or {}, sort)
        taken_in = [stage["$unionWith"] for stage in pipeline if "$unionWith" in stage]
        understood = [self.read(one["coll"], one["pipeline"]) for one in taken_in]
        return all(understood) and not any("$sort" in stage or "$lookup" in stage for stage in rest[1 if sort else 0 :])

    def note(self, collection, filters, sort=()):
        question = Question(collection, dict(filters), dict(sort))
        self.asked.setdefault(question.shape, question)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def explained(database, question):
    """The stages of the plan that the server has chosen."""
    command = {"find": question.collection, "filter": question.filter, **({"sort": question.sort} if question.sort else {})}
    return stages_of(database.command("explain", command, verbosity="queryPlanner", codec_options=bson.CodecOptions(tz_aware=True)))


def stages_of(plan):
    if isinstance(plan, list):
        return {stage for held in plan for stage in stages_of(held)}
    if not isinstance(plan, Mapping):
        return set()
    below = {stage for name, held in plan.items() if name not in {"rejectedPlans", "command"} for stage in stages_of(held)}
    return below | ({plan["stage"]} if isinstance(plan.get("stage"), str) else set())
