"""Ablation: the network without each of its parts, trained alike, scored alike, over several seeds."""
