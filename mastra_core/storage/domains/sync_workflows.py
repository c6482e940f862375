"""The workflows domain for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from mastra_core.storage.domains.workflows import WorkflowsDomain
from mastra_core.sync import blocking, facade


@facade(WorkflowsDomain)
class WorkflowsDomainSync:
    """Runs of workflows of one store, blocking; see WorkflowsDomain for what each method promises."""

    def __init__(self, domain: WorkflowsDomain) -> None:
        self._async = domain

    def supports_concurrent_updates(self) -> bool:
        """Whether step results and states can be written by several processes at once."""
        return self._async.supports_concurrent_updates()

    persist_workflow_snapshot = blocking(WorkflowsDomain.persist_workflow_snapshot)
    load_workflow_snapshot = blocking(WorkflowsDomain.load_workflow_snapshot)
    update_workflow_results = blocking(WorkflowsDomain.update_workflow_results)
    update_workflow_state = blocking(WorkflowsDomain.update_workflow_state)
    list_workflow_runs = blocking(WorkflowsDomain.list_workflow_runs)
    get_workflow_run_by_id = blocking(WorkflowsDomain.get_workflow_run_by_id)
    delete_workflow_run_by_id = blocking(WorkflowsDomain.delete_workflow_run_by_id)
    dangerously_clear_all = blocking(WorkflowsDomain.dangerously_clear_all)
