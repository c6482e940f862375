"""The whole contract of an engine."""

from __future__ import annotations

from mastra_core.testing.engine.conditions import ConditionContract, FilteredChangeContract, RefusedBatchContract
from mastra_core.testing.engine.lists import MembershipContract, OrderContract
from mastra_core.testing.engine.model import WalkContract
from mastra_core.testing.engine.parts import FilterContract, PageContract, WindowContract
from mastra_core.testing.engine.preparing import PreparationContract
from mastra_core.testing.engine.races import RaceContract
from mastra_core.testing.engine.snapshots import SnapshotContract
from mastra_core.testing.engine.support import DeclarationContract, OperationContract
from mastra_core.testing.engine.values import ForeignRecordContract, IsolationContract, ValueContract
from mastra_core.testing.engine.writes import ChangeContract, SaveContract


class EngineContract(
    SaveContract,
    ChangeContract,
    ConditionContract,
    RefusedBatchContract,
    FilteredChangeContract,
    OrderContract,
    MembershipContract,
    PageContract,
    FilterContract,
    WindowContract,
    ValueContract,
    IsolationContract,
    ForeignRecordContract,
    RaceContract,
    DeclarationContract,
    OperationContract,
    PreparationContract,
    SnapshotContract,
    WalkContract,
):
    """Every promise of `RecordEngine`. A subclass defines `open_engine` and `peek`; see `EngineUnderTest` for both and for `poke`,
    `PreparationContract` for `again`, and `SnapshotContract` for `snapshot` and `on_disk`.
    """
