"""Changes into the items of one transaction: at first without reading, then exactly, from what was found.

A change is written blind where DynamoDB's expressions can say it and the answer is known beforehand; its conditions are then at least as
strict as the port's, so that success means what the port says. Where they fail, DynamoDB hands over the stored item, and the change is
planned again from it, on the condition that what it relied upon has not changed. Knows the port and the layout; must not know the driver.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.errors import ConflictError
from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Refused, Save, updated
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.query import Between, Is, Missing, Where, matches
from mastra_dynamodb.expressions import Draft, Term
from mastra_dynamodb.keys import MARKS, attribute_of, item_key, layout_of, new_token, owner_key, recent_of, written_indexes
from mastra_dynamodb.ttl import Expiries
from mastra_dynamodb.wire import (
    AttributeValue,
    Item,
    Mark,
    check_size,
    decoded,
    encoded,
    fields_by,
    fields_of,
    frame_of,
    held_key,
    mark_value,
    record_attributes,
    text,
)

Place = tuple[str, str]
Known = Mapping[Place, Item | None]


@attrs.frozen
class Step:
    """One change planned: what it does to its item, what it answers, and the record before and after as far as known."""

    draft: Draft | None
    answer: Any = None
    before: Any = None
    after: Any = None


@attrs.define
class Plan:
    """A batch planned.

    Attributes:
        drafts: by place.
        answers: in the order of the changes.
        unread: places that must be read before the batch can be planned; nothing else is filled then.
        marked: tokens put on each owner's item.
        unmarked: tokens taken off it.
    """

    drafts: dict[Place, Draft] = attrs.field(factory=dict)
    answers: list[Any] = attrs.field(factory=list)
    unread: list[Place] = attrs.field(factory=list)
    marked: dict[Place, list[str]] = attrs.field(factory=dict)
    unmarked: dict[Place, set[str]] = attrs.field(factory=dict)


def planned(
    changes: Sequence[Change],
    known: Known,
    *,
    fixed: Collection[Place] = (),
    stale: Callable[[Place], set[str]],
    expiries: Expiries,
    marks: bool = True,
) -> Plan:
    """The transaction of *changes*.

    Args:
        changes: at most one a key.
        known: items read consistently, None where there is none.
        fixed: places of *known* where no field may have changed since.
        stale: the tokens on an owner's item that can go.
        expiries: an item that has expired counts as gone.
        marks: False when the owners of the partitions are gone.

    Raises:
        Refused: a condition does not hold of a known item.
        ConflictError: a key differs from a stored one only by case.
        InvalidInputError: a value cannot be stored.
    """
    plan = Plan()
    steps = []
    for index, change in enumerate(changes):
        place = item_key(change.kind, change.key)
        item = known.get(place)
        expired = item is not None and expiries.passed(item)
        step = _exact(index, change, item, expired=expired, whole=place in fixed) if place in known else _blind(change)
        if step is None:
            plan.unread.append(place)
            continue
        if step.draft is not None:
            expiries.timed(step.draft, layout_of(change.kind).entity, over_expired=expired)
        steps.append(step)
        plan.answers.append(step.answer)
        if step.draft is not None:
            if place in plan.drafts:
                raise _collision(change.kind, change.key, changes[plan.drafts[place].change or 0].key)
            step.draft.change = index
            plan.drafts[place] = step.draft
    if not plan.unread and marks:
        for change, step in zip(changes, steps, strict=True):
            _mark(plan, change, step, stale)
    return plan


def unchanged(kind: Kind[Any], key: Key, item: Item | None, *, expiries: Expiries) -> Draft:
    """A check that no field of a record that was read has changed, or that it is still missing."""
    expired = item is not None and expiries.passed(item)
    draft = _unchanged(kind, key, None if expired else item)
    expiries.timed(draft, layout_of(kind).entity, over_expired=expired)
    return draft


def _unchanged(kind: Kind[Any], key: Key, item: Item | None) -> Draft:
    held = held_key(kind, item)
    if held is None or item is None:
        return Draft(item_key(kind, key), allowed=[_absent(kind)])
    same = _same(kind, item, list(kind.by_name)) if held == key else []
    return Draft(item_key(kind, key), allowed=[[*_present(kind, held), *same]])


def _mark(plan: Plan, change: Change, step: Step, stale: Callable[[Place], set[str]]) -> None:
    index = recent_of(layout_of(change.kind))
    if index is None or index.recent is None or step.draft is None or not step.draft.writes:
        return
    kept: dict[tuple[str, ...], str | None] = {} if step.before is None else {fields_by(change.kind, index.by, step.before): None}
    if step.after is not None:
        kept[fields_by(change.kind, index.by, step.after)] = fields_by(change.kind, [index.order], step.after)[0] if index.order else None
    token = new_token(secrets.token_hex(3))
    if not step.draft.deletes:
        step.draft.sets[MARKS] = text(token)
    for by, order in kept.items():
        owner = owner_key(index.recent, by)
        draft = plan.drafts.setdefault(owner, Draft(owner))
        if not draft.deletes:
            draft.sets[MARKS + token] = mark_value(Mark(change.key, order))
            if owner not in plan.marked:
                plan.unmarked[owner] = stale(owner)
                draft.removes |= {MARKS + old for old in plan.unmarked[owner]}
            plan.marked.setdefault(owner, []).append(token)


def _blind(change: Change) -> Step | None:
    kind, key = change.kind, change.key
    layout = layout_of(kind)
    place, terms = item_key(kind, key), _terms(kind, change.when)
    if terms is None:
        return None
    match change:
        case Check():
            return Step(Draft(place, allowed=[[*_present(kind, key), *terms]]))
        case Delete(answer=answer):
            if answer or recent_of(layout) is not None:
                return None
            return Step(_deleted(kind, place, [*_present(kind, key), *terms]))
        case Patch():
            return None if change.answer or change.merge or recent_of(layout) is not None else _blind_patch(change, terms)
        case Save():
            return _blind_save(change, terms)


def _blind_save(save: Save[Any], terms: list[Term]) -> Step | None:
    kind = save.kind
    keep = set(kind.by_name) - set(save.only) if save.only is not None else set(kind.keep)
    keep -= set(kind.key)
    place, fields = item_key(kind, save.key), fields_of(kind, save.record)
    check_size(kind, save.key, fields)
    if save.present == "refuse" or (save.answer and (keep or save.raise_to)):
        # Mostly the record is new, and then it is its own answer; else the stored item comes back.
        return _created(save, place, fields) if save.absent == "create" else None
    draft = Draft(place, sets=_stamp(kind))
    terms = [*_present(kind, save.key), *terms]
    held = {name: getattr(save.record, name) for name in kind.by_name}
    for name, least in save.raise_to.items():
        if save.absent == "create" and held[name] != least:
            return None
        terms.append(Term("<=", attribute_of(kind, name), text(clock.to_text(least))))
        keep.discard(name)
        held[name] = least
    fields = fields_of(kind, attrs.evolve(save.record, **held))
    if not _place_frame(kind, draft, fields, {attribute_of(kind, name) for name in keep}):
        return None
    for name in kind.by_name:
        stored = attribute_of(kind, name)
        if name in keep:
            terms += [Term("exists", stored)] if stored in fields else []
            draft.defaults |= {stored: fields[stored]} if stored in fields else {}
        else:
            _assign(draft, stored, fields.get(stored))
    terms += _same_partition(kind, fields)
    draft.allowed = [*([_absent(kind)] if save.absent == "create" else []), terms]
    return Step(draft, answer=decoded(kind, fields) if save.answer else None, after=save.record)


def _created(save: Save[Any], place: Place, fields: Item) -> Step:
    draft = Draft(place, allowed=[_absent(save.kind)], sets={**fields, **frame_of(save.kind, fields), **_stamp(save.kind)})
    return Step(draft, answer=decoded(save.kind, fields) if save.answer else None, after=save.record)


def _blind_patch(patch: Patch[Any], terms: list[Term]) -> Step | None:
    kind, draft = patch.kind, Draft(item_key(patch.kind, patch.key), sets=_stamp(patch.kind))
    values = dict(patch.put)
    for name, least in patch.raise_to.items():
        values[name] = least
        terms.append(Term("<=", attribute_of(kind, name), text(clock.to_text(least))))
    fields = {attribute_of(kind, name): encoded(kind, name, value) for name, value in values.items()}
    if any(name in fields for index in written_indexes(layout_of(kind)) for name in index.fields):
        return None
    for stored, value in fields.items():
        _assign(draft, stored, value)
    check_size(kind, patch.key, draft.sets)
    draft.allowed = [[*_present(kind, patch.key), *terms]]
    return Step(draft)


def _exact(index: int, change: Change, stored: Item | None, *, expired: bool, whole: bool) -> Step:
    kind, key = change.kind, change.key
    item = None if expired else stored
    held = held_key(kind, item)
    if isinstance(change, Save) and held is not None and held != key:
        raise _collision(kind, key, held)
    found = decoded(kind, item) if item is not None and held == key else None
    if found is not None and not matches(found, change.when):
        raise Refused(index, change, found)
    if found is None and (isinstance(change, Check) or (isinstance(change, Patch) and change.missing == "refuse")):
        raise Refused(index, change, None)
    if isinstance(change, Save) and (change.absent if found is None else change.present) == "refuse":
        raise Refused(index, change, found)
    if not isinstance(change, Save) and (found is None or item is None):
        # Nothing to delete or patch; a decision that rests on it still being so is checked.
        return Step(_unchanged(kind, key, item) if whole else None)
    place = item_key(kind, key)
    allowed = (
        [_absent(kind)] if found is None or item is None else [[*_present(kind, key), *_same(kind, item, _relied(change, whole=whole))]]
    )
    match change:
        case Check():
            return Step(Draft(place, allowed=allowed))
        case Delete(answer=answer):
            return Step(_deleted(kind, place, allowed[0]), answer=found if answer else None, before=found)
    record = change.record if isinstance(change, Save) and found is None else updated(change, found)
    fields = fields_of(kind, record)
    check_size(kind, key, fields)
    return _rewritten(Draft(place, allowed=allowed), change, stored or {}, fields, before=found, after=record)


def _rewritten(draft: Draft, change: Save[Any] | Patch[Any], item: Item, fields: Item, *, before: Any, after: Any) -> Step:
    kind = change.kind
    attributes = {**fields, **frame_of(kind, fields), **_stamp(kind)}
    draft.sets = {name: value for name, value in attributes.items() if item.get(name) != value}
    draft.removes = {name for name in record_attributes(kind, layout_of(kind)) if name in item and name not in attributes}
    return Step(draft, answer=decoded(kind, fields) if change.answer else None, before=before, after=after)


def _deleted(kind: Kind[Any], place: Place, tests: Sequence[Term]) -> Draft:
    """An owner's item loses its record and keeps its marks, which lead a purge to what the index does not show yet."""
    layout = layout_of(kind)
    if not layout.owns:
        return Draft(place, allowed=[tests], deletes=True)
    return Draft(place, allowed=[tests], removes=set(record_attributes(kind, layout)))


