"""Pages, orders and options of list methods: one meaning and one wording of refusals for every domain (semantics §2.4, §2.5).

Knows no kind and no engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Generic, Literal, TypedDict, TypeVar

import attrs

from mastra_core.errors import InvalidInputError
from mastra_core.names import did_you_mean

T = TypeVar("T")

Direction = Literal["ASC", "DESC"]


class OrderBy(TypedDict, total=False):
    """What a list is ordered by; either key alone is enough."""

    field: Literal["created_at", "updated_at"]
    direction: Direction


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """One page of a list; iterate over it, or look at `items`.

    Attributes:
        items: the records.
        total: how many there are on all pages, if that was asked for (`include_total`), else None.
        page: which page, from 0.
        per_page: how many records a page has at most; None is everything.
        has_more: whether a next page would have records; always right.
    """

    items: tuple[T, ...]
    total: int | None
    page: int
    per_page: int | None
    has_more: bool

    def __iter__(self) -> Iterator[T]:
        """The records of this page."""
        return iter(self.items)

    def __len__(self) -> int:
        """How many records are on this page."""
        return len(self.items)


@attrs.frozen(kw_only=True)
class Cut:
    """Which part of a list a page is: skip *offset*, take *limit* (None: all)."""

    page: int
    per_page: int | None

    @classmethod
    def checked(cls, *, page: object, per_page: object) -> Cut:
        """The cut that *page* and *per_page* ask for.

        Raises:
            InvalidInputError: either is negative or no whole number (a bool is none), or a page other than 0 is asked of everything.
        """
        if per_page is not None:
            per_page = whole(per_page, at="per_page", name="perPage", mend="; None gives everything")
        page = whole(page, at="page", mend="; the first page is 0")
        if per_page is None and page:
            msg = f"page must be 0 when per_page is None (everything), found {page}"
            raise InvalidInputError(msg)
        return cls(page=page, per_page=per_page)

    @property
    def offset(self) -> int:
        """How many records come before this page."""
        return 0 if self.per_page is None else self.page * self.per_page

    @property
    def probe(self) -> int | None:
        """One record more than the page holds, to see whether there is a next one."""
        return None if self.per_page is None else self.per_page + 1

    def page_of(self, found: list[T], *, total: int | None) -> Page[T]:
        """The page, of records found with this offset and `probe` as limit."""
        more = self.per_page is not None and len(found) > self.per_page
        return Page(items=tuple(found[: self.per_page]), total=total, page=self.page, per_page=self.per_page, has_more=more)


def whole(value: object, *, at: str, name: str = "", mend: str = "") -> int:
    """*value*, if it is a whole number of at least 0; *name* is what TypeScript calls it in this refusal.

    Raises:
        InvalidInputError: it is negative, or no whole number; a bool is none.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{at} must be a whole number, found {value!r} ({type(value).__name__}){mend}"
        raise InvalidInputError(msg)
    if value < 0:
        msg = f"{name or at} must be >= 0, found {value}{mend}"
        raise InvalidInputError(msg)
    return value


def check_order(order_by: object, *, fields: tuple[str, ...], default: Direction) -> tuple[str, bool]:
    """The field of *order_by* and whether it descends.

    Raises:
        InvalidInputError: an unknown key, field or direction.
    """
    if order_by is None:
        return fields[0], default == "DESC"
    given = check_options(order_by, known=("field", "direction"), at="order_by")
    field, direction = given.get("field", fields[0]), given.get("direction", default)
    if field not in fields:
        msg = f"order_by: cannot order by {field!r}; choose from {list(fields)}{did_you_mean(field, fields)}"
        raise InvalidInputError(msg)
    if direction not in {"ASC", "DESC"}:
        msg = f"order_by: the direction is 'ASC' or 'DESC', found {direction!r}"
        raise InvalidInputError(msg)
    return str(field), direction == "DESC"


def check_options(given: object, *, known: Collection[str], at: str) -> Mapping[str, object]:
    """*given*, if it is a mapping with known keys only.

    Raises:
        InvalidInputError: it is none, or has another key; the message names the snake-case or nearest one.
    """
    if not isinstance(given, Mapping):
        msg = f"{at}: must be a mapping with the keys {list(known)}, found {given!r}"
        raise InvalidInputError(msg)
    for name in given:
        if name not in known:
            msg = f"{at}: unknown key {name!r}; the keys are {list(known)}{did_you_mean(name, known)}"
            raise InvalidInputError(msg)
    return given
