"""The quick start is found as a reader finds it."""

from __future__ import annotations

import pytest

from tests.packaging.quick_start import quick_start

README = """# Title

```python
# Quick start
wrong()
```

## Quick start, offline

Install:

```sh
# two packages
$ pip install a b
b install
```

Save as `x.py`:

```python
# a comment is no heading
print(1)  # -> Ada
```

### More

```python
print(2)  # -> not this
```

## Other
"""


def test_the_commands_and_the_program_are_those_below_the_heading() -> None:
    """What is run is what a reader copies, and nothing from another section."""
    found = quick_start(README)
    assert found.commands == ("pip install a b", "b install")
    assert found.program == "# a comment is no heading\nprint(1)  # -> Ada\n"
    assert found.promises == ("Ada",)


@pytest.mark.parametrize(
    "cut, missing",
    [
        ("## Quick start, offline", 'no heading "Quick start"'),
        ("$ pip install a b", "installs nothing"),
        ("  # -> Ada", "promises no output"),
    ],
)
def test_a_missing_part_is_named(cut: str, missing: str) -> None:
    """Whoever edits the README learns what the test needs."""
    with pytest.raises(LookupError, match=missing):
        quick_start(README.replace(cut, ""))
