"""mastra chat and mastra reindex, with the small local models, as users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EMBEDDER = "local/all-minilm-l6-v2"


def mastra(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mastra_core.cli.main import main; main()", *arguments]
    ran = subprocess.run(
        command, input=typed, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False, env=dict(os.environ)
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran


def test_a_conversation_is_kept_listed_recalled_and_reindexed(tmp_path: Path) -> None:
    """What is typed is answered and stored; /threads and /recall find it; what has no vector gets one later."""
    url = f"file:{tmp_path / 'chat.db'}"
    typed = "Say yes.\n/threads\n/thread other\n/recall yes\n/nonsense\n\n/exit\nnever read\n"
    talked = mastra("chat", "--storage", url, "--thread", "first", "--instructions", "Answer with one word.", typed=typed)
    assert talked.returncode == 0, talked.stderr
    assert "first\t\t" in talked.stdout
    assert "thread 'first' of 'me'" in talked.stderr
    assert "nothing is found by meaning without vectors; begin with --embedder" in talked.stderr
    assert talked.stderr.count("/exit ends") == 2
    kept = mastra("messages", url, "first").stdout
    assert "Say yes." in kept
    assert "never read" not in kept
    indexed = mastra("reindex", url, "--embedder", EMBEDDER)
    assert "2 messages looked at, 2 embedded" in indexed.stderr
    assert "0 messages embedded" in mastra("reindex", url, "--embedder", EMBEDDER).stderr
    found = mastra("chat", "--storage", url, "--embedder", EMBEDDER, typed="/recall yes\n")
    assert "Say yes." in found.stdout


def test_a_wrong_model_or_url_is_one_line(tmp_path: Path) -> None:
    """Nothing is asked before the mistake is told."""
    wrong = mastra("chat", "--model", "opneai/gpt-5.1", "--storage", f"file:{tmp_path / 'chat.db'}", typed="Hi\n")
    assert wrong.returncode == 2
    assert "Did you mean 'openai/…'" in wrong.stderr
    nowhere = mastra("reindex", "redsi://localhost", "--embedder", EMBEDDER)
    assert nowhere.returncode == 2
    assert "Did you mean 'redis://'" in nowhere.stderr