def _relied(change: Change, *, whole: bool) -> list[str]:
    """The fields of the stored record on which the outcome or the answer rests."""
    kind = change.kind
    names = {condition.field[0] for condition in change.when}
    overwritten: set[str] = set()
    match change:
        case Save():
            overwritten = set(kind.by_name) - set(kind.keep) if change.only is None else set(change.only)
            names |= set(change.raise_to)
        case Patch():
            overwritten = set(change.put)
            names |= set(change.raise_to) | set(change.merge)
    if whole or (not isinstance(change, Check) and change.answer):
        names |= set(kind.by_name) if whole or isinstance(change, Delete) else set(kind.by_name) - overwritten
    for path in kind.paths:
        if path.name in layout_of(kind).indexes and not isinstance(change, Check):
            names |= {*path.by, path.order}
    return [name for name in kind.by_name if name in names and name not in kind.key]


def _terms(kind: Kind[Any], where: Where) -> list[Term] | None:
    """Tests of the raw attributes that hold only if *where* does; None when there are none such."""
    terms = []
    for condition in where:
        field = kind.by_name[condition.field[0]]
        plain = field.type in {"id", "text"} and field.absent is None
        match condition:
            case Is(value=str() as value) if len(condition.field) == 1 and field.type in {"id", "text"}:
                terms.append(Term("=", attribute_of(kind, field.name), text(value)))
            case Is(value=None) | Missing() if len(condition.field) == 1 and plain:
                terms.append(Term("missing", attribute_of(kind, field.name)))
            case Between() if len(condition.field) == 1 and field.type == "time":
                terms += _bounds(attribute_of(kind, field.name), condition)
            case _:
                return None
    return terms


