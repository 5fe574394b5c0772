"""One run of the whole: what it consists of, its phases, its verdict, and how it is done again."""
