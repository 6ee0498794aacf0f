# nothing to include