def _bounds(stored: str, between: Between) -> list[Term]:
    # Comparing with a text also says that the attribute is there.
    low, high = between.low or datetime.min.replace(tzinfo=UTC), between.high or datetime.max.replace(tzinfo=UTC)
    return [
        Term(">" if between.low_open else ">=", stored, text(clock.to_text(low))),
        Term("<" if between.high_open else "<=", stored, text(clock.to_text(high))),
    ]


def _present(kind: Kind[Any], key: Key) -> list[Term]:
    keyed = [Term("=", attribute_of(kind, name), text(value)) for name, value in zip(kind.key, key, strict=True)]
    return [*keyed, Term("exists", layout_of(kind).proof)]


def _absent(kind: Kind[Any]) -> list[Term]:
    return [Term("missing", layout_of(kind).proof)]


def _same(kind: Kind[Any], item: Item, names: Collection[str]) -> list[Term]:
    stored = [attribute_of(kind, name) for name in names if name not in kind.key]
    return [Term("=", name, item[name]) if name in item else Term("missing", name) for name in stored]


def _same_partition(kind: Kind[Any], fields: Item) -> list[Term]:
    """Where a partition has an owner, an existing record must lie where the new one does: else the other owner learns of it too."""
    index = recent_of(layout_of(kind))
    names = [] if index is None else [*index.by, *([index.order] if index.order else [])]
    return [Term("=", name, fields[name]) for name in names if name in fields]


