"""The command ``upfusion``: one small file a command; heavy imports happen inside the commands."""
