"""The whole contract of a store's workflows domain."""

from __future__ import annotations

from mastra_core.testing.workflows.lists import RunListContract
from mastra_core.testing.workflows.runs import ResultContract, RunContract, StateContract


class WorkflowsContract(RunContract, StateContract, ResultContract, RunListContract):
    """Runs of workflows as engines that run them meet them. A subclass defines `open_store`; see `WorkflowsUnderTest`."""
