"""From what a user wrote to the calls that do the work: the command line without its printing."""
