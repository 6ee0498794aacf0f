"""The parts of the module UPFusion, one noun a file."""
