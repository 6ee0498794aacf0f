"""Weights: reading, writing, conversion of published checkpoints, named prompts and text encoders."""

from upfusion_med.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from upfusion_med.weights.prompts import PromptTable, TextCode
from upfusion_med.weights.registry import SHIPPED, load_checkpoint

__all__ = [
    "SHIPPED",
    "Checkpoint",
    "PromptTable",
    "TextCode",
    "load_checkpoint",
    "read_checkpoint",
    "write_checkpoint",
]
