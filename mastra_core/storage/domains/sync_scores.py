"""The scores domain for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from mastra_core.storage.domains.scores import ScoresDomain
from mastra_core.sync import blocking, facade


@facade(ScoresDomain)
class ScoresDomainSync:
    """Scores of one store, blocking; see ScoresDomain for what each method promises."""

    def __init__(self, domain: ScoresDomain) -> None:
        self._async = domain

    save_score = blocking(ScoresDomain.save_score)
    get_score_by_id = blocking(ScoresDomain.get_score_by_id)
    list_scores_by_scorer_id = blocking(ScoresDomain.list_scores_by_scorer_id)
    list_scores_by_run_id = blocking(ScoresDomain.list_scores_by_run_id)
    list_scores_by_entity_id = blocking(ScoresDomain.list_scores_by_entity_id)
    list_scores_by_span = blocking(ScoresDomain.list_scores_by_span)
    dangerously_clear_all = blocking(ScoresDomain.dangerously_clear_all)
