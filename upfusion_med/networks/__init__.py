"""The fusion networks, made by name: ``create("upfusion-paper")``. torch is imported when a network is made."""

from upfusion_med.networks.registry import ALIASES, canonical_name, create, names

__all__ = ["ALIASES", "canonical_name", "create", "names"]
