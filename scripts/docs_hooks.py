"""What mkdocs runs while it builds the site: reference pages from the code, the other pages of docs/ in the menu, and
a check of links that lead out of docs/ into the repository."""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Put the pages that no menu entry names under "More", so that none is lost."""
    named = set(re.findall(r"[\w/.-]+\.md", str(config["nav"])))
    docs = Path(config["docs_dir"])
    more = [p.relative_to(docs).as_posix() for p in sorted(docs.rglob("*.md"))]
    decisions = [p for p in more if p.startswith("decisions/")]
    others = [p for p in more if p not in named and p not in decisions]
    if others:
        config["nav"].append({"More": others})
    if decisions:
        index = "decisions/index.md"
        config["nav"].append({"Decisions": [index, *(p for p in decisions if p != index)]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, "reference/commands.md", content="\n".join(_commands())))
    files.append(File.generated(config, "reference/options.md", content="\n".join(_options())))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files of the repository outside docs/ become their paths; one that leads nowhere stops the build."""
    docs = Path(config["docs_dir"]).resolve()
    source = page.file.abs_src_path
    if source is None:
        return markdown

    def resolve(match: re.Match[str]) -> str:
        text, target = match.group(1), match.group(2)
        if "://" in target or target.startswith("mailto:"):
            return match.group(0)
        path = (Path(source).parent / target).resolve()
        if docs in path.parents or path == docs:
            return match.group(0)
        if not path.exists():
            raise PluginError(f"{page.file.src_path}: the link to {target} leads nowhere")
        return f"{text} (`{path.relative_to(ROOT.resolve()).as_posix()}` in the repository)"

    return _LINK.sub(resolve, markdown)


def _commands() -> Iterator[str]:
    """Every command with its help, as the program prints it."""
    import os

    os.environ["COLUMNS"] = "100"
    from typer.main import get_command

    from vidsr.cli.main import app

    yield "# Commands\n\nMade from the program. Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted.\n"
    root: Any = get_command(app)
    context = root.make_context("vidsr", [], resilient_parsing=True)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        yield from _described(command, f"vidsr {name}", context, 2)


def _described(command: Any, title: str, parent: Any, level: int) -> Iterator[str]:
    context = command.make_context(title, [], parent=None, resilient_parsing=True)
    context.terminal_width = context.max_content_width = 100
    yield f"{'#' * level} {title}\n\n```text\n{command.get_help(context)}\n```\n"
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        sub = command.get_command(context, name)
        yield from _described(sub, f"{title} {name}", context, level + 1)


def _options() -> Iterator[str]:
    """Every option of enhance, from its declaration."""
    from vidsr.options.enhance_options import EnhanceOptions
    from vidsr.options.schema import describe, groups_of

    yield "# Options\n\nThe options of `vidsr enhance` are fields of dataclasses: the command line, the Python API, the"
    yield 'manifest of a job and the web app use the same. In Python: `enhance("clip.mp4", scale=2, codec="hevc")`.\n'
    for group, kind in groups_of(EnhanceOptions):
        yield f"## {getattr(kind, 'title', group)}\n\n{(kind.__doc__ or '').splitlines()[0]}\n"
        yield "| Python | Command line | Default | What it does |\n|---|---|---|---|"
        hints = typing.get_type_hints(kind)
        for f in dataclasses.fields(kind):
            if "vidsr" not in f.metadata:
                continue
            what = describe(f)
            value = what.plain(f.default)
            default = "" if value in (None, ()) else f"`{value}`"
            choices = f" One of {', '.join(f'`{c}`' for c in what.choices)}." if what.choices else ""
            hint = str if what.parse is not None else hints[f.name]
            kind_name = getattr(hint, "__name__", str(hint)).replace("|", "or")
            flags = ", ".join(f"`{flag}`" for flag in what.flags)
            text = (what.help + choices).replace("|", "\\|").replace("\n", " ")
            yield f"| `{f.name}` ({kind_name}) | {flags} | {default} | {text} |"
        yield ""
