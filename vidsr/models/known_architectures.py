"""The architectures that vidsr runs. To add one: its file in ``architectures/`` and its line here."""

from __future__ import annotations

from typing import Any

from torch import nn

from vidsr.models.architecture import Architecture
from vidsr.models.architectures.basicvsr import BASICVSR
from vidsr.models.architectures.efdn import EFDN_ARCHITECTURE
from vidsr.models.architectures.recurrent_compact import RECURRENT_COMPACT
from vidsr.models.architectures.rrdbnet import RRDBNET
from vidsr.models.architectures.srvgg import SRVGGNET_COMPACT

_ALL: tuple[Architecture[Any], ...] = (RRDBNET, SRVGGNET_COMPACT, RECURRENT_COMPACT, EFDN_ARCHITECTURE, BASICVSR)

#: Name → descriptor; recognition tries them in this order.
ARCHITECTURES: dict[str, Architecture[Any]] = {a.name: a for a in _ALL}

#: What is assumed of a network that no file of ``architectures/`` describes, such as one passed in by a program.
UNKNOWN: Architecture[Any] = Architecture(
    name="unknown",
    known_as="unknown",
    network=nn.Module,
    build=lambda config: nn.Identity(),
    recognise=lambda state, card: None,
    overlap_px=lambda network: 48,
    reach_px=lambda network: 24,
)


def architecture_of(network: nn.Module) -> Architecture[Any]:
    """The descriptor of a network, or :data:`UNKNOWN`."""
    return next((a for a in ARCHITECTURES.values() if type(network) is a.network), UNKNOWN)
