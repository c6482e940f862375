"""An agent with a model that answers at once, over a store that counts."""

from __future__ import annotations

import pytest

from mastra_core import Agent, Memory
from tests.unit.agent.models import CountingStore, ScriptedModel


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
def agent(store: CountingStore, model: ScriptedModel) -> Agent:
    return Agent("support", instructions="Be kind.", model=model, memory=Memory(store))
