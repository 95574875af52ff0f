"""Every error vidsr raises on purpose.

::

    VidsrError
    ├── OptionsError          options that contradict each other or are out of range (exit 2)
    ├── InputError            the source is missing, is no video, or is damaged beyond use
    ├── OutputError           the result cannot be written where or how it was asked for
    │   └── DiskFullError     no space left
    ├── ModelError            a model is unknown or cannot be used
    │   ├── CheckpointError   a weights file that is no model, truncated, unknown, or carries code
    │   └── DownloadError     a download that failed or has the wrong digest
    ├── DecodeError           the source could not be decoded at a named place
    ├── EncodeError           an encoder refused its options or a frame
    ├── InferenceError        a frame could not be computed on the device
    ├── JobError              a job cannot be started, resumed or finished
    ├── VerifyError           a result differs from its source in a way that was not announced
    ├── TrainingError         training cannot start or go on
    ├── MissingExtraError     an optional library is not installed
    └── Interrupted           the user stopped the work (exit 130)

A message says what failed, where, what was found, what was expected, and the next step. Foreign errors are
mapped at one border per library, always with ``from``.
"""

from __future__ import annotations


class VidsrError(Exception):
    """Base of all errors that vidsr raises on purpose; its text is meant for the user."""

    exit_code = 1


class OptionsError(VidsrError):
    """Options that are out of range or contradict each other; lists every fault at once."""

    exit_code = 2


class InputError(VidsrError):
    """The source is missing, unreadable, or holds no usable video."""


class OutputError(VidsrError):
    """The result cannot be written where or how it was asked for."""


class DiskFullError(OutputError):
    """No space is left where a file was being written."""


class ModelError(VidsrError):
    """A model is unknown or cannot be used for what was asked."""


class CheckpointError(ModelError):
    """A weights file that is no model, is truncated, is of an unknown architecture, or carries code."""


class DownloadError(ModelError):
    """A download that failed, or whose digest is not the one expected."""


class DecodeError(VidsrError):
    """The source could not be decoded at the place that the message names."""


class EncodeError(VidsrError):
    """An encoder is missing, refused its options, or failed on a frame."""


class InferenceError(VidsrError):
    """A frame could not be computed on the device, after every fallback."""


class JobError(VidsrError):
    """A job cannot be started, resumed or finished."""


class VerifyError(VidsrError):
    """A result differs from its source in a way that was not announced."""


class TrainingError(VidsrError):
    """Training cannot start or go on."""


class MissingExtraError(VidsrError):
    """An optional library is not installed; the message names the extra that brings it."""


class Interrupted(VidsrError):  # noqa: N818 - it is a stop, not an error
    """The user stopped the work; what is finished is kept."""

    exit_code = 130