def _place_frame(kind: Kind[Any], draft: Draft, fields: Item, kept: set[str]) -> bool:
    """Set what ElectroDB keeps beside the fields; False when it depends on fields of which only some are kept."""
    frame = frame_of(kind, fields)
    parts: dict[str, set[str]] = {}
    for index in written_indexes(layout_of(kind)):
        whether = set() if index.without is None else {index.without}
        parts |= {f"{index.name}pk": {*index.by, *whether}, f"{index.name}sk": {*index.sorts, *whether}}
        if any(name not in frame for name in (f"{index.name}pk", f"{index.name}sk")):
            if kept.intersection(index.fields):
                return False
            draft.removes |= {f"{index.name}pk", f"{index.name}sk"}
    for name, value in frame.items():
        depends = parts.get(name, set())
        if depends and depends <= kept:
            draft.defaults[name] = value
        elif depends & kept:
            return False
        else:
            draft.sets[name] = value
    return True


def _assign(draft: Draft, stored: str, value: AttributeValue | None) -> None:
    if value is None:
        draft.removes.add(stored)
    else:
        draft.sets[stored] = value


def _stamp(kind: Kind[Any]) -> dict[str, AttributeValue]:
    stamped = layout_of(kind).stamped
    return {} if stamped is None else {stamped: text(clock.to_text(clock.now()))}


def _collision(kind: Kind[Any], key: Key, held: Key) -> ConflictError:
    return ConflictError(
        f"{kind.name} {'/'.join(key)}: DynamoDB's key format, which TypeScript shares, lower-cases ids, and {'/'.join(held)!r} "
        "has the same key; nothing was overwritten. Choose an id that differs by more than case."
    )
