"""The types of the HTTP API, from which the OpenAPI description is generated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from vidsr.web.runs import RunState

Text = Annotated[str, Field(min_length=1, max_length=4096)]
RunId = Annotated[str, Field(pattern=r"^[0-9]{8}-[0-9a-f]{12}$", description="The id of a job or preview.")]


OptionValues = Annotated[
    dict[str, bool | StrictInt | StrictFloat | Annotated[str, Field(max_length=4096)] | None],
    Field(max_length=200, description="Options of `vidsr enhance` by name, as `GET /api/v1/about` lists them."),
]


class StrictModel(BaseModel):
    """Base class: rejects unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Problem(StrictModel):
    """Why a request was rejected."""

    detail: str


class OptionInfo(StrictModel):
    """One option of ``vidsr enhance``."""

    name: str
    group: str
    help: str
    flag: str
    type: Literal["boolean", "integer", "number", "string"]
    default: bool | StrictInt | StrictFloat | str | None
    choices: list[str]
    minimum: float | None
    maximum: float | None


class PresetInfo(StrictModel):
    """A preset: a kind of material, or one that was saved on this machine. ``options`` are its values that may be set
    over HTTP, by option name."""

    name: str
    material: bool
    options: dict[str, bool | StrictInt | StrictFloat | str]


class NewPreset(StrictModel):
    """Options to save as a preset. One of the same name is replaced only with ``overwrite``."""

    options: OptionValues
    overwrite: bool = False


class ModelInfo(StrictModel):
    """One model that is ready to use."""

    name: str
    scale: int
    advice: str


class About(StrictModel):
    """The server's version, folders, models, options, presets and limits."""

    version: str
    roots: list[str]
    models: list[ModelInfo]
    options: list[OptionInfo]
    presets: list[PresetInfo]
    max_upload_bytes: int


class FolderEntry(StrictModel):
    """One entry of a folder."""

    name: str
    path: str
    kind: Literal["folder", "video", "picture"]
    size_bytes: int | None


class Listing(StrictModel):
    """A folder's folders and media files. ``file`` is the file that was asked for, if it was one."""

    path: str
    parent: str | None
    entries: list[FolderEntry]
    file: str | None = None


class StreamDescription(StrictModel):
    """One stream of a file."""

    kind: str
    codec: str
    language: str | None
    details: str


class FileDescription(StrictModel):
    """The description of a file."""

    path: str
    kind: Literal["video", "picture"]
    width: int
    height: int
    format: str
    details: str
    seconds: float | None
    streams: list[StreamDescription]
    notes: list[str]


class Findings(StrictModel):
    """What `vidsr inspect` found in a video. ``recommended`` maps names of options to values."""

    path: str
    sentences: list[str]
    recommended: dict[str, bool | StrictInt | StrictFloat | str]


class NewEstimate(StrictModel):
    """A job to estimate. With a folder as the source, it is a queue of files, whose ``output`` is a folder; so
    it is with ``spans``, a CSV table of parts in the served folders."""

    source: Text
    output: Text | None = None
    spans: Text | None = None
    options: OptionValues = Field(default_factory=dict)


class NewPreview(StrictModel):
    """A moment to preview."""

    source: Text
    options: OptionValues = Field(default_factory=dict)
    at_seconds: Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)] = 0.0


class NewJob(StrictModel):
    """A job to run. With a folder as the source, or with further sources, it is a queue of files, whose ``output`` is a
    folder; with ``watch`` it takes what arrives in the folder until it is paused or cancelled. With ``spans``, a CSV
    table of parts in the served folders, each part of the source becomes a file in the folder ``output``."""

    source: Text
    also: Annotated[list[Text], Field(max_length=10_000)] = Field(default_factory=list)
    output: Text | None = None
    watch: bool = False
    spans: Text | None = None
    options: OptionValues = Field(default_factory=dict)


class PreviewRun(StrictModel):
    """A preview: two pictures once it is done."""

    id: RunId
    state: RunState
    error: str | None = None
    at_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    place: str | None = None


class NewMap(StrictModel):
    """A finished preview, of which to find out what was invented."""

    preview: RunId


class MapRun(StrictModel):
    """The map of a preview once it is done: shares of its pixels in percent, and the mean expected error in 8-bit code
    values."""

    id: RunId
    state: RunState
    error: str | None = None
    supported_percent: float | None = None
    invented_percent: float | None = None
    expected_error: float | None = None


class EstimateRun(StrictModel):
    """What a whole job will do and what it costs: figures, and lines about streams, filters, model and losses, once
    it is done."""

    id: RunId
    state: RunState
    error: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    seconds: float | None = None
    result_bytes: int | None = None
    disk_bytes: int | None = None
    memory_bytes: int | None = None
    lines: list[str] = Field(default_factory=list)


class JobRun(StrictModel):
    """The state and progress of a job."""

    id: RunId
    state: RunState
    stopping: bool
    source: str
    output: str | None
    created: float
    frames: int
    total_frames: int
    segments_done: int
    fps: float | None
    seconds_left: float | None
    stage: str
    notes: list[str]
    error: str | None
    result: dict[str, Any] | None
    has_result: bool
    has_master: bool
    has_report: bool
    can_compare: bool


class QueueFile(StrictModel):
    """A file of a queue. ``reason`` says why it was not done."""

    id: str
    name: str
    state: Literal["waiting", "growing", "running", "done", "skipped", "refused", "failed"]
    reason: str
    frames: int
    total_frames: int
    left_out: bool


class Queue(StrictModel):
    """A queue of files: its state and sums, and, where asked for, its files, of which at most 1,000 are listed. Those
    in progress come first, then those that wait in their order."""

    id: str
    state: Literal["running", "stopping", "stopped", "ended"]
    sources: list[str]
    output: str | None
    watch: bool
    frames: int
    total_frames: int
    fps: float | None
    seconds_left: float | None
    counts: dict[str, int]
    files: list[QueueFile]


class NewPlace(StrictModel):
    """The new place of a waiting file."""

    where: Literal["first", "last", "up", "down"]


class Events(StrictModel):
    """A job's events; request the next ones with ``after=next``."""

    events: list[dict[str, Any]]
    next: int


class Uploaded(StrictModel):
    """Where an upload was stored."""

    path: str
    size_bytes: int
