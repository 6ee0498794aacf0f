"""Training: pairs, augmentation, losses, trainer."""
