"""Prints the next section of CHANGELOG.md, put together from the fragments in changelog.d/.

A fragment is named `<issue>.<kind>.md`, or `<issue>.<kind>.<word>.md` where an issue has several, and holds Markdown written
for users. Reads that folder only, and changes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

FRAGMENTS = Path(__file__).resolve().parent.parent / "changelog.d"
HEADINGS = {"feature": "Added", "change": "Changed", "fix": "Fixed", "removal": "Removed"}


def section(folder: Path) -> str:
    """The Markdown of all fragments in *folder*, under one heading a kind.

    Raises:
        SystemExit: a file there is not named as a fragment.
    """
    found: dict[str, list[str]] = {kind: [] for kind in HEADINGS}
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        kind = path.name.split(".")[1]
        if kind not in found:
            sys.exit(f"{path.name} is no changelog fragment: name it <issue>.<kind>.md, the kind one of {', '.join(HEADINGS)}")
        found[kind].append(path.read_text(encoding="utf-8").strip())
    return "\n\n".join(f"### {HEADINGS[kind]}\n\n" + "\n".join(texts) for kind, texts in found.items() if texts)


if __name__ == "__main__":
    print(section(FRAGMENTS))
