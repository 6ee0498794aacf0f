"""What slicer-core lacks of the application, as far as the extension uses it: enough to run it without Slicer.

The scene, its nodes, storage, display pipelines and transforms are Slicer's own; only application, Qt layer and base
classes are stood in for.
"""
