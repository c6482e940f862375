"""Filters to try and what each must find: a table of every operator over every type, and chance. Knows the language; no store."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

T = "2024-03-01T00:00:00.000Z"
SPECIAL = 'say "so" 100%_é\\\''
DOCUMENTS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "null": {"v": None},
    "yes": {"v": True},
    "no": {"v": False},
    "zero": {"v": 0, "k": "a"},
    "one": {"v": 1, "k": "a"},
    "one_float": {"v": 1.0},
    "one_text": {"v": "1", "k": "b"},
    "big": {"v": 2**53 + 1},
    "half": {"v": 0.1 + 0.2},
    "empty": {"v": ""},
    "name": {"v": "Ada Lovelace"},
    "special": {"v": SPECIAL},
    "time": {"v": T},
    "list": {"v": ["red", "Blue", 3, None]},
    "list_empty": {"v": []},
    "objects": {"v": [{"n": 1, "t": "x"}, {"n": 5, "t": "y"}]},
    "nested": {"v": {"w": 2, "x": {"y": "deep"}}},
    "object_empty": {"v": {}},
}
"""Metadata of every JSON type under one name, by id."""

INSTANT = datetime(2024, 3, 1, 1, tzinfo=timezone(timedelta(hours=1)))
"""The instant of `time`, in another zone."""

FOUND: tuple[tuple[Any, str], ...] = (
    # plain values, by type
    (None, "*"),
    ({}, "*"),
    ({"v": 1}, "one one_float"),
    ({"v": 1.0}, "one one_float"),
    ({"v": "1"}, "one_text"),
    ({"v": True}, "yes"),
    ({"v": False}, "no"),
    ({"v": 0}, "zero"),
    ({"v": -0.0}, "zero"),
    ({"v": ""}, "empty"),
    ({"v": 0.1 + 0.2}, "half"),
    ({"v": 0.3}, ""),
    ({"v": 2**53}, ""),
    ({"v": 2**53 + 1}, "big"),
    ({"v": SPECIAL}, "special"),
    ({"v": "ada lovelace"}, ""),
    ({"v": "[]"}, ""),
    ({"v": "null"}, ""),
    ({"v": INSTANT}, "time"),
    ({"v": None}, "none null"),
    ({"unknown": None}, "*"),
    ({"unknown": 1}, ""),
    ({"v": ["1", 0]}, "one_text zero"),
    ({"v": 1, "k": "a"}, "one"),
    # fields within fields
    ({"v.w": 2}, "nested"),
    ({"v": {"w": 2}}, "nested"),
    ({"v": {"w": 2, "x.y": "deep"}}, "nested"),
    ({"v": {"x": {"y": {"$regex": "^d"}}}}, "nested"),
    ({"v.n": 1}, ""),
    ({"v.w": None}, "* -nested"),
    ({"v.w": {"$ne": 2}}, "* -nested"),
    ({"v.x.y": {"$exists": True}}, "nested"),
    # equal or not
    ({"v": {"$eq": 1}}, "one one_float"),
    ({"v": {"$eq": "red"}}, ""),
    ({"v": {"$eq": ["red", "Blue", 3.0, None]}}, "list"),
    ({"v": {"$eq": ["Blue", "red", 3, None]}}, ""),
    ({"v": {"$eq": []}}, "list_empty"),
    ({"v": {"$eq": {}}}, "object_empty"),
    ({"v": {"$eq": {"x": {"y": "deep"}, "w": 2}}}, "nested"),
    ({"v": {"$eq": None}}, "none null"),
    ({"v": {"$ne": 1}}, "* -one -one_float"),
    ({"v": {"$ne": True}}, "* -yes"),
    ({"v": {"$ne": "1"}}, "* -one_text"),
    ({"v": {"$ne": None}}, "* -none -null"),
    # more or less, within a type
    ({"v": {"$gt": 0}}, "one one_float big half"),
    ({"v": {"$gte": 0}}, "zero one one_float big half"),
    ({"v": {"$lt": 1}}, "zero half"),
    ({"v": {"$lte": 1}}, "zero half one one_float"),
    ({"v": {"$gt": 2**53}}, "big"),
    ({"v": {"$gt": 0, "$lt": 1}}, "half"),
    ({"v": {"$gt": ""}}, "one_text name special time"),
    ({"v": {"$gte": ""}}, "empty one_text name special time"),
    ({"v": {"$lt": "A"}}, "empty one_text time"),
    ({"v": {"$gt": "1"}}, "name special time"),
    ({"v": {"$gte": INSTANT, "$lt": "3"}}, "time"),
    ({"v": {"$gt": INSTANT, "$lt": "3"}}, ""),
    ({"v": {"$lte": datetime(2024, 3, 1, tzinfo=UTC)}}, "empty one_text time"),
    # one of several
    ({"v": {"$in": ["1", True, 0.0]}}, "one_text yes zero"),
    ({"v": {"$in": ["red"]}}, "list"),
    ({"v": {"$in": [None]}}, "none null list"),
    ({"v": {"$in": [[]]}}, "list_empty"),
    ({"v": {"$in": [{"n": 5, "t": "y"}]}}, "objects"),
    ({"v": {"$in": []}}, ""),
    ({"v": {"$in": 1}}, "one one_float"),
    ({"v": {"$nin": ["1", 0, "red"]}}, "* -one_text -zero -list"),
    ({"v": {"$nin": [None]}}, "* -none -null -list"),
    ({"v": {"$nin": []}}, "*"),
    # lists
    ({"v": {"$all": ["red", 3]}}, "list"),
    ({"v": {"$all": [None]}}, "list"),
    ({"v": {"$all": ["red", "blue"]}}, ""),
    ({"v": {"$all": ["1"]}}, ""),
    ({"v": {"$all": []}}, ""),
    ({"v": {"$size": 0}}, "list_empty"),
    ({"v": {"$size": 2}}, "objects"),
    ({"v": {"$size": 12}}, ""),
    ({"v": {"$elemMatch": {"$gt": 2}}}, "list"),
    ({"v": {"$elemMatch": {"$eq": "red", "$ne": "Blue"}}}, "list"),
    ({"v": {"$elemMatch": {"$not": {"$regex": "."}, "$gt": 1}}}, "list"),
    ({"v": {"$elemMatch": {"n": {"$gt": 1}, "t": "y"}}}, "objects"),
    ({"v": {"$elemMatch": {"n": 1, "t": "y"}}}, ""),
    ({"v": {"$elemMatch": {"m": None}}}, "objects"),
    ({"v": {"$elemMatch": {"$or": [{"n": 7}, {"t": "x"}]}}}, "objects"),
    # there or not
    ({"v": {"$exists": True}}, "* -none"),
    ({"v": {"$exists": False}}, "none"),
    ({"v": {"$exists": True, "$eq": None}}, "null"),
    # texts
    ({"v": {"$contains": "ADA"}}, "name"),
    ({"v": {"$contains": "100%_É"}}, "special"),
    ({"v": {"$contains": "%"}}, "special"),
    ({"v": {"$contains": "blu"}}, "list"),
    ({"v": {"$contains": ""}}, "empty one_text name special time list"),
    ({"v": {"$contains": ["red", 3]}}, "list"),
    ({"v": {"$contains": ["red", "x"]}}, ""),
    ({"v": {"$contains": []}}, ""),
    ({"v": {"$contains": 3}}, "list"),
    ({"v": {"$contains": True}}, "yes"),
    ({"v": {"$regex": "^Ada"}}, "name"),
    ({"v": {"$regex": "^ada"}}, ""),
    ({"v": {"$regex": "^ada", "$options": "i"}}, "name"),
    ({"v": {"$regex": "a d a  # a name", "$options": "xi"}}, "name"),
    ({"v": {"$regex": "^1$"}}, "one_text"),
    ({"v": {"$regex": "e", "$ne": "Ada Lovelace"}}, ""),
    # and, or, not
    ({"$and": [{"v": {"$gt": 0}}, {"v": {"$lt": 2}}]}, "one one_float half"),
    ({"$and": []}, "*"),
    ({"$or": []}, ""),
    ({"$nor": []}, "*"),
    ({"$or": [{"v": 1}, {"v": "1"}]}, "one one_float one_text"),
    ({"$or": [{"v": 1, "k": "b"}, {"v": 0, "k": "a"}]}, "zero"),
    ({"$or": {"v": 1}}, "one one_float"),
    ({"$or": [{}, {"v": 1}]}, "*"),
    ({"k": "a", "$or": [{"v": 1}, {"v": "1"}]}, "one"),
    ({"$nor": [{"v": {"$exists": True}}]}, "none"),
    ({"$nor": [{"v": 1, "k": "a"}, {"k": "b"}]}, "* -one -one_text"),
    ({"$not": {"v": 1, "k": "a"}}, "* -one"),
    ({"$not": {"$or": [{"k": "a"}, {"k": "b"}]}}, "* -zero -one -one_text"),
    ({"$and": [{"$or": [{"k": "a"}, {"$and": [{"k": "b"}]}]}, {"$nor": [{"v": 0}]}]}, "one one_text"),
    ({"v": {"$not": {"$gt": 0}}}, "* -one -one_float -big -half"),
    ({"v": {"$not": {"$exists": True, "$in": [1]}}}, "* -one -one_float"),
    ({"v": {"$not": {"$not": {"$eq": 1}}}}, "one one_float"),
)
"""A filter, and the ids it finds: "*" is all, and "-id" all but that."""

REFUSED: tuple[tuple[Any, str], ...] = (
    ({"$eq": 1}, r"^Invalid top-level operator: \$eq\."),
    ({"$foo": 1}, r"^Unsupported operator: \$foo\."),
    ({"v": {"$foo": 1}}, r"^Unsupported operator: \$foo\. The operators are \$eq"),
    ({"v": {"$gtt": 1}}, r"Did you mean '\$gte?'"),
    ({"$and": [{"v": {"$near": 1}}]}, r"^Unsupported operator: \$near"),
    ({"v": {"$and": [{"$gt": 1}]}}, r"^Logical operator \$and cannot be used at field level: v\.\$and"),
    ({"v": {"w": {"$or": []}}}, r"cannot be used at field level: v\.w\.\$or"),
    ({"$and": [{"$gt": 1}]}, r"^Logical operators must contain field conditions, not direct operators: \$and"),
    ({"$or": 1}, r"\$or: takes a list of filters"),
    ({"$or": ["a"]}, r"\$or: a filter is a mapping"),
    ({"$not": {}}, r"^\$not operator cannot be empty"),
    ({"$not": [{"v": 1}]}, r"^\$not operator requires an object"),
    ({"v": {"$not": {}}}, r"^\$not operator cannot be empty"),
    ({"v": {"$not": 1}}, r"^\$not operator requires an object"),
    ({"v": {"$not": {"w": 1}}}, r"mixes operators with the field 'w'"),
    ({"v": {"$elemMatch": [1]}}, r"^\$elemMatch requires an object with conditions"),
    ({"v": {"$elemMatch": {}}}, r"^\$elemMatch requires an object with conditions"),
    ({"a-b": 1}, "^Invalid field key segment: a-b in a-b"),
    ({"a.b-c": 1}, "^Invalid field key segment: b-c in a.b-c"),
    ({"a..b": 1}, r"^Invalid field key segment:  in a\.\.b"),
    ({"": 1}, "^Invalid field key segment"),
    ({"0": 1}, "^Invalid field key segment: 0"),
    ({"é": 1}, "^Invalid field key segment"),
    ({"a\n": 1}, "^Invalid field key segment"),
    ({"x" * 64: 1}, "^Invalid field key segment"),
    ({"a": {"b'c": 1}}, "^Invalid field key segment: b'c"),
    ({1: 2}, "a field is named by a string, found 1"),
    ({"v": {}}, "asked for {}, which says nothing"),
    ({"v": {"$gt": 1, "w": 2}}, "mixes operators with the field 'w'; write the field as 'v.w'"),
    ({"v": {"$gt": None}}, r"\$gt compares 'v' with a number, a text or an aware datetime, found None"),
    ({"v": {"$lt": True}}, r"\$lt compares .* found True"),
    ({"v": {"$gte": [1]}}, r"\$gte compares .* found \[1\]"),
    ({"v": {"$exists": 1}}, r"\$exists takes True or False, found 1"),
    ({"v": {"$size": -1}}, r"\$size takes a whole number from 0, found -1"),
    ({"v": {"$size": 1.0}}, r"\$size takes .* found 1.0"),
    ({"v": {"$contains": None}}, r"\$contains takes .* found None"),
    ({"v": {"$contains": {}}}, r"\$contains takes .* found {}"),
    ({"v": {"$regex": "("}}, r"\$regex '\(' of 'v' is no regular expression"),
    ({"v": {"$regex": 1}}, r"\$regex and \$options take texts, found 1"),
    ({"v": {"$regex": "a", "$options": "ig"}}, r"unknown flag 'g'; the flags are imsux"),
    ({"v": {"$options": "i"}}, r"\$options without \$regex"),
    ({"v": float("nan")}, "can be compared with JSON and aware datetimes, found nan"),
    ({"v": {"$in": [{1}]}}, "can be compared with JSON .* found {1}"),
    ({"v": datetime(2024, 3, 1)}, "is naive"),  # noqa: DTZ001  # the very thing to refuse
    ([], "a filter is a mapping"),
    ("v = 1", "a filter is a mapping"),
    ({"v": b"x"}, "found b'x'"),
)
"""A filter without a meaning, and what the error says."""


def named(wanted: str) -> set[str]:
    """The ids that an entry of FOUND means."""
    words = wanted.split()
    everything = set(DOCUMENTS) if "*" in words else set[str]()
    return everything.union(word for word in words if word[0] not in "*-").difference(word[1:] for word in words)


SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, 1.5, -2, "", "1", "a", "A b", "é", T)
FIELDS = ("a", "b", "b.c", "b.c.d", "tags")


def chance_metadata(chance: random.Random) -> dict[str, Any]:
    """Metadata with some of the fields that chance filters ask for."""
    made: dict[str, Any] = {}
    if chance.random() < 0.8:
        made["a"] = chance.choice(SCALARS)
    if chance.random() < 0.8:
        made["b"] = chance.choice([chance.choice(SCALARS), {"c": chance.choice(SCALARS)}, {"c": {"d": chance.choice(SCALARS)}}])
    if chance.random() < 0.8:
        made["tags"] = [chance.choice([*SCALARS, {"c": chance.choice(SCALARS)}]) for _ in range(chance.randrange(4))]
    return made


def chance_filter(chance: random.Random, depth: int = 2) -> dict[str, Any]:
    """A filter of one or two parts; half of them can be decided by any database, half need a closer look."""
    made: dict[str, Any] = {}
    for _ in range(chance.choice([1, 1, 2])):
        if depth and chance.random() < 0.3:
            name = chance.choice(["$and", "$or", "$nor", "$not"])
            parts = [chance_filter(chance, depth - 1) for _ in range(chance.randrange(1, 3))]
            made[name] = parts[0] if name == "$not" else parts
        else:
            made[chance.choice(FIELDS)] = chance.choice(SCALARS) if chance.random() < 0.5 else dict(_operators(chance))
    return made


def _operators(chance: random.Random) -> Iterator[tuple[str, Any]]:
    some, several = chance.choice(SCALARS), [chance.choice(SCALARS) for _ in range(chance.randrange(3))]
    yield chance.choice(
        [
            ("$eq", some),
            ("$ne", some),
            (chance.choice(["$gt", "$gte", "$lt", "$lte"]), chance.choice([0, 1, 1.25, "", "A", T])),
            (chance.choice(["$in", "$nin", "$all"]), several),
            ("$exists", chance.random() < 0.5),
            ("$size", chance.randrange(3)),
            ("$contains", chance.choice(["a", "", ["a"], 1, True])),
            ("$regex", chance.choice(["^a", "1|b", "[A-Z]"])),
            ("$elemMatch", chance.choice([{"$gt": 0}, {"c": some}, {"$in": [*several, 1]}])),
            ("$not", {"$eq": some}),
        ]
    )
