"""Every error vidsr raises on purpose.

::

    VidsrError
    ├── OptionsError          options that contradict each other or are out of range (exit 2)
    ├── InputError            the source is missing, not a video, or damaged beyond use
    ├── OutputError           the result cannot be written at the path or in the form requested
    │   ├── DiskFullError     no space left
    │   └── NoPlaceError      the codec or container cannot hold what the source has; another one can
    ├── ModelError            a model is unknown or cannot be used
    │   ├── CheckpointError   a weights file that is not a model, is truncated, unknown or carries code
    │   └── DownloadError     a download failed or has the wrong digest
    ├── DecodeError           the source could not be decoded; the message says where
    ├── EncodeError           an encoder is missing, rejected its options or failed on a frame
    ├── InferenceError        a frame could not be computed on the device
    │   └── DeviceMemoryError a device has too little memory for the smallest step
    ├── JobError              a job cannot be started, resumed or finished
    ├── VerifyError           a result differs from its source in a way that was not announced
    ├── TrainingError         training cannot start or continue
    ├── MissingExtraError     an optional library is not installed
    └── Interrupted           the user stopped the work (exit 130)

A message says what failed, where, what was found, what was expected, and the next step. Errors of other
libraries are translated in one place per library, always with ``from``.
"""

from __future__ import annotations


class VidsrError(Exception):
    """Base of all errors that vidsr raises on purpose; its text is meant for the user."""

    exit_code = 1


class OptionsError(VidsrError):
    """Options that are out of range or contradict each other; the message lists every fault."""

    exit_code = 2


class InputError(VidsrError):
    """The source is missing, unreadable, or holds no usable video."""


class OutputError(VidsrError):
    """The result cannot be written at the path or in the form requested."""


class DiskFullError(OutputError):
    """No space is left where a file was being written."""


class NoPlaceError(OutputError):
    """The codec or container that was asked for cannot hold what the source has; another one can."""


class ModelError(VidsrError):
    """A model is unknown or cannot be used for the requested task."""


class CheckpointError(ModelError):
    """A weights file that is not a model, is truncated, has an unknown architecture, or carries code."""


class DownloadError(ModelError):
    """A download failed, or its digest is not the expected one."""


class DecodeError(VidsrError):
    """The source could not be decoded; the message says where."""


class EncodeError(VidsrError):
    """An encoder is missing, rejected its options, or failed on a frame."""


class InferenceError(VidsrError):
    """A frame could not be computed on the device, after every fallback."""


class DeviceMemoryError(InferenceError):
    """A device has too little free memory even for the smallest step."""


class JobError(VidsrError):
    """A job cannot be started, resumed or finished."""


class VerifyError(VidsrError):
    """A result differs from its source in a way that was not announced."""


class TrainingError(VidsrError):
    """Training cannot start or continue."""


class MissingExtraError(VidsrError):
    """An optional library is not installed; the message names the extra to install."""


class Interrupted(VidsrError):  # noqa: N818 - it is a stop, not an error
    """The user stopped the work; finished parts are kept."""

    exit_code = 130
