"""Layout of the help texts: arguments, then options group by group, then examples to copy."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

#: `-h` everywhere, and lines as wide as the terminal up to this many columns.
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(TyperCommand):
    """A command whose help lists its arguments, then its options by group, then its epilog verbatim."""

    def __init__(self, name: str | None, **settings: Any) -> None:
        settings["context_settings"] = _CONTEXT | (settings.get("context_settings") or {})
        super().__init__(name, **settings)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``[OPTIONS]`` and the arguments, the optional ones in brackets."""
        arguments = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        return ["[OPTIONS]", *(_named(p) if p.required else f"[{_named(p)}]" for p in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then one section for each group of options, the command's own last."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            if param.param_type_name == "argument":
                sections["Arguments"].append((_named(param), record[1].removesuffix("  [required]")))
            else:
                title = getattr(param, "rich_help_panel", None) or "Options"
                sections.setdefault(title, []).append((record[0], _in_words(record[1])))
        for title in sorted(sections, key=lambda t: t == "Options"):
            if sections[title]:
                with formatter.section(title):
                    formatter.write_dl(sections[title])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples and other text below the options."""
        _write_epilog(self.epilog, formatter)


class Group(TyperGroup):
    """A group of commands whose help shows every command's full summary line, and examples."""

    def __init__(self, **settings: Any) -> None:
        settings["context_settings"] = _CONTEXT | (settings.get("context_settings") or {})
        super().__init__(**settings)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without truncating their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.command_lines(ctx)))

    def command_lines(self, ctx: Any) -> Iterator[tuple[str, str]]:
        """(name, one line) of every command."""
        for name in self.list_commands(ctx):
            yield name, self.get_command(ctx, name).get_short_help_str(limit=200)  # type: ignore[union-attr]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_epilog(self.epilog, formatter)


def _named(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _in_words(text: str) -> str:
    """Typer's ranges, ``1<=x<=8`` and ``x>=1``, as the option groups write them."""
    text = re.sub(r"([\d.]+)<=x<=([\d.]+)(?=[];])", r"\1 to \2", text)
    return re.sub(r"x>=([\d.]+)(?=[];])", r"at least \1", text)


def _write_epilog(epilog: str | None, formatter: Any) -> None:
    """Wrap paragraphs to the width; indented ones are examples and stay verbatim."""
    for paragraph in inspect.cleandoc(epilog or "").split("\n\n"):
        if paragraph:
            formatter.write_paragraph()
            if paragraph.startswith("  "):
                formatter.write(paragraph + "\n")
            else:
                formatter.write_text(" ".join(paragraph.split("\n")))
