"""What a container keeps of languages, titles, roles and tags.

Muxers drop unsupported metadata silently, so each container is probed by writing a tiny file in memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av

from vidsr.media import libav
from vidsr.media.mux.containers import ContainerEntry
from vidsr.media.mux.restoration_tag import content_tags
from vidsr.media.source import StreamInfo

#: Roles of streams, by FFmpeg's disposition bits. "default" is not among them: muxers set it where no stream has it.
ROLES = {
    0x2: "dub", 0x4: "original", 0x8: "comment", 0x10: "lyrics", 0x20: "karaoke", 0x40: "forced",
    0x80: "hearing impaired", 0x100: "visual impaired", 0x200: "clean effects", 0x10000: "captions",
    0x20000: "descriptions",
}  # fmt: skip
Tags = tuple[tuple[str, str], ...]
# A sound codec that each muxer takes, and its sample format.
_SOUND = {"webm": ("libopus", "flt")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one stream is called: its language, its title, and the bits of its roles."""

    language: str | None = None
    title: str | None = None
    roles: int = 0

    @classmethod
    def of(cls, stream: StreamInfo) -> Label:
        """The label of a stream of the source."""
        title = content_tags(stream.metadata).get("title")
        return cls(language=stream.language, title=title, roles=stream.disposition & sum(ROLES))


def role_names(roles: int) -> str:
    """The roles in words."""
    return ", ".join(name for bit, name in ROLES.items() if roles & bit) or "none"


def kept_label(entry: ContainerEntry, label: Label) -> Label:
    """What the container keeps of a label; the language in the spelling to write, None if it has no code for it."""
    if label == Label():
        return label
    title, roles = label.title, label.roles
    for language in spellings(label.language) if label.language else ("",):
        kept = _trial(entry.muxer, Label(language=language or None, title=title, roles=roles), (), ())[0]
        if not label.language or (kept.language and canonical(kept.language) == canonical(label.language)):
            return Label(language=language or None, title=kept.title, roles=kept.roles)
    return Label(title=kept.title, roles=kept.roles)


def kept_tags(entry: ContainerEntry, tags: dict[str, str], options: dict[str, str]) -> dict[str, str]:
    """The tags that the container keeps when it is written with these options of its muxer."""
    found = {plain_key(k): v for k, v in _trial(entry.muxer, Label(), tuple(tags.items()), tuple(options.items()))[1]}
    return {key: value for key, value in tags.items() if plain_key(key) in found}


def plain_key(key: str) -> str:
    """A tag's name without the differences between containers."""
    return key.lower().replace(" ", "_")


def written_tags(entry: ContainerEntry, stream: StreamInfo) -> dict[str, str]:
    """The tags to give the result's stream that stands for ``stream``."""
    tags = content_tags(stream.metadata)
    if stream.language is None:
        return tags
    language = kept_label(entry, Label(language=stream.language)).language
    others = {key: value for key, value in tags.items() if key.lower() != "language"}
    return others | ({"language": language} if language else {})


def lost_labels(entry: ContainerEntry, streams: Iterable[StreamInfo]) -> Iterator[str]:
    """In words, what the container has no place for in the labels of these streams."""
    for stream in streams:
        label = Label.of(stream)
        kept = kept_label(entry, label)
        name = f"{stream.kind} stream {stream.index}"
        if label.language and not kept.language:
            yield f"the language of {name} ({label.language})"
        if label.title and not kept.title:
            yield f"the title of {name} ({label.title})"
        if lost := label.roles & ~kept.roles:
            yield f"the role of {name} ({role_names(lost)})"


@lru_cache(maxsize=256)
def _trial(muxer: str, label: Label, tags: Tags, options: Tags) -> tuple[Label, Tags]:
    """(label, tags) as they come back from a file with one short silence; as they are, if no such file can be made."""
    memory = io.BytesIO()
    codec, layout = _SOUND.get(muxer, ("aac", "fltp"))
    try:
        with av.open(memory, "w", format=muxer, options=dict(options)) as target:
            stream: Any = target.add_stream(codec, rate=48000)
            context = stream.codec_context
            context.layout, context.format = "mono", layout
            stream.metadata.update({k: v for k, v in (("language", label.language), ("title", label.title)) if v})
            stream.disposition = label.roles
            target.metadata.update(dict(tags))
            target.start_encoding()
            silence = av.AudioFrame(layout, "mono", context.frame_size)
            silence.sample_rate, silence.pts = 48000, 0
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            for frame in (silence, None):
                target.mux(stream.encode(frame))
        memory.seek(0)
        with av.open(memory, metadata_errors="replace") as made:
            only: Any = made.streams[0]
            found = StreamInfo(
                index=0,
                kind="audio",
                codec="",
                disposition=int(only.disposition),
                metadata=tuple(only.metadata.items()),
            )
            return Label.of(found), tuple(made.metadata.items())
    except (libav.AvError, ValueError, OSError):
        return label, tags


# ISO 639-1 code and its ISO 639-2/T code.
_PAIRS = (
    "aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bhbih bibis bmbam bnben "
    "bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo eeewe elell eneng "
    "eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj gvglv hahau heheb "
    "hihin hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo iiiii ikipk ioido isisl itita iuiku jajpn jvjav "
    "kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim "
    "lnlin lolao ltlit lulub lvlav mgmlg mhmah mimri mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau nbnob ndnde nenep "
    "ngndo nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs papan pipli plpol pspus ptpor quque rmroh "
    "rnrun roron rurus rwkin sasan scsrd sdsnd sesme sgsag sisin skslk slslv smsmo snsna sosom sqsqi srsrp ssssw stsot "
    "susun svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig ukukr "
    "ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid yoyor zazha zhzho zuzul"
)
# ISO 639-2/T code and its bibliographic twin, which QuickTime and older Matroska files use.
_TWINS = (
    "sqialb hyearm eusbaq myabur zhochi cescze nlddut frafre katgeo deuger ellgre islice mkdmac mrimao msamay fasper "
    "ronrum slkslo bodtib cymwel"
)
_TO_3 = {pair[:2]: pair[2:] for pair in _PAIRS.split()}
_TO_B = {pair[:3]: pair[3:] for pair in _TWINS.split()}
_TO_T = {b: t for t, b in _TO_B.items()}


def canonical(language: str) -> str:
    """The ISO 639-2/T code of a language where there is one; the text itself, in lower case, otherwise."""
    first = language.lower().replace("_", "-").partition("-")[0]
    known = _TO_T.get(first, _TO_3.get(first, first))
    return known if len(known) == 3 else language.lower()


def spellings(language: str) -> tuple[str, ...]:
    """The language as it stands, then in the other ways to write it."""
    code = canonical(language)
    return tuple(dict.fromkeys((language, code, _TO_B.get(code, code))))
