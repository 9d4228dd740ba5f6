"""What to do with each instruction while a function is translated, one file per group."""
