"""MONAI's workflow around a configuration of a bundle."""

from __future__ import annotations

from pathlib import Path

from monai.bundle import ConfigWorkflow


def workflow(bundle: Path, config: str, **overrides) -> ConfigWorkflow:
    return ConfigWorkflow(
        str(bundle / "configs" / f"{config}.json"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        workflow_type="train" if config == "train" else "inference",
        logging_file=False,
        bundle_root=str(bundle),
        **overrides,
    )
